//! The fingerprint: a digest of everything that determines a vector.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use memory_core::{EmbedRole, Fingerprint, MemoryResult};
use sha2::{Digest, Sha256};

use super::ModelDir;
use crate::error;

/// What an embedder adds to the model directory's settings. Both together
/// determine a vector.
#[derive(Debug, Clone, Copy)]
pub struct FingerprintInput<'a> {
    /// The embedder's name and a version that increases when its computation
    /// changes.
    pub format: &'a str,
    /// The files with the weights, in a fixed order.
    pub weights: &'a [PathBuf],
    /// The network, as far as the weights do not determine it.
    pub network: &'a str,
    /// The precision of the computation.
    pub precision: &'a str,
}

impl ModelDir {
    /// SHA-256 over all parts in lower-case hexadecimal. Each part is preceded by
    /// its name and length, so that different inputs never give the same bytes.
    /// Reads all weights (90 MB take about 60 ms on a processor with SHA-256
    /// instructions).
    ///
    /// # Errors
    /// [`MemoryError::Embedder`](memory_core::MemoryError::Embedder) for a file that
    /// cannot be read, or that belongs to the default model and is not the pinned
    /// one.
    pub fn fingerprint(&self, input: FingerprintInput<'_>) -> MemoryResult<Fingerprint> {
        let mut sum = Sha256::new();
        let mut part = |name: &str, content: &[u8]| {
            sum.update(format!("{name}: {}\n", content.len()));
            sum.update(content);
        };
        part("format", input.format.as_bytes());
        for file in input.weights {
            let digest = hash_file(file)?;
            self.pinned.verify(&self.path, file, &digest)?;
            part("weights", &digest);
        }
        part("network", input.network.as_bytes());
        part("tokenizer", &Sha256::digest(&self.tokenizer));
        part("pooling", self.pooling.as_str().as_bytes());
        part("window", self.max_tokens.to_string().as_bytes());
        part("lower case", &[u8::from(self.lower_case)]);
        // The names are part of stored fingerprints, so their spelling is fixed.
        part(concat!("normali", "sation"), b"L2");
        let prompt = |role| self.prompts.of(role).as_bytes();
        part("query prefix", prompt(EmbedRole::Query));
        part("passage prefix", prompt(EmbedRole::Passage));
        part("precision", input.precision.as_bytes());
        Ok(hexadecimal(&sum.finalize()).into())
    }
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

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
