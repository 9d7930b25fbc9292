//! A model's folder in sentence-transformers form.
//!
//! ```text
//! modules.json                        transformer, pooling, normalisation
//! config.json                         hidden size, number of positions
//! sentence_bert_config.json           the window in tokens (optional)
//! config_sentence_transformers.json   prompts for queries and passages (optional)
//! 1_Pooling/config.json               mean or CLS
//! tokenizer.json, tokenizer_config.json (optional)
//! model.safetensors                   the checkpoint, of the BERT family
//! model.onnx, or onnx/model.onnx      for other families; one of the two is needed
//! ```

mod config;
mod fingerprint;
mod modules;
mod pooling;
mod prompts;
mod source;
mod window;

use std::fs;
use std::path::{Path, PathBuf};

use memory_core::{EmbedderProfile, MemoryResult};
use serde::de::DeserializeOwned;

use crate::error;
use crate::options::OnnxOptions;
use config::Config;
use fingerprint::Recipe;
#[cfg(feature = "hub")]
pub(crate) use modules::pooling_file;
pub(crate) use pooling::Pooling;
pub(crate) use prompts::Prompts;
pub(crate) use source::Source;

/// What the folder says, checked, with the options applied; the graph's
/// weights are named and not loaded.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) profile: EmbedderProfile,
    /// Where the weights are.
    pub(crate) source: Source,
    /// The file and the content of `tokenizer.json`.
    pub(crate) tokenizer: (PathBuf, Vec<u8>),
    pub(crate) lower_case: bool,
    pub(crate) pooling: Pooling,
    pub(crate) prompts: Prompts,
}

impl Model {
    /// Reads a model's folder, and the whole of its weights for the
    /// fingerprint (91 MB take about 60 ms where the processor helps with
    /// SHA-256).
    ///
    /// # Errors
    /// `Missing`, `Corrupt` or `Unsupported`, naming the file; `Configuration`
    /// for an option that the model cannot follow.
    pub(crate) fn read(folder: &Path, options: &OnnxOptions) -> MemoryResult<Self> {
        if !folder.is_dir() {
            let what = format!("the model's folder {} does not exist", folder.display());
            return Err(error::missing(what));
        }
        let pooling = modules::read(folder)?;
        let config: Config = read_json(&folder.join("config.json"))?;
        let dimensions = config.hidden_size(folder)?;
        pooling.check_dimensions(dimensions)?;
        let window = window::read(folder, &config, options)?;
        let prompts = Prompts::read(folder, options)?;
        let source = Source::find(folder, &config, options)?;
        let tokenizer_file = folder.join("tokenizer.json");
        let tokenizer = read_bytes(&tokenizer_file)?;
        let fingerprint = Recipe {
            source: &source,
            tokenizer: &tokenizer,
            pooling: pooling.mode,
            window: window.tokens,
            lower_case: window.lower_case,
            prompts: &prompts,
        }
        .fingerprint()?;
        Ok(Self {
            profile: EmbedderProfile {
                model: options.name_of(folder),
                fingerprint,
                dimensions,
                max_tokens: window.tokens,
            },
            source,
            tokenizer: (tokenizer_file, tokenizer),
            lower_case: window.lower_case,
            pooling: pooling.mode,
            prompts,
        })
    }
}

/// Whether a folder's `config.json` is of a family that is built from its
/// checkpoint.
#[cfg(feature = "hub")]
pub(crate) fn is_built(folder: &Path) -> bool {
    let config: MemoryResult<Config> = read_json(&folder.join("config.json"));
    config
        .and_then(|config| config.architecture(folder))
        .is_ok()
}

fn read_bytes(file: &Path) -> MemoryResult<Vec<u8>> {
    fs::read(file).map_err(|error| error::unreadable(file, error))
}

fn read_json<T: DeserializeOwned>(file: &Path) -> MemoryResult<T> {
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
