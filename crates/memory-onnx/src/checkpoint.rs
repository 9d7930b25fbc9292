//! Reading of safetensors checkpoints, tensor by tensor.
//!
//! Only the header is in memory; each tensor is read directly to its destination.

mod files;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memory_core::MemoryResult;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::error;
pub(crate) use files::checkpoint_files;

/// The bytes of the header's length, which precede the header.
const PREFIX: usize = 8;
/// The maximum header length, which the format specifies.
const MAX_HEADER: usize = 100_000_000;
/// The bytes that are read and converted at a time.
const BUFFER: usize = 64 * 1024;

/// An open checkpoint: one file, or several that together have all tensors.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    shards: Vec<Shard>,
}

/// An open file of a checkpoint.
#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// The offset of the first tensor.
    data: usize,
}

impl Checkpoint {
    /// Opens the files of a checkpoint and reads their headers.
    ///
    /// # Errors
    /// `Missing` if a file does not exist, `Corrupt` if one is truncated or its
    /// header is invalid.
    pub(crate) fn open(files: &[PathBuf]) -> MemoryResult<Self> {
        let shards = files.iter().map(|file| Shard::open(file));
        Ok(Self {
            shards: shards.collect::<MemoryResult<_>>()?,
        })
    }

    /// Whether there is a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.shards.iter().any(|shard| shard.has(name))
    }

    /// Whether a tensor has 16-bit floats of IEEE 754.
    pub(crate) fn is_half(&self, name: &str) -> bool {
        let mut infos = self.shards.iter().filter_map(|it| it.header.info(name));
        infos.next().is_some_and(|info| info.dtype == Dtype::F16)
    }

    /// Reads a tensor of the given shape as 32-bit floats.
    ///
    /// # Errors
    /// `Corrupt` for a tensor that is missing, has another shape or contains a
    /// number that is not finite; `Unsupported` for another number type.
    pub(crate) fn tensor(&mut self, name: &str, shape: &[usize]) -> MemoryResult<Vec<f32>> {
        let mut values = vec![0.0; shape.iter().product()];
        self.read(name, shape, &mut values)?;
        Ok(values)
    }

    /// Like [`tensor`](Self::tensor), as 16-bit floats, which the tensor must have.
    pub(crate) fn half_tensor(&mut self, name: &str, shape: &[usize]) -> MemoryResult<Vec<f16>> {
        let mut values = vec![f16::ZERO; shape.iter().product()];
        let shard = self.shard(name)?;
        shard.seek(name, shape)?;
        convert(
            &mut shard.file,
            &shard.path,
            &mut values,
            f16::from_le_bytes,
        )?;
        shard.check_finite(name, values.iter().all(|x| x.is_finite()))?;
        Ok(values)
    }

    /// Like [`tensor`](Self::tensor), into a slice of the same length.
    pub(crate) fn read(
        &mut self,
        name: &str,
        shape: &[usize],
        into: &mut [f32],
    ) -> MemoryResult<()> {
        self.shard(name)?.read(name, shape, into)
    }

    /// The file that has a tensor.
    fn shard(&mut self, name: &str) -> MemoryResult<&mut Shard> {
        let path = self.shards.first().map(|shard| shard.path.clone());
        let found = self.shards.iter_mut().find(|shard| shard.has(name));
        found.ok_or_else(|| {
            let why = format!("it has no tensor {name}");
            error::corrupt(&path.unwrap_or_default(), why)
        })
    }
}

impl Shard {
    fn open(path: &Path) -> MemoryResult<Self> {
        let unreadable = |error| error::unreadable(path, error);
        let mut file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let mut prefix = [0; PREFIX];
        read(&mut file, &mut prefix, path)?;
        let length = usize::try_from(u64::from_le_bytes(prefix)).unwrap_or(usize::MAX);
        if length > MAX_HEADER {
            let why =
                format!("its header length is {length} bytes; at most {MAX_HEADER} are allowed");
            return Err(error::corrupt(path, why));
        }
        if size < as_u64(PREFIX + length) {
            return Err(truncated(path));
        }
        let mut header = vec![0; length];
        read(&mut file, &mut header, path)?;
        let header: Metadata = serde_json::from_slice(&header)
            .map_err(|error| error::corrupt(path, &error).with_source(error))?;
        let data = PREFIX + length;
        let expected = as_u64(data) + as_u64(header.data_len());
        if size != expected {
            let why = format!("it has {size} bytes; by its header it has {expected}");
            return Err(error::corrupt(path, why));
        }
        Ok(Self {
            path: path.to_path_buf(),
            file,
            header,
            data,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }

    /// Moves to a tensor of the given shape, and returns its number type.
    fn seek(&mut self, name: &str, shape: &[usize]) -> MemoryResult<Dtype> {
        let Some(info) = self.header.info(name) else {
            let why = format!("it has no tensor {name}");
            return Err(error::corrupt(&self.path, why));
        };
        if info.shape != shape {
            let why = format!(
                "the tensor {name} has the shape {:?}; by config.json it has {shape:?}",
                info.shape
            );
            return Err(error::corrupt(&self.path, why));
        }
        let start = as_u64(self.data + info.data_offsets.0);
        self.file
            .seek(SeekFrom::Start(start))
            .map_err(|error| error::unreadable(&self.path, error))?;
        Ok(info.dtype)
    }

    fn read(&mut self, name: &str, shape: &[usize], into: &mut [f32]) -> MemoryResult<()> {
        let dtype = self.seek(name, shape)?;
        let (file, path) = (&mut self.file, &self.path);
        match dtype {
            Dtype::F32 => convert(file, path, into, f32::from_le_bytes)?,
            Dtype::F16 => convert(file, path, into, |x| f16::from_le_bytes(x).to_f32())?,
            Dtype::BF16 => convert(file, path, into, |x| bf16::from_le_bytes(x).to_f32())?,
            other => {
                let what = format!(
                    "the tensor {name} has the type {other}; F32, F16 and BF16 are supported"
                );
                return Err(error::unsupported(&self.path, what));
            }
        }
        self.check_finite(name, into.iter().all(|x| x.is_finite()))
    }

    fn check_finite(&self, name: &str, is_finite: bool) -> MemoryResult<()> {
        if is_finite {
            return Ok(());
        }
        let why = format!("the tensor {name} contains a number that is not finite");
        Err(error::corrupt(&self.path, why))
    }
}

/// Fills `into` from numbers of `N` bytes each.
fn convert<const N: usize, T>(
    file: &mut File,
    path: &Path,
    into: &mut [T],
    number: impl Fn([u8; N]) -> T,
) -> MemoryResult<()> {
    let mut buffer = vec![0; BUFFER.min(into.len() * N)];
    for part in into.chunks_mut(BUFFER / N) {
        let bytes = &mut buffer[..part.len() * N];
        read(file, bytes, path)?;
        let (numbers, _) = bytes.as_chunks::<N>();
        for (value, bytes) in part.iter_mut().zip(numbers) {
            *value = number(*bytes);
        }
    }
    Ok(())
}

fn read(file: &mut File, buffer: &mut [u8], path: &Path) -> MemoryResult<()> {
    file.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => truncated(path),
        _ => error::unreadable(path, error),
    })
}

fn truncated(path: &Path) -> memory_core::MemoryError {
    error::corrupt(path, "it is truncated")
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
