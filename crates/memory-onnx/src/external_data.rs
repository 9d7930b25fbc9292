//! The external data files that an exported graph refers to.
//!
//! A graph of more than 2 GB has its weights in other files, whose names are in the
//! graph. They are part of the fingerprint, so they are read from the graph's
//! protocol buffer (field numbers by `onnx.proto3` of ONNX 1.17).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

/// The message types on the way to the names of external files.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Function,
    Graph,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
    Entry,
}

impl Message {
    /// The message type of a field, if it can contain a name.
    const fn field(self, number: u64) -> Option<Self> {
        match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Node, 5) => Some(Self::Attribute),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => {
                Some(Self::Tensor)
            }
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Some(Self::SparseTensor),
            (Self::Tensor, 13) => Some(Self::Entry),
            _ => None,
        }
    }
}

/// The existing external files of a graph, sorted by name. A file that is not a
/// valid graph has none; ONNX Runtime rejects it later.
pub(crate) fn external_files(graph: &Path) -> Vec<PathBuf> {
    let mut names = BTreeSet::new();
    // Names that were found before an error are kept.
    let _ = File::open(graph).and_then(|file| {
        let length = file.metadata()?.len();
        let mut reader = Reader {
            input: BufReader::new(file),
            names: &mut names,
        };
        reader.message(Message::Model, length, 0)
    });
    let folder = graph.parent().unwrap_or(Path::new(""));
    let is_inside = |name: &String| {
        let mut parts = Path::new(name).components();
        parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    names
        .into_iter()
        .filter(is_inside)
        .map(|name| folder.join(name))
        .filter(|file| file.is_file())
        .collect()
}

/// Reads messages without keeping the weights in memory.
struct Reader<'a, R> {
    input: R,
    names: &'a mut BTreeSet<String>,
}

impl<R: Read> Reader<'_, R> {
    /// Reads a message of `length` bytes.
    fn message(&mut self, message: Message, length: u64, depth: usize) -> io::Result<()> {
        /// Far deeper than the subgraphs of any real graph.
        const MAX_DEPTH: usize = 64;
        /// Longer than any file name.
        const MAX_NAME: u64 = 4_096;
        if depth > MAX_DEPTH {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut left = length;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        while left > 0 {
            let tag = self.varint(&mut left)?;
            let (number, wire_type) = (tag >> 3, tag & 7);
            let size = match wire_type {
                0 => {
                    self.varint(&mut left)?;
                    continue;
                }
                1 => 8,
                2 => self.varint(&mut left)?,
                5 => 4,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            };
            left = left.checked_sub(size).ok_or(io::ErrorKind::InvalidData)?;
            let entry_field = match (message, number) {
                (Message::Entry, 1) => Some(&mut key),
                (Message::Entry, 2) => Some(&mut value),
                _ => None,
            };
            match (message.field(number), entry_field) {
                (Some(inner), _) if wire_type == 2 => self.message(inner, size, depth + 1)?,
                (_, Some(text)) if size <= MAX_NAME => {
                    self.input.by_ref().take(size).read_to_end(text)?;
                }
                _ => self.skip(size)?,
            }
        }
        if key == b"location"
            && let Ok(name) = String::from_utf8(value)
        {
            self.names.insert(name);
        }
        Ok(())
    }

    fn varint(&mut self, left: &mut u64) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            *left = left.checked_sub(1).ok_or(io::ErrorKind::InvalidData)?;
            let mut byte = [0];
            self.input.read_exact(&mut byte)?;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    fn skip(&mut self, size: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.input.by_ref().take(size), &mut io::sink())?;
        if skipped == size {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A field with a message, of at most 127 bytes.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        [&[number << 3 | 2, length], content].concat()
    }

    fn tensor(file: &str) -> Vec<u8> {
        let location = [field(1, b"location"), field(2, file.as_bytes())].concat();
        let offset = [field(1, b"offset"), field(2, b"4096")].concat();
        [
            vec![1 << 3, 7],
            field(9, b"raw data"),
            field(13, &location),
            field(13, &offset),
        ]
        .concat()
    }

    #[test]
    fn files_of_initializers_and_attributes_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let attribute = field(5, &field(5, &tensor("b.bin")));
        let graph = [
            field(1, &attribute),
            field(5, &tensor("a.bin")),
            field(5, &tensor("../outside.bin")),
            field(5, &tensor("absent.bin")),
        ]
        .concat();
        let model = [vec![1 << 3, 9], field(2, b"producer")].concat();
        // The graph has more than 127 bytes, so its length has two.
        let length = graph.len();
        let size = [
            0x80 | u8::try_from(length & 0x7f).unwrap(),
            u8::try_from(length >> 7).unwrap(),
        ];
        let content = [model, vec![7 << 3 | 2], size.to_vec(), graph].concat();
        let file = folder.path().join("model.onnx");
        fs::write(&file, &content).unwrap();
        for name in ["a.bin", "b.bin"] {
            fs::write(folder.path().join(name), "weights").unwrap();
        }
        let expected = ["a.bin", "b.bin"].map(|name| folder.path().join(name));
        assert_eq!(external_files(&file), expected);
        for end in 0..content.len() {
            fs::write(&file, &content[..end]).unwrap();
            assert!(external_files(&file).len() <= 2);
        }
    }

    #[test]
    fn other_files_have_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.onnx");
        for content in [b"".as_slice(), b"weights", &[0xff; 40], &[0x3a; 1_000]] {
            fs::write(&file, content).unwrap();
            assert!(external_files(&file).is_empty());
        }
        assert!(external_files(&folder.path().join("absent.onnx")).is_empty());
    }
}
