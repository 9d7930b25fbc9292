//! A model's folder: what every embedder reads in it, and the weights.
//!
//! ```text
//! modules.json, config.json, ...      as in memory_sentence_transformers::ModelDir
//! model.safetensors                   the checkpoint, of the BERT family
//! model.onnx, or onnx/model.onnx      for other families; one of the two is needed
//! ```

mod source;

use std::path::Path;

use memory_core::{EmbedderProfile, MemoryResult};
#[cfg(feature = "hub")]
use memory_sentence_transformers::Config;
use memory_sentence_transformers::{FingerprintInput, ModelDir, Tokenizer};

#[cfg(feature = "hub")]
use crate::bert::ArchitectureConfig;
use crate::error::opening;
use crate::options::OnnxOptions;
pub(crate) use source::Source;

/// Raised when this crate itself changes how a vector comes about.
const FORMAT: &str = "memory-onnx 1";

/// What the folder says, checked, with the options applied; the weights are
/// named and not loaded.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) profile: EmbedderProfile,
    /// Where the weights are.
    pub(crate) source: Source,
    pub(crate) folder: ModelDir,
}

impl Model {
    /// Reads a model's folder, and the whole of its weights for the
    /// fingerprint (91 MB take about 60 ms where the processor helps with
    /// SHA-256).
    ///
    /// # Errors
    /// `Missing`, `Corrupt` or `Unsupported`, naming the file; `Configuration`
    /// for an option that the model cannot follow.
    pub(crate) fn read(path: &Path, options: &OnnxOptions) -> MemoryResult<Self> {
        let folder = ModelDir::read(path, &options.folder).map_err(opening)?;
        let source = Source::find(&folder, options)?;
        let recipe = FingerprintInput {
            format: FORMAT,
            weights: &source.files(),
            network: &source.network(),
            precision: source.precision(),
        };
        let fingerprint = folder.fingerprint(recipe).map_err(opening)?;
        Ok(Self {
            profile: EmbedderProfile::new(folder.name.clone(), fingerprint, folder.dimensions)
                .max_tokens(folder.max_tokens),
            source,
            folder,
        })
    }

    /// The model's tokenizer.
    ///
    /// # Errors
    /// `Corrupt`, naming the file; `Configuration` when special tokens and
    /// prompts leave too little of the window.
    pub(crate) fn tokenizer(&self) -> MemoryResult<Tokenizer> {
        Tokenizer::new(&self.folder).map_err(opening)
    }
}

/// Whether a folder's `config.json` is of a family that is built from its
/// checkpoint.
#[cfg(feature = "hub")]
pub(crate) fn is_built(folder: &Path) -> bool {
    let architecture = || {
        let config = Config::read(folder)?;
        let hidden = config.hidden_size(folder)?;
        ArchitectureConfig::read(folder)?.architecture(folder, &config.family, hidden)
    };
    architecture().is_ok()
}

#[cfg(test)]
mod tests;
