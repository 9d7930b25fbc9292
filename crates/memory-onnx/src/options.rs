//! Options of opening an embedder.

use std::path::PathBuf;
use std::thread;

use memory_core::{EmbedRole, MemoryError, MemoryResult};
use memory_sentence_transformers::{MaxTokens, ModelOptions};

/// The numbers of sessions and threads.
///
/// Each session has its own copy of the layers' weights (43 MB for the default
/// model, 12 MB in 8 bits; the embedding tables are shared) and computes one batch
/// at a time with `intra_op_threads` threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parallelism {
    /// The batches that are computed at the same time; at least 1.
    pub sessions: usize,
    /// The threads that compute one batch together; at least 1.
    pub intra_op_threads: usize,
    /// The threads of an additional session for a batch that is computed alone; 0
    /// for no such session.
    pub solo_threads: usize,
}

impl Parallelism {
    /// The maximum of sessions that [`Parallelism::available`] chooses, to limit
    /// memory.
    pub const MAX_SESSIONS: usize = 4;

    /// All cores that this process may use: one session per core up to
    /// [`MAX_SESSIONS`](Self::MAX_SESSIONS), then more threads per session; and a
    /// session of all cores for a batch that is computed alone.
    ///
    /// The threads of a session synchronize after every operator, spinning
    /// meanwhile. So two sessions of one thread embed more texts per second than
    /// one session of two threads, but two threads compute a single query in two
    /// thirds of the time. Each is used where it is faster.
    #[must_use]
    pub fn available() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let sessions = cores.min(Self::MAX_SESSIONS);
        Self {
            sessions,
            intra_op_threads: cores / sessions,
            solo_threads: if sessions > 1 { cores } else { 0 },
        }
    }
}

/// The precision of a checkpoint's weights and matrix products.
///
/// Vectors of different precisions are not comparable, so the fingerprint includes
/// the precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    Full,
    /// 8-bit weights with one scale per block of 128; activations are quantized
    /// block by block when they are multiplied. A vector does not depend on the
    /// other texts of its batch. On 2,080 turns of real conversations with the
    /// default model, the cosine to [`Full`](Self::Full) is 0.9988 on average and
    /// at least 0.9927 (docs/performance.md says how to measure the effect on recall).
    Int8,
}

/// The file of a model directory with the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WeightSource {
    /// `model.safetensors`: a checkpoint of the BERT or XLM-RoBERTa family.
    Checkpoint,
    /// `model.onnx` or `onnx/model.onnx`: an exported graph.
    Graph,
}

/// Options of [`OnnxEmbedder::open`](crate::OnnxEmbedder::open). The default opens
/// the default model of the cache directory.
///
/// ```
/// use memory_onnx::{MaxTokens, OnnxOptions};
/// let options = OnnxOptions::new().model_dir("models/bge-small").batch_tokens(MaxTokens(512));
/// ```
#[derive(Debug, Clone)]
pub struct OnnxOptions {
    pub(crate) folder: ModelOptions,
    pub(crate) runtime_library: Option<PathBuf>,
    pub(crate) batch_tokens: MaxTokens,
    pub(crate) queue_depth: usize,
    pub(crate) parallelism: Parallelism,
    pub(crate) precision: Precision,
    pub(crate) weight_source: Option<WeightSource>,
}

impl Default for OnnxOptions {
    fn default() -> Self {
        Self {
            folder: ModelOptions::default(),
            runtime_library: None,
            batch_tokens: Self::DEFAULT_BATCH_TOKENS,
            queue_depth: Self::DEFAULT_QUEUE_DEPTH,
            parallelism: Parallelism::available(),
            precision: Precision::Full,
            weight_source: None,
        }
    }
}

impl OnnxOptions {
    /// The default of [`batch_tokens`](Self::batch_tokens).
    ///
    /// Measured with the default model on conversation turns, in texts per second
    /// on two cores: batches of 128, 256, 512 and 1,024 tokens embed 253, 272, 255
    /// and 239 in full precision, and 285, 285, 273 and 254 in 8 bits. The
    /// activations of a small batch fit the L2 cache, and a query waits less.
    pub const DEFAULT_BATCH_TOKENS: MaxTokens = MaxTokens(256);
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

