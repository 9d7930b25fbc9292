//! Options of opening a reranker.

use std::path::PathBuf;
use std::thread;

use memory_core::MemoryResult;
use memory_sentence_transformers::{MaxTokens, ModelOptions};

use crate::options::check_at_least_one;

/// Options of [`OnnxReranker::open`](crate::OnnxReranker::open).
///
/// ```
/// use memory_onnx::{MaxTokens, RerankerOptions};
/// let options = RerankerOptions::new("models/my-cross-encoder").max_sequence(MaxTokens(256));
/// ```
#[derive(Debug, Clone)]
pub struct RerankerOptions {
    pub(super) model: ModelOptions,
    pub(super) runtime_library: Option<PathBuf>,
    pub(super) batch_tokens: MaxTokens,
    pub(super) queue_depth: usize,
    pub(super) threads: usize,
}

impl RerankerOptions {
    /// The default of [`batch_tokens`](Self::batch_tokens).
    pub const DEFAULT_BATCH_TOKENS: MaxTokens = MaxTokens(1_024);
    /// The default of [`queue_depth`](Self::queue_depth).
    pub const DEFAULT_QUEUE_DEPTH: usize = 64;

    /// A model directory with `config.json`, `tokenizer.json` and a `model.onnx` or
    /// `onnx/model.onnx`, on all cores.
    pub fn new(model_dir: impl Into<PathBuf>) -> Self {
        Self {
            model: ModelOptions {
                model_dir: Some(model_dir.into()),
                ..ModelOptions::default()
            },
            runtime_library: None,
            batch_tokens: Self::DEFAULT_BATCH_TOKENS,
            queue_depth: Self::DEFAULT_QUEUE_DEPTH,
            threads: thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// The model's name, instead of the directory's name.
    #[must_use]
    pub fn model_name(mut self, name: impl Into<String>) -> Self {
        self.model.model_name = Some(name.into());
        self
    }

    /// The cache directory with the runtime library, instead of
    /// [`memory_assets::cache_dir`].
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.model.cache_dir = Some(folder.into());
        self
    }

    /// The path of the ONNX Runtime library. If it is given, no other path is
    /// searched.
    #[must_use]
    pub fn runtime_library(mut self, file: impl Into<PathBuf>) -> Self {
        self.runtime_library = Some(file.into());
        self
    }

    /// A maximum length of question and text together shorter than the model's
    /// own. Long memories cost less time, and less of them is read.
    #[must_use]
    pub fn max_sequence(mut self, tokens: MaxTokens) -> Self {
        self.model.max_sequence = Some(tokens);
        self
    }

    /// The maximum of tokens in a batch, padding included; at least 1. A longer
    /// pair is a batch of its own.
    #[must_use]
    pub fn batch_tokens(mut self, tokens: MaxTokens) -> Self {
        self.batch_tokens = tokens;
        self
    }

    /// The maximum of calls that wait for the thread; at least 1. Further callers
    /// wait before they submit their texts.
    #[must_use]
    pub fn queue_depth(mut self, depth: usize) -> Self {
        self.queue_depth = depth;
        self
    }

    /// The threads that compute one batch together; at least 1. All cores by
    /// default.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Checks the quantities.
    pub(super) fn validate(&self) -> MemoryResult<()> {
        let quantities = [
            ("batch_tokens", self.batch_tokens.0),
            ("queue_depth", self.queue_depth),
            ("threads", self.threads),
        ];
        check_at_least_one(&quantities)
    }
}
