//! The reranker: the async interface of a thread that runs a cross-encoder.

mod error;
mod options;
mod session;
mod worker;

use std::fmt;
use std::thread;

use async_trait::async_trait;
use memory_core::{MemoryResult, Reranker};
use memory_sentence_transformers::{CrossEncoderDir, PairTokenizer};
use tokio::sync::oneshot;

use crate::model::find_graph;
use crate::options::OnnxOptions;
use crate::runtime::{self, RuntimeInfo};
use error::{OPEN, SCORE, failed, in_folder, into_reranker};
use session::PairSession;
use worker::{PairWorker, WorkerHandle};

pub use options::RerankerOptions;

/// A [`Reranker`] on ONNX Runtime: a cross-encoder of the BERT family, exported to
/// `model.onnx`.
///
/// It tokenizes the question with each text, truncates the text where the pair
/// exceeds the model's maximum length, and computes pairs of similar length
/// together. The score is the model's output, or its sigmoid where the directory's
/// configuration says so.
///
/// All computation, tokenization included, runs on a thread of its own, one call
/// after the other: a call uses all cores. It needs no async runtime and blocks
/// none. Dropping it ends the thread and waits for its current batch.
///
/// Most of a recall's time is spent here where there is one: see docs/models.md.
///
/// ```no_run
/// # async fn example() -> memory_core::MemoryResult<()> {
/// use memory_core::Reranker as _;
/// use memory_onnx::{OnnxReranker, RerankerOptions};
///
/// let reranker = OnnxReranker::open(RerankerOptions::new("models/my-cross-encoder")).await?;
/// let scores = reranker
///     .score("Who owns the mill?", &["The mill is Tam's.", "It rained."])
///     .await?;
/// assert!(scores[0] > scores[1]);
/// # Ok(())
/// # }
/// ```
pub struct OnnxReranker {
    model: String,
    runtime: RuntimeInfo,
    worker: WorkerHandle,
}

impl OnnxReranker {
    /// Opens a model directory without blocking the caller's thread.
    ///
    /// If the future is dropped, the thread that opens it finishes and discards the
    /// result.
    ///
    /// # Errors
    /// As [`open_blocking`](Self::open_blocking).
    pub async fn open(options: RerankerOptions) -> MemoryResult<Self> {
        let (reply, receiver) = oneshot::channel();
        let open = move || {
            // An error means that the caller has dropped its future.
            let _ = reply.send(Self::open_blocking(&options));
        };
        let thread = thread::Builder::new().name("memory-onnx-open".to_owned());
        thread.spawn(open).map_err(error::no_thread)?;
        let panicked = || Err(failed(OPEN, "the thread that opens the reranker panicked"));
        receiver.await.unwrap_or_else(|_| panicked())
    }

    /// Opens a model directory and blocks the current thread.
    ///
    /// # Errors
    /// [`MemoryError::Reranker`](memory_core::MemoryError::Reranker) with the kind
    /// `Missing` (a file of the model, or the runtime library), `Corrupt` (an
    /// unusable file) or `Unsupported` (a model that needs something else, or has
    /// more than one output), each naming the file;
    /// [`MemoryError::Configuration`](memory_core::MemoryError::Configuration) for
    /// options that the model or this process does not support.
    pub fn open_blocking(options: &RerankerOptions) -> MemoryResult<Self> {
        options.validate()?;
        let path = &options.model.resolve_model_dir()?;
        let folder = CrossEncoderDir::read(path, &options.model).map_err(in_folder)?;
        let tokenizer = PairTokenizer::new(&folder).map_err(in_folder)?;
        let graph = find_graph(path).map_err(in_folder)?;
        let (runtime, environment) = runtime::environment(&runtime_options(options))
            .map_err(|error| into_reranker(OPEN, error))?;
        let session = PairSession::open(&environment, &graph, options.threads)?;
        let mut worker = PairWorker {
            tokenizer,
            session,
            activation: folder.activation,
            batch_tokens: options.batch_tokens.0,
        };
        worker.check(&graph)?;
        Ok(Self {
            model: folder.name,
            runtime,
            worker: WorkerHandle::start(worker, options.queue_depth)?,
        })
    }

    /// The loaded runtime library.
    #[must_use]
    pub const fn runtime(&self) -> &RuntimeInfo {
        &self.runtime
    }
}

/// Where to find the runtime library, which embedders and rerankers share.
fn runtime_options(options: &RerankerOptions) -> OnnxOptions {
    let mut shared = OnnxOptions::new();
    if let Some(folder) = &options.model.cache_dir {
        shared = shared.cache_dir(folder);
    }
    if let Some(file) = &options.runtime_library {
        shared = shared.runtime_library(file);
    }
    shared
}

#[async_trait]
impl Reranker for OnnxReranker {
    fn model(&self) -> &str {
        &self.model
    }

    async fn score(&self, question: &str, texts: &[&str]) -> MemoryResult<Vec<f32>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let scores = self.worker.submit(question, texts).await?;
        scores.await.unwrap_or_else(|_| Err(error::stopped(SCORE)))
    }
}

impl fmt::Debug for OnnxReranker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxReranker")
            .field("model", &self.model)
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}