    /// A model directory in sentence-transformers format with a `model.safetensors`
    /// of the BERT or XLM-RoBERTa family or a `model.onnx`, instead of the default
    /// model.
    #[must_use]
    pub fn model_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder.model_dir = Some(folder.into());
        self
    }

    /// A model by name or path, instead of the default model: a path if it contains a
    /// separator or is `.` or `..`, and otherwise the name of a directory in `models` of
    /// the cache directory, such as `multilingual-e5-small`. `default` is the default model.
    #[must_use]
    pub fn model(mut self, name_or_path: impl Into<String>) -> Self {
        let model = name_or_path.into();
        self.folder.model = (model != "default").then_some(model);
        self
    }

    /// The model's name in the profile, instead of the directory's name.
    #[must_use]
    pub fn model_name(mut self, name: impl Into<String>) -> Self {
        self.folder.model_name = Some(name.into());
        self
    }

    /// The path of the ONNX Runtime library. If it is given, no other path is
    /// searched.
    #[must_use]
    pub fn runtime_library(mut self, file: impl Into<PathBuf>) -> Self {
        self.runtime_library = Some(file.into());
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

    /// The maximum of tokens in a batch, padding included; at least 1. It limits the
    /// memory of an inference and the time that a query waits during an import. A
    /// longer text is a batch of its own.
    #[must_use]
    pub fn batch_tokens(mut self, tokens: MaxTokens) -> Self {
        self.batch_tokens = tokens;
        self
    }

    /// The maximum of jobs (of up to 512 texts each) that wait for the threads, for
    /// small and for large calls each; at least 1. Further callers wait.
    #[must_use]
    pub fn queue_depth(mut self, depth: usize) -> Self {
        self.queue_depth = depth;
        self
    }

    /// The numbers of sessions and threads.
    #[must_use]
    pub fn parallelism(mut self, parallelism: Parallelism) -> Self {
        self.parallelism = parallelism;
        self
    }

    /// The precision; [`Precision::Full`] by default. A `model.onnx` has a fixed
    /// precision and accepts only the default.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The file with the weights. By default the checkpoint, if there is one of a
    /// supported family, or else the graph.
    #[must_use]
    pub fn weight_source(mut self, source: WeightSource) -> Self {
        self.weight_source = Some(source);
        self
    }

    /// Checks the quantities.
    pub(crate) fn validate(&self) -> MemoryResult<()> {
        let quantities = [
            ("batch_tokens", self.batch_tokens.0),
            ("queue_depth", self.queue_depth),
            ("parallelism.sessions", self.parallelism.sessions),
            (
                "parallelism.intra_op_threads",
                self.parallelism.intra_op_threads,
            ),
        ];
        check_at_least_one(&quantities)
    }
}

/// Refuses a quantity of 0, by its name.
pub(crate) fn check_at_least_one(quantities: &[(&str, usize)]) -> MemoryResult<()> {
    match quantities.iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => Err(MemoryError::configuration(format!(
            "{name} is 0; it must be at least 1"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_uses_all_cores() {
        let cores = thread::available_parallelism().unwrap().get();
        let default = Parallelism::available();
        let used = default.sessions * default.intra_op_threads;
        assert!(used <= cores && used > cores / 2, "{default:?} on {cores}");
        assert!(default.sessions <= Parallelism::MAX_SESSIONS);
    }

    #[test]
    fn default_is_the_name_of_the_default_model() {
        let named = OnnxOptions::new().model("multilingual-e5-small");
        let options = named.clone().model("default");
        let debug = |options: &OnnxOptions| format!("{:?}", options.folder);
        assert_eq!(debug(&options), debug(&OnnxOptions::new()));
        assert_ne!(debug(&options), debug(&named));
    }

    #[test]
    fn zero_is_rejected() {
        assert!(OnnxOptions::new().validate().is_ok());
        let error = OnnxOptions::new().queue_depth(0).validate().unwrap_err();
        assert!(error.to_string().contains("queue_depth is 0"), "{error}");
    }
}
