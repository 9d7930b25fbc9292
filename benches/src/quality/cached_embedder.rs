//! An embedder that keeps the vectors of earlier runs in a file.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use async_trait::async_trait;
use memory::MemoryResult;
use memory::embed::{EmbedRole, Embedder, EmbedderProfile};
use memory::onnx::OnnxEmbedder;

type Vectors = HashMap<(EmbedRole, String), Vec<f32>>;

/// The default model, with the vectors of earlier runs: texts are embedded once.
///
/// The file's name holds the fingerprint, and a vector depends on the fingerprint,
/// the role and the text alone, so that no other change makes it wrong.
#[derive(Debug)]
pub struct CachedEmbedder {
    model: OnnxEmbedder,
    file: PathBuf,
    vectors: Mutex<Vectors>,
}

impl CachedEmbedder {
    /// Reads the vectors of earlier runs from `folder`, if there are any.
    ///
    /// # Errors
    /// When the folder cannot be created or a file in it not read.
    pub fn open(model: OnnxEmbedder, folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let file = folder.join(format!("{}.vectors", model.profile().fingerprint));
        let vectors = match fs::read(&file) {
            Ok(bytes) => decode(&bytes).ok_or_else(|| {
                let message = format!("{} is damaged; delete it", file.display());
                io::Error::new(io::ErrorKind::InvalidData, message)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vectors::new(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            model,
            file,
            vectors: Mutex::new(vectors),
        })
    }

    /// Writes the vectors for later runs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self) -> io::Result<()> {
        // Renamed into place, so that no other run reads half of it.
        let partial = self.file.with_extension(format!("{}", std::process::id()));
        fs::write(&partial, encode(&self.vectors()))?;
        fs::rename(partial, &self.file)
    }

    fn vectors(&self) -> MutexGuard<'_, Vectors> {
        self.vectors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Embedder for CachedEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        self.model.profile()
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let key = |text: &str| (role, text.to_owned());
        let missing: Vec<&str> = {
            let known = self.vectors();
            let is_missing = |text: &&&str| !known.contains_key(&key(text));
            texts.iter().filter(is_missing).copied().collect()
        };
        let computed = self.model.embed(&missing, role).await?;
        let mut known = self.vectors();
        for (text, vector) in missing.into_iter().zip(computed) {
            known.insert(key(text), vector);
        }
        let vectors = texts
            .iter()
            .filter_map(|text| known.get(&key(text)).cloned());
        Ok(vectors.collect())
    }

    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        self.model.chunk(texts).await
    }

    fn unknown_token_share(&self, text: &str) -> f32 {
        self.model.unknown_token_share(text)
    }
}

/// Each vector as role, length and bytes of its text, number of components, and
/// components, all little-endian.
fn encode(vectors: &Vectors) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ((role, text), vector) in vectors {
        bytes.push(u8::from(*role == EmbedRole::Query));
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend((vector.len() as u64).to_le_bytes());
        bytes.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes
}

/// `None` if the bytes are not those of [`encode`].
fn decode(bytes: &[u8]) -> Option<Vectors> {
    fn length(rest: &mut &[u8], unit: usize) -> Option<usize> {
        let (length, after) = rest.split_first_chunk()?;
        *rest = after;
        usize::try_from(u64::from_le_bytes(*length))
            .ok()?
            .checked_mul(unit)
    }
    let mut vectors = Vectors::new();
    let mut rest = bytes;
    while let Some((role, after)) = rest.split_first() {
        rest = after;
        let size = length(&mut rest, 1)?;
        let (text, after) = rest.split_at_checked(size)?;
        rest = after;
        let size = length(&mut rest, size_of::<f32>())?;
        let (values, after) = rest.split_at_checked(size)?;
        rest = after;
        let role = match role {
            0 => EmbedRole::Passage,
            1 => EmbedRole::Query,
            _ => return None,
        };
        let text = String::from_utf8(text.to_owned()).ok()?;
        let (values, _) = values.as_chunks();
        let vector = values.iter().map(|value| f32::from_le_bytes(*value));
        vectors.insert((role, text), vector.collect());
    }
    Some(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_read_as_written_and_damage_is_noticed() {
        let vectors = Vectors::from([
            ((EmbedRole::Query, "the horse".to_owned()), vec![0.5, -1.25]),
            ((EmbedRole::Passage, "馬".to_owned()), vec![0.0]),
        ]);
        let bytes = encode(&vectors);
        assert_eq!(decode(&bytes), Some(vectors));
        assert_eq!(decode(&[]), Some(Vectors::new()));
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(decode(&[7; 40]), None);
    }
}
