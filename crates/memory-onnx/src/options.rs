//! How an embedder is opened.

use std::path::PathBuf;
use std::thread;

use memory_core::{EmbedRole, MemoryError, MemoryResult};
use memory_sentence_transformers::{MaxTokens, ModelOptions};

/// How the work is spread over the machine.
///
/// Each session holds the weights of the layers once more (43 MB for the
/// default model, 12 MB in 8 bits; the table of words is held once) and
/// computes one batch at a time with `intra_op_threads` threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parallelism {
    /// Batches computed at the same time; at least 1.
    pub sessions: usize,
    /// Threads that share the work of one batch; at least 1.
    pub intra_op_threads: usize,
    /// Threads that share the work of a batch while nothing else is to be
    /// done, in one more session; 0 for no such session.
    pub solo_threads: usize,
}

impl Parallelism {
    /// Most sessions that [`Parallelism::available`] chooses, for the sake of
    /// memory.
    pub const MAX_SESSIONS: usize = 4;

    /// All cores that this process may use: a session each up to
    /// [`MAX_SESSIONS`](Self::MAX_SESSIONS), then more threads a session; and
    /// a session of all cores for what comes alone.
    ///
    /// Threads within a batch wait for each other after every operator; they
    /// spin meanwhile, and stop when the batch is done. So two sessions of one
    /// thread embed more texts a second than one session of two threads, while a
    /// lone query is answered in two thirds of the time by two threads. Each
    /// does what it is better at.
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

/// How the weights of a checkpoint are held and multiplied.
///
/// Vectors of different precisions are not compared with each other: the
/// fingerprint names the precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    Full,
    /// Weights in 8 bits with one scale for every 128 of them; activations are
    /// brought to 8 bits block by block as they are multiplied. A vector does
    /// not depend on the texts that it was computed with. On 2,080 turns of
    /// real conversations with the default model, the cosine to
    /// [`Full`](Self::Full) is 0.9988 on average and 0.9927 at least
    /// (docs/performance.md has what that means for recall).
    Int8,
}

/// Which of a model folder's files the weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WeightSource {
    /// `model.safetensors`: the checkpoint itself, of the BERT family.
    Checkpoint,
    /// `model.onnx` or `onnx/model.onnx`: a graph that somebody exported.
    Graph,
}

/// Everything that [`OnnxEmbedder::open`](crate::OnnxEmbedder::open) can be
/// told. The default opens the default model of the cache folder.
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
    /// Measured with the default model on conversation turns, in texts for
    /// each second of two cores: batches of 128, 256, 512 and 1,024 tokens
    /// embed 253, 272, 255 and 239 in full precision, and 285, 285, 273 and
    /// 254 in 8 bits. What a batch works on stays in the processor's second
    /// cache; and a small batch keeps a lone query's wait short.
    pub const DEFAULT_BATCH_TOKENS: MaxTokens = MaxTokens(256);
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
    /// `model.safetensors` of the BERT family or a `model.onnx`, in place of the default model of the cache folder.
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

    /// The ONNX Runtime library. It is used or refused: when it is given, no
    /// other place is looked at.
    #[must_use]
    pub fn runtime_library(mut self, file: impl Into<PathBuf>) -> Self {
        self.runtime_library = Some(file.into());
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

    /// Most tokens of one batch, padding included. It bounds the memory of an
    /// inference and how long a lone query waits behind an import. A text
    /// longer than this is a batch of its own.
    #[must_use]
    pub fn batch_tokens(mut self, tokens: MaxTokens) -> Self {
        self.batch_tokens = tokens;
        self
    }

    /// Most pieces of work (of up to 512 texts each) that wait in each of the
    /// two lanes, of small calls and of large ones; callers beyond it wait.
    #[must_use]
    pub fn queue_depth(mut self, depth: usize) -> Self {
        self.queue_depth = depth;
        self
    }

    /// How the work is spread over the machine.
    #[must_use]
    pub fn parallelism(mut self, parallelism: Parallelism) -> Self {
        self.parallelism = parallelism;
        self
    }

    /// How the weights are held and multiplied; [`Precision::Full`] by default.
    /// A `model.onnx` is computed as it stands: it can be asked for nothing
    /// else.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Which file the weights come from. By default the checkpoint, if there
    /// is one and the model is of a family that is known here; else the graph.
    #[must_use]
    pub fn weight_source(mut self, file: WeightSource) -> Self {
        self.weight_source = Some(file);
        self
    }

    /// Refuses quantities with which nothing could be done.
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
        match quantities.into_iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(MemoryError::configuration(format!(
                "{name} is 0; it must be at least 1"
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_spreads_over_all_cores() {
        let cores = thread::available_parallelism().unwrap().get();
        let spread = Parallelism::available();
        let used = spread.sessions * spread.intra_op_threads;
        assert!(used <= cores && used > cores / 2, "{spread:?} on {cores}");
        assert!(spread.sessions <= Parallelism::MAX_SESSIONS);
    }

    #[test]
    fn nothing_may_be_zero() {
        assert!(OnnxOptions::new().validate().is_ok());
        let error = OnnxOptions::new().queue_depth(0).validate().unwrap_err();
        assert!(error.to_string().contains("queue_depth is 0"), "{error}");
    }
}
