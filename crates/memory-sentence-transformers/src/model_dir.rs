//! A model directory in sentence-transformers format.
//!
//! ```text
//! modules.json                        transformer, pooling, normalization
//! config.json                         hidden size, number of positions
//! sentence_bert_config.json           maximum length in tokens (optional)
//! config_sentence_transformers.json   prompts for queries and passages (optional)
//! 1_Pooling/config.json               mean or CLS
//! tokenizer.json, tokenizer_config.json (optional)
//! ```

mod config;
mod cross_encoder;
mod fingerprint;
mod max_length;
mod pinned;
mod pooling;
mod prompts;

use std::fs;
use std::path::{Path, PathBuf};

use memory_core::MemoryResult;
use serde::de::DeserializeOwned;

use crate::error;
use crate::options::ModelOptions;
pub use config::Config;
pub use cross_encoder::{CrossEncoderDir, ScoreActivation};
pub use fingerprint::FingerprintInput;
use pinned::PinnedFiles;
pub use pooling::{Pooling, pooling_file};
pub use prompts::Prompts;

/// The settings of a model directory, validated, with the options applied. The
/// weights are in the same directory; each embedder reads them itself.
#[derive(Debug)]
pub struct ModelDir {
    /// The directory.
    pub path: PathBuf,
    /// The model's name, for display.
    pub name: String,
    /// The transformer's family (`bert`), from its configuration.
    pub family: String,
    /// The dimensions of each vector.
    pub dimensions: usize,
    /// The maximum length in tokens, special tokens included.
    pub max_tokens: usize,
    /// Whether text is lowercased before tokenization.
    pub lower_case: bool,
    /// The reduction of a text's token vectors to one vector.
    pub pooling: Pooling,
    /// The prompts prepended to texts.
    pub prompts: Prompts,
    /// The content of `tokenizer.json`.
    pub(crate) tokenizer: Vec<u8>,
    pinned: PinnedFiles,
}

impl ModelDir {
    /// Reads the directory's small files, in a few milliseconds. The files of the
    /// default model are verified against their pinned SHA-256.
    ///
    /// # Errors
    /// [`MemoryError::Embedder`](memory_core::MemoryError::Embedder) of the
    /// kind `Missing`, `Corrupt` or `Unsupported`, naming the file;
    /// [`MemoryError::Configuration`](memory_core::MemoryError::Configuration)
    /// for an option that the model does not support.
    pub fn read(path: &Path, options: &ModelOptions) -> MemoryResult<Self> {
        error::check_directory(path)?;
        let pinned = PinnedFiles::of(path, options);
        pinned.verify_settings(path)?;
        let pooling = pooling::read_pooling(path)?;
        let config = Config::read(path)?;
        let dimensions = config.hidden_size(path)?;
        pooling.check_dimensions(dimensions)?;
        let length = max_length::read(path, &config, options)?;
        Ok(Self {
            path: path.to_owned(),
            name: options.name_of(path),
            family: config.family,
            dimensions,
            max_tokens: length.max_tokens,
            lower_case: length.lower_case,
            pooling: pooling.mode,
            prompts: Prompts::read(path, options)?,
            tokenizer: read_bytes(&path.join("tokenizer.json"))?,
            pinned,
        })
    }

    /// The path of `tokenizer.json`.
    pub(crate) fn tokenizer_file(&self) -> PathBuf {
        self.path.join("tokenizer.json")
    }
}

fn read_bytes(file: &Path) -> MemoryResult<Vec<u8>> {
    fs::read(file).map_err(|error| error::unreadable(file, error))
}

/// Reads a JSON file of the directory.
///
/// # Errors
/// `Missing` or `Corrupt`, naming the file.
pub fn read_json<T: DeserializeOwned>(file: &Path) -> MemoryResult<T> {
    let bytes = read_bytes(file)?;
    serde_json::from_slice(&bytes).map_err(|error| error::corrupt(file, &error).with_source(error))
}

/// Reads an optional JSON file; the default if it does not exist.
fn read_json_or_default<T: DeserializeOwned + Default>(file: &Path) -> MemoryResult<T> {
    if file.exists() {
        read_json(file)
    } else {
        Ok(T::default())
    }
}

#[cfg(test)]
mod tests;
