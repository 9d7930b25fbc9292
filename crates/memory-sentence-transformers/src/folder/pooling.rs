//! How a model's token vectors become one vector.

use std::path::{Path, PathBuf};

use memory_core::MemoryResult;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::read_json;
use crate::error;

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean; padding does not count.
    Mean,
    /// The first one, that of the classification token.
    Cls,
}

impl Pooling {
    /// Its name in fingerprints.
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

/// The file as it stands: each way of pooling is a switch of its own, or, in
/// newer folders, one name tells the way.
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
            let what = "pooling without the prompt's tokens is not supported";
            return Err(error::unsupported(file, what));
        }
        let switches = raw
            .rest
            .iter()
            .filter(|(_, value)| **value == Value::Bool(true))
            .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"));
        let ways: Vec<&str> = raw
            .pooling_mode
            .as_deref()
            .into_iter()
            .chain(switches)
            .collect();
        let mode = match ways[..] {
            ["mean_tokens" | "mean"] => Pooling::Mean,
            ["cls_token" | "cls"] => Pooling::Cls,
            [] => return Err(error::corrupt(file, "it names no way of pooling")),
            _ => {
                let what = format!(
                    "pooling by {} is not supported; mean_tokens or cls_token alone is",
                    ways.join(" and ")
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

    /// Checks that pooling and transformer are made for each other.
    pub(super) fn check_dimensions(&self, hidden_size: usize) -> MemoryResult<()> {
        match self.dimensions {
            Some(found) if found != hidden_size => {
                let what = format!("it pools {found} dimensions; the model has {hidden_size}");
                Err(error::corrupt(&self.file, what))
            }
            _ => Ok(()),
        }
    }
}
