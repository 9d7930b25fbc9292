//! The digest of all that decides a vector.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use memory_core::{EmbedRole, Fingerprint, MemoryResult};
use sha2::{Digest, Sha256};

use super::Folder;
use crate::error;

/// How an embedder makes vectors of what a folder says; with the folder, all
/// that decides a vector.
#[derive(Debug, Clone, Copy)]
pub struct Recipe<'a> {
    /// The embedder and a number that it raises when it changes how a vector
    /// comes about.
    pub format: &'a str,
    /// The files of the weights, in a fixed order.
    pub weights: &'a [PathBuf],
    /// What is computed with the weights, as far as they do not tell.
    pub network: &'a str,
    /// How they are computed with.
    pub precision: &'a str,
}

impl Folder {
    /// SHA-256 over every part, each preceded by its name and its length, so
    /// that no two recipes read alike; in lower-case hexadecimal. Reads the
    /// whole of the weights (90 MB take about 60 ms where the processor helps
    /// with SHA-256).
    ///
    /// # Errors
    /// [`MemoryError::Embedder`](memory_core::MemoryError::Embedder) for a
    /// file that cannot be read.
    pub fn fingerprint(&self, recipe: Recipe<'_>) -> MemoryResult<Fingerprint> {
        let mut sum = Sha256::new();
        let mut part = |name: &str, content: &[u8]| {
            sum.update(format!("{name}: {}\n", content.len()));
            sum.update(content);
        };
        part("format", recipe.format.as_bytes());
        for file in recipe.weights {
            part("weights", &hash_file(file)?);
        }
        part("network", recipe.network.as_bytes());
        part("tokenizer", &Sha256::digest(&self.tokenizer));
        part("pooling", self.pooling.as_str().as_bytes());
        part("window", self.max_tokens.to_string().as_bytes());
        part("lower case", &[u8::from(self.lower_case)]);
        part("normalization", b"L2");
        let prompt = |role| self.prompts.of(role).as_bytes();
        part("query prefix", prompt(EmbedRole::Query));
        part("passage prefix", prompt(EmbedRole::Passage));
        part("precision", recipe.precision.as_bytes());
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

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
