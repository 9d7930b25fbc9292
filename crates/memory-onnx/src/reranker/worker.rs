//! The thread that computes scores, one call after the other.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::thread::{self, JoinHandle};

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use memory_sentence_transformers::{
    BatchLimits, PairTokenizer, ScoreActivation, Tokens, plan_batches,
};
use tokio::sync::{mpsc, oneshot};

use super::error::{OPEN, SCORE, failed, into_reranker, no_thread, stopped};
use super::session::PairSession;

/// The maximum of padding tokens per pair, averaged over a batch: padding costs as
/// much time as text, and a batch of few pairs uses the cores less well.
const MAX_MEAN_PADDING: usize = 16;

/// The receiver of a call's scores.
pub(super) type ScoreReceiver = oneshot::Receiver<MemoryResult<Vec<f32>>>;

/// A call.
struct Job {
    question: String,
    texts: Vec<String>,
    reply: oneshot::Sender<MemoryResult<Vec<f32>>>,
}

/// The thread's handle. Dropping it ends the thread and waits for its current
/// batch.
pub(super) struct WorkerHandle {
    /// `None` only while it is being dropped.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerHandle {
    /// Starts a thread. At most `queue_depth` calls wait for it.
    pub(super) fn start(mut worker: PairWorker, queue_depth: usize) -> MemoryResult<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(queue_depth);
        let work = move || {
            while let Some(job) = queue.blocking_recv() {
                worker.process(job);
            }
        };
        let thread = thread::Builder::new().name("memory-onnx-rerank".to_owned());
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread.spawn(work).map_err(no_thread)?),
        })
    }

    /// Submits a call; waits while the queue is full.
    pub(super) async fn submit(
        &self,
        question: &str,
        texts: &[&str],
    ) -> MemoryResult<ScoreReceiver> {
        let (reply, receiver) = oneshot::channel();
        let job = Job {
            question: question.to_owned(),
            texts: texts.iter().map(|&text| text.to_owned()).collect(),
            reply,
        };
        let jobs = self.jobs.as_ref().ok_or_else(|| stopped(SCORE))?;
        jobs.send(job).await.map_err(|_| stopped(SCORE))?;
        Ok(receiver)
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It catches panics, and a failed join would leave nothing to do.
            let _ = thread.join();
        }
    }
}

/// What the thread computes with.
pub(super) struct PairWorker {
    pub(super) tokenizer: PairTokenizer,
    pub(super) session: PairSession,
    pub(super) activation: ScoreActivation,
    pub(super) batch_tokens: usize,
}

impl PairWorker {
    /// Scores a pair of empty texts, so that a model that cannot score anything is
    /// an error when it is opened and not at the first recall.
    ///
    /// # Errors
    /// `Unsupported` or `Corrupt`, naming the graph.
    pub(super) fn check(&mut self, graph: &Path) -> MemoryResult<()> {
        let scores = guarded(|| self.scores("", &[String::new(), "a".to_owned()], || false));
        scores.map(drop).map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::Unsupported => ErrorKind::Unsupported,
                _ => ErrorKind::Corrupt,
            };
            let message = format!("{} cannot score a pair: {error}", graph.display());
            MemoryError::reranker(kind, OPEN, message).with_source(error)
        })
    }

    /// Computes a call's scores, unless its caller has dropped the future.
    fn process(&mut self, job: Job) {
        let Job {
            question,
            texts,
            reply,
        } = job;
        let is_abandoned = || reply.is_closed();
        let scores = guarded(|| self.scores(&question, &texts, is_abandoned));
        // An error means that the caller has dropped its future.
        let _ = reply.send(scores);
    }

    /// The scores of a question's texts, in order.
    fn scores(
        &mut self,
        question: &str,
        texts: &[String],
        is_abandoned: impl Fn() -> bool,
    ) -> MemoryResult<Vec<f32>> {
        let abandoned = || Err(failed(SCORE, "the call was abandoned"));
        if is_abandoned() {
            return abandoned();
        }
        let tokenizer = &self.tokenizer;
        let question = tokenizer.question(question);
        let question = question.map_err(|error| into_reranker(SCORE, error))?;
        let pair = |text: &String| tokenizer.pair(&question, text);
        let pairs: MemoryResult<Vec<Tokens>> = texts.iter().map(pair).collect();
        let pairs = pairs.map_err(|error| into_reranker(SCORE, error))?;
        let lengths: Vec<usize> = pairs.iter().map(Tokens::len).collect();
        let limits = BatchLimits {
            max_tokens: self.batch_tokens,
            max_mean_padding: MAX_MEAN_PADDING,
        };
        let mut scores = vec![0.0; pairs.len()];
        for batch in plan_batches(&lengths, limits) {
            if is_abandoned() {
                return abandoned();
            }
            let tokens: Vec<&Tokens> = batch.iter().map(|&index| &pairs[index]).collect();
            let outputs = self.session.run(&tokens)?;
            for (index, output) in batch.into_iter().zip(outputs) {
                scores[index] = self.score(output)?;
            }
        }
        Ok(scores)
    }

    fn score(&self, output: f32) -> MemoryResult<f32> {
        let score = self.activation.apply(output);
        if score.is_finite() {
            return Ok(score);
        }
        let message = format!("the model returned {output}; a finite number is required");
        Err(MemoryError::reranker(ErrorKind::Corrupt, SCORE, message))
    }
}

/// Runs `compute` and turns a panic into an error, so that the thread survives.
/// The panic's message is left out, because it may quote the text.
fn guarded<T>(compute: impl FnOnce() -> MemoryResult<T>) -> MemoryResult<T> {
    // Sessions and tokenizers have no state that a panic could leave inconsistent.
    panic::catch_unwind(AssertUnwindSafe(compute))
        .unwrap_or_else(|_| Err(failed(SCORE, "the reranker's thread panicked")))
}
