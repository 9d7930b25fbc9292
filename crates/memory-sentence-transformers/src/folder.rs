//! A model's folder in sentence-transformers form.
//!
//! ```text
//! modules.json                        transformer, pooling, normalization
//! config.json                         hidden size, number of positions
//! sentence_bert_config.json           the window in tokens (optional)
//! config_sentence_transformers.json   prompts for queries and passages (optional)
//! 1_Pooling/config.json               mean or CLS
//! tokenizer.json, tokenizer_config.json (optional)
//! ```

mod config;
mod fingerprint;
mod modules;
mod pooling;
mod prompts;
mod window;

use std::fs;
use std::path::{Path, PathBuf};

use memory_core::MemoryResult;
use serde::de::DeserializeOwned;

use crate::error;
use crate::options::FolderOptions;
pub use config::Config;
pub use fingerprint::Recipe;
pub use modules::pooling_file;
pub use pooling::Pooling;
pub use prompts::Prompts;

/// What a folder says, checked, with the options applied. Weights are another
/// matter: they lie in the same folder, and each embedder reads its own.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// The model's name, for people.
    pub name: String,
    /// The family of the transformer (`bert`), as its configuration names it.
    pub family: String,
    /// Components of each vector.
    pub dimensions: usize,
    /// The window in tokens, special tokens included.
    pub max_tokens: usize,
    /// Whether text is put in lower case before the tokenizer sees it.
    pub lower_case: bool,
    /// How the vectors of a text's tokens become one.
    pub pooling: Pooling,
    /// What is put before a text.
    pub prompts: Prompts,
    /// The content of `tokenizer.json`.
    pub(crate) tokenizer: Vec<u8>,
}

impl Folder {
    /// Reads what the folder says: small files alone, about a millisecond.
    ///
    /// # Errors
    /// [`MemoryError::Embedder`](memory_core::MemoryError::Embedder) of the
    /// kind `Missing`, `Corrupt` or `Unsupported`, naming the file;
    /// [`MemoryError::Configuration`](memory_core::MemoryError::Configuration)
    /// for an option that the model cannot follow.
    pub fn read(path: &Path, options: &FolderOptions) -> MemoryResult<Self> {
        if !path.is_dir() {
            let what = format!("the model's folder {} does not exist", path.display());
            return Err(error::missing(what));
        }
        let pooling = modules::read(path)?;
        let config = Config::read(path)?;
        let dimensions = config.hidden_size(path)?;
        pooling.check_dimensions(dimensions)?;
        let window = window::read(path, &config, options)?;
        Ok(Self {
            path: path.to_owned(),
            name: options.name_of(path),
            family: config.family,
            dimensions,
            max_tokens: window.tokens,
            lower_case: window.lower_case,
            pooling: pooling.mode,
            prompts: Prompts::read(path, options)?,
            tokenizer: read_bytes(&path.join("tokenizer.json"))?,
        })
    }

    /// The file of the tokenizer.
    pub(crate) fn tokenizer_file(&self) -> PathBuf {
        self.path.join("tokenizer.json")
    }
}

fn read_bytes(file: &Path) -> MemoryResult<Vec<u8>> {
    fs::read(file).map_err(|error| error::unreadable(file, error))
}

/// Reads a file of the folder that holds JSON.
///
/// # Errors
/// `Missing` or `Corrupt`, naming the file.
pub fn read_json<T: DeserializeOwned>(file: &Path) -> MemoryResult<T> {
    let bytes = read_bytes(file)?;
    serde_json::from_slice(&bytes).map_err(|error| error::corrupt(file, &error).with_source(error))
}

/// Reads a file that may be absent; an absent one reads as the default.
fn read_json_if_there<T: DeserializeOwned + Default>(file: &Path) -> MemoryResult<T> {
    if file.exists() {
        read_json(file)
    } else {
        Ok(T::default())
    }
}

#[cfg(test)]
mod tests;
