//! How an embedder is opened.

use std::path::PathBuf;
use std::thread;

use memory_core::{EmbedRole, MemoryError, MemoryResult};
use memory_sentence_transformers::{MaxTokens, ModelOptions};

/// Everything that [`BertEmbedder::open`](crate::BertEmbedder::open) can be
/// told. The default opens the default model of the cache folder.
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

    /// The default model of the cache folder, on all cores.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The cache folder, in place of [`memory_assets::cache_dir`].
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder.cache_dir = Some(folder.into());
        self
    }

    /// A model's folder in sentence-transformers form with a
    /// `model.safetensors`, in place of the default model of the cache folder.
    #[must_use]
    pub fn model_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder.model_dir = Some(folder.into());
        self
    }

    /// The model's name in the profile, in place of its folder's name.
    #[must_use]
    pub fn model_name(mut self, name: impl Into<String>) -> Self {
        self.folder.model_name = Some(name.into());
        self
    }

    /// A window shorter than the model's own. Vectors of different windows are
    /// not comparable, so the fingerprint changes with it.
    #[must_use]
    pub fn max_sequence(mut self, tokens: MaxTokens) -> Self {
        self.folder.max_sequence = Some(tokens);
        self
    }

    /// What is put before each text of a role, in place of the prompt that the
    /// model's folder names; for models (e5, bge) whose folder names none.
    #[must_use]
    pub fn prefix(mut self, role: EmbedRole, prefix: impl Into<String>) -> Self {
        self.folder.set_prefix(role, prefix.into());
        self
    }

    /// Threads that libtorch computes one batch with; at least 1, all cores by
    /// default.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Most tokens of one batch, padding included; at least 1. It bounds the
    /// memory of an inference. A text longer than this is a batch of its own.
    #[must_use]
    pub fn batch_tokens(mut self, tokens: MaxTokens) -> Self {
        self.batch_tokens = tokens;
        self
    }

    /// Most jobs (of up to 32 texts each) that wait for the thread; at least
    /// 1. Callers beyond it wait.
    #[must_use]
    pub fn queue_depth(mut self, depth: usize) -> Self {
        self.queue_depth = depth;
        self
    }

    /// Refuses quantities with which nothing could be done.
    pub(crate) fn validate(&self) -> MemoryResult<()> {
        /// More than any machine has cores; libtorch counts in 32 bits.
        const MOST_THREADS: usize = 1_024;
        let quantities = [
            ("threads", self.threads, MOST_THREADS),
            ("batch_tokens", self.batch_tokens.0, usize::MAX),
            ("queue_depth", self.queue_depth, usize::MAX >> 4),
        ];
        for (name, value, most) in quantities {
            if !(1..=most).contains(&value) {
                return Err(MemoryError::configuration(format!(
                    "{name} is {value}; it must be from 1 to {most}"
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
    fn quantities_have_bounds_and_the_error_names_them() {
        assert!(BertOptions::new().validate().is_ok());
        let refused = [
            (BertOptions::new().threads(0), "threads is 0"),
            (BertOptions::new().threads(1_025), "threads is 1025"),
            (BertOptions::new().queue_depth(0), "queue_depth is 0"),
            (
                BertOptions::new().batch_tokens(MaxTokens(0)),
                "batch_tokens is 0",
            ),
        ];
        for (options, expected) in refused {
            let error = options.validate().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
