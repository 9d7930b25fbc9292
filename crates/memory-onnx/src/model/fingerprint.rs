//! The digest of all that decides a vector.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use memory_core::{EmbedRole, Fingerprint, MemoryResult};
use sha2::{Digest, Sha256};

use super::pooling::Pooling;
use super::prompts::Prompts;
use super::source::Source;
use crate::error;
use crate::options::Precision;

/// Raised when this crate itself changes how a vector comes about.
const FORMAT: &[u8] = b"memory-onnx 1";

/// All that decides a vector.
pub(super) struct Recipe<'a> {
    pub(super) source: &'a Source,
    pub(super) tokenizer: &'a [u8],
    pub(super) pooling: Pooling,
    pub(super) window: usize,
    pub(super) lower_case: bool,
    pub(super) prompts: &'a Prompts,
}

impl Recipe<'_> {
    /// SHA-256 over every part, each preceded by its name and its length, so
    /// that no two recipes read alike; in lower-case hexadecimal.
    pub(super) fn fingerprint(&self) -> MemoryResult<Fingerprint> {
        let mut sum = Sha256::new();
        let mut part = |name: &str, content: &[u8]| {
            sum.update(format!("{name}: {}\n", content.len()));
            sum.update(content);
        };
        part("format", FORMAT);
        let (files, network, precision) = match self.source {
            Source::Graph(file) => (weights(file), "as exported".to_owned(), "as the graph"),
            Source::Checkpoint {
                file,
                architecture,
                precision,
            } => {
                let precision = match precision {
                    Precision::Full => "full",
                    Precision::Int8 => "8 bits in blocks of 128",
                };
                (vec![file.clone()], architecture.describe(), precision)
            }
        };
        for file in files {
            part("weights", &hash_file(&file)?);
        }
        part("network", network.as_bytes());
        part("tokenizer", &Sha256::digest(self.tokenizer));
        part("pooling", self.pooling.as_str().as_bytes());
        part("window", self.window.to_string().as_bytes());
        part("lower case", &[u8::from(self.lower_case)]);
        part("normalisation", b"L2");
        part("query prefix", self.prompts.of(EmbedRole::Query).as_bytes());
        part(
            "passage prefix",
            self.prompts.of(EmbedRole::Passage).as_bytes(),
        );
        part("precision", precision.as_bytes());
        Ok(hexadecimal(&sum.finalize()).into())
    }
}

/// The graph's file and, for models over 2 GB, the file beside it that holds
/// the weights.
fn weights(graph: &Path) -> Vec<PathBuf> {
    let beside = ["_data", ".data"].map(|suffix| {
        let mut name = graph.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    let outside = beside.into_iter().filter(|file| file.is_file());
    std::iter::once(graph.to_path_buf())
        .chain(outside)
        .collect()
}

fn hash_file(file: &Path) -> MemoryResult<Vec<u8>> {
    let hash = || -> io::Result<Vec<u8>> {
        let mut sum = Sha256::new();
        let mut reader = File::open(file)?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(sum.finalize().to_vec()),
                read => sum.update(&buffer[..read]),
            }
        }
    };
    hash().map_err(|error| error::unreadable(file, error))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
