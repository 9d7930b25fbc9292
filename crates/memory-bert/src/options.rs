//! Options of opening an embedder.

use std::path::PathBuf;
use std::thread;

use memory_core::{EmbedRole, MemoryError, MemoryResult};
use memory_sentence_transformers::{MaxTokens, ModelOptions};

/// Options of [`BertEmbedder::open`](crate::BertEmbedder::open). The default opens
/// the default model of the cache directory.
///
/// ```
/// use memory_bert::{BertOptions, MaxTokens};
/// let options = BertOptions::new().model_dir("models/bge-small").batch_tokens(MaxTokens(512));
/// ```
#[derive(Debug, Clone)]
pub struct BertOptions {
    pub(crate) folder: ModelOptions,
    pub(crate) threads: usize,
    pub(crate) batch_tokens: MaxTokens,
    pub(crate) queue_depth: usize,
}

impl Default for BertOptions {
    fn default() -> Self {
        Self {
            folder: ModelOptions::default(),
            threads: thread::available_parallelism().map_or(1, usize::from),
            batch_tokens: Self::DEFAULT_BATCH_TOKENS,
            queue_depth: Self::DEFAULT_QUEUE_DEPTH,
        }
    }
}

impl BertOptions {
    /// The default of [`batch_tokens`](Self::batch_tokens).
    pub const DEFAULT_BATCH_TOKENS: MaxTokens = MaxTokens(1_024);
    /// The default of [`queue_depth`](Self::queue_depth).
    pub const DEFAULT_QUEUE_DEPTH: usize = 64;

    /// The default model of the cache directory, on all cores.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The cache directory, instead of [`memory_assets::cache_dir`].
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder.cache_dir = Some(folder.into());
        self
    }

    /// A model directory in sentence-transformers format with a
    /// `model.safetensors`, instead of the default model.
    #[must_use]
    pub fn model_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder.model_dir = Some(folder.into());
        self
    }

    /// The model's name in the profile, instead of the directory's name.
    #[must_use]
    pub fn model_name(mut self, name: impl Into<String>) -> Self {
        self.folder.model_name = Some(name.into());
        self
    }

    /// A maximum length shorter than the model's own. It is part of the fingerprint,
    /// because vectors of different maximum lengths are not comparable.
    #[must_use]
    pub fn max_sequence(mut self, tokens: MaxTokens) -> Self {
        self.folder.max_sequence = Some(tokens);
        self
    }

    /// The prompt prepended to each text of a role, instead of the directory's; for
    /// models (e5, bge) whose directory has none.
    #[must_use]
    pub fn prefix(mut self, role: EmbedRole, prefix: impl Into<String>) -> Self {
        self.folder.set_prefix(role, prefix.into());
        self
    }

    /// The threads with which libtorch computes a batch; at least 1, by default all
    /// cores.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The maximum of tokens in a batch, padding included; at least 1. It limits the
    /// memory of an inference. A longer text is a batch of its own.
    #[must_use]
    pub fn batch_tokens(mut self, tokens: MaxTokens) -> Self {
        self.batch_tokens = tokens;
        self
    }

    /// The maximum of jobs (of up to 32 texts each) that wait for the thread; at least
    /// 1. Further callers wait.
    #[must_use]
    pub fn queue_depth(mut self, depth: usize) -> Self {
        self.queue_depth = depth;
        self
    }

    /// Checks the quantities.
    pub(crate) fn validate(&self) -> MemoryResult<()> {
        /// More than any machine has cores; libtorch uses 32-bit integers.
        const MAX_THREADS: usize = 1_024;
        let quantities = [
            ("threads", self.threads, MAX_THREADS),
            ("batch_tokens", self.batch_tokens.0, usize::MAX),
            ("queue_depth", self.queue_depth, usize::MAX >> 4),
        ];
        for (name, value, max) in quantities {
            if !(1..=max).contains(&value) {
                return Err(MemoryError::configuration(format!(
                    "{name} is {value}; it must be from 1 to {max}"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_quantity_and_its_limits() {
        assert!(BertOptions::new().validate().is_ok());
        let rejected = [
            (BertOptions::new().threads(0), "threads is 0"),
            (BertOptions::new().threads(1_025), "threads is 1025"),
            (BertOptions::new().queue_depth(0), "queue_depth is 0"),
            (
                BertOptions::new().batch_tokens(MaxTokens(0)),
                "batch_tokens is 0",
            ),
        ];
        for (options, expected) in rejected {
            let error = options.validate().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
