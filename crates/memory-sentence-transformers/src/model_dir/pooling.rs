//! The modules of a model and its pooling: `modules.json` and the pooling
//! module's `config.json`.

use std::path::{Path, PathBuf};

use memory_core::MemoryResult;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::read_json;
use crate::error;

/// The reduction of a text's token vectors to one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean of the tokens, padding excluded.
    Mean,
    /// The first token, the classification token.
    Cls,
}

impl Pooling {
    /// The name in fingerprints.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
        }
    }
}

/// The pooling module's configuration.
#[derive(Debug)]
pub(super) struct PoolingConfig {
    file: PathBuf,
    pub(super) mode: Pooling,
    dimensions: Option<usize>,
}

/// The file's fields: a flag for each pooling mode, or, in newer models, the name
/// of the mode.
#[derive(Deserialize)]
struct Raw {
    pooling_mode: Option<String>,
    word_embedding_dimension: Option<usize>,
    include_prompt: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl PoolingConfig {
    /// Reads the pooling module's `config.json`.
    pub(super) fn read(file: &Path) -> MemoryResult<Self> {
        let raw: Raw = read_json(file)?;
        if raw.include_prompt == Some(false) {
            let what = "pooling that excludes the prompt (include_prompt: false) is not supported";
            return Err(error::unsupported(file, what));
        }
        let flags = raw
            .rest
            .iter()
            .filter(|(_, value)| **value == Value::Bool(true))
            .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"));
        let modes: Vec<&str> = raw
            .pooling_mode
            .as_deref()
            .into_iter()
            .chain(flags)
            .collect();
        let mode = match modes[..] {
            ["mean_tokens" | "mean"] => Pooling::Mean,
            ["cls_token" | "cls"] => Pooling::Cls,
            [] => {
                return Err(error::corrupt(
                    file,
                    "it names no pooling mode; mean_tokens or cls_token is expected",
                ));
            }
            _ => {
                let what = format!(
                    "pooling mode {} is not supported; use mean_tokens or cls_token",
                    modes.join(" and ")
                );
                return Err(error::unsupported(file, what));
            }
        };
        Ok(Self {
            file: file.to_path_buf(),
            mode,
            dimensions: raw.word_embedding_dimension,
        })
    }

    /// Checks that the pooling has the dimensions of the transformer.
    pub(super) fn check_dimensions(&self, hidden_size: usize) -> MemoryResult<()> {
        match self.dimensions {
            Some(found) if found != hidden_size => {
                let what = format!(
                    "word_embedding_dimension is {found}, but the model has {hidden_size} dimensions"
                );
                Err(error::corrupt(&self.file, what))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Reads the configuration of the pooling module.
pub(super) fn read_pooling(folder: &Path) -> MemoryResult<PoolingConfig> {
    PoolingConfig::read(&folder.join(pooling_file(folder)?))
}

/// The path of the pooling module's configuration inside the model directory.
///
/// A normalization module is optional, because the embedders always normalize.
///
/// # Errors
/// `Unsupported` for a module other than transformer, pooling and normalization
/// (a dense layer would change the vector).
pub fn pooling_file(folder: &Path) -> MemoryResult<String> {
    let file = folder.join("modules.json");
    let modules: Vec<Module> = read_json(&file)?;
    let mut pooling = None;
    for module in &modules {
        // The type is a Python path, of which only the last part is the same in
        // all versions.
        match module.kind.rsplit('.').next() {
            Some("Transformer" | "Normalize") => {}
            Some("Pooling") => pooling = Some(&module.path),
            _ => {
                let what = format!(
                    "the module {} is not supported; only Transformer, Pooling and Normalize are",
                    module.kind
                );
                return Err(error::unsupported(&file, what));
            }
        }
    }
    match pooling {
        Some(path) => Ok(format!("{path}/config.json")),
        None => Err(error::corrupt(&file, "it names no pooling module")),
    }
}
