//! The embedder: the async interface of the worker threads.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use async_trait::async_trait;
use memory_core::{EmbedRole, Embedder, EmbedderProfile, MemoryResult};
use memory_sentence_transformers::{Dedup, Tokenizer};
use ort::environment::Environment;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::error::{self, CHUNK, EMBED, OPEN};
use crate::job::{ChunkJob, EmbedJob, ResultReceiver, segments};
use crate::model::Model;
use crate::options::{OnnxOptions, Parallelism};
use crate::queue::{Priority, Queue, WorkItem};
use crate::runtime::{self, RuntimeInfo};
use crate::session::{ModelSession, SharedEmbeddings};
use crate::worker::{self, Worker};
use crate::worker_threads::WorkerThreads;

/// The segments of one call that are submitted at the same time, so that the
/// threads do not become idle between two of them.
const SEGMENTS_IN_FLIGHT: usize = 2;

/// An [`Embedder`] on ONNX Runtime.
///
/// All inference, and the tokenization for it, runs on threads of its own; it needs
/// no async runtime and blocks none. When a thread becomes free, it forms a batch from
/// the waiting texts of all callers. Calls of about one batch (a query, a single
/// memory) take precedence over calls of many (an import), so that a query waits
/// for one small batch and not for an import.
///
/// Dropping it ends the threads and waits for their current batches, some tens of
/// milliseconds.
///
/// ```no_run
/// # async fn example() -> memory_core::MemoryResult<()> {
/// use memory_core::{EmbedRole, Embedder as _};
/// use memory_onnx::{OnnxEmbedder, OnnxOptions};
///
/// let embedder = OnnxEmbedder::open(OnnxOptions::new()).await?;
/// let vectors = embedder.embed(&["Who owns the mill?"], EmbedRole::Query).await?;
/// assert_eq!(vectors[0].len(), embedder.profile().dimensions);
/// # Ok(())
/// # }
/// ```
pub struct OnnxEmbedder {
    profile: EmbedderProfile,
    runtime: RuntimeInfo,
    tokenizer: Arc<Tokenizer>,
    batch_tokens: usize,
    /// The permits of the queue: for interactive and for bulk calls.
    permits: [Arc<Semaphore>; 2],
    workers: WorkerThreads,
}

impl OnnxEmbedder {
    /// Opens an embedder without blocking the caller's thread: a separate thread
    /// reads and hashes the files and loads the library and the sessions. Takes
    /// about 0.3 s for the default model.
    ///
    /// If the future is dropped, the thread finishes and discards the result.
    ///
    /// # Errors
    /// As [`open_blocking`](Self::open_blocking).
    pub async fn open(options: OnnxOptions) -> MemoryResult<Self> {
        let (reply, receiver) = oneshot::channel();
        let open = move || {
            // An error means that the caller has dropped its future.
            let _ = reply.send(Self::open_blocking(&options));
        };
        let thread = thread::Builder::new().name("memory-onnx-open".to_owned());
        thread.spawn(open).map_err(thread_error)?;
        receiver.await.unwrap_or_else(|_| {
            Err(error::failed(
                OPEN,
                "the thread that opens the embedder panicked",
            ))
        })
    }

    /// Opens an embedder and blocks the current thread.
    ///
    /// # Errors
    /// [`MemoryError::Embedder`](memory_core::MemoryError::Embedder) with the
    /// kind `Missing` (a file of the model, or the runtime library: the message
    /// lists all searched paths), `Corrupt` (an unusable file) or `Unsupported` (a
    /// model that needs something else), each naming the file and, if there is
    /// one, the command that fixes it;
    /// [`MemoryError::Configuration`](memory_core::MemoryError::Configuration)
    /// for options that the model or this process does not support.
    pub fn open_blocking(options: &OnnxOptions) -> MemoryResult<Self> {
        options.validate()?;
        let explain = |error| options.folder.explain(error);
        let folder = options.folder.resolve_model_dir()?;
        let model = Model::read(&folder, options).map_err(explain)?;
        let tokenizer = Arc::new(model.tokenizer().map_err(explain)?);
        let (runtime, environment) = runtime::environment(options)?;
        let batch_tokens = options.batch_tokens.0;
        let queue = Arc::new(Queue::new(batch_tokens, options.parallelism.sessions));
        let source = Arc::downgrade(&queue);
        memory_metrics::register(source);
        let sessions = open_sessions(&environment, &model, options.parallelism);
        let Sessions { mut workers, solo } = sessions.map_err(explain)?;
        check_vectors(&model, &tokenizer, &mut workers).map_err(explain)?;
        let solo_session = solo.map(|session| Arc::new(Mutex::new(session)));
        let workers = workers
            .into_iter()
            .map(|session| {
                let mut worker = Worker {
                    session,
                    solo_session: solo_session.clone(),
                    tokenizer: Arc::clone(&tokenizer),
                    queue: Arc::clone(&queue),
                };
                move |item| worker.process(item)
            })
            .collect();
        let permits = || {
            Arc::new(Semaphore::new(
                options.queue_depth.min(Semaphore::MAX_PERMITS),
            ))
        };
        Ok(Self {
            profile: model.profile,
            runtime,
            tokenizer,
            batch_tokens,
            permits: [permits(), permits()],
            workers: WorkerThreads::start(queue, workers).map_err(thread_error)?,
        })
    }

    /// The loaded runtime library.
    #[must_use]
    pub const fn runtime(&self) -> &RuntimeInfo {
        &self.runtime
    }

    /// Waits for a permit of the queue. Permits are limited, which slows down callers
    /// that submit work faster than it is processed.
    async fn acquire_permit(
        &self,
        operation: &'static str,
        priority: Priority,
    ) -> MemoryResult<OwnedSemaphorePermit> {
        let permits = match priority {
            Priority::Interactive => &self.permits[0],
            Priority::Bulk => &self.permits[1],
        };
        let permit = Arc::clone(permits).acquire_owned().await;
        permit.map_err(|_| error::stopped(operation))
    }

    /// Submits texts to be embedded.
    async fn submit(
        &self,
        texts: &[&str],
        role: EmbedRole,
        priority: Priority,
    ) -> MemoryResult<ResultReceiver<Vec<Vec<f32>>>> {
        let permit = self.acquire_permit(EMBED, priority).await?;
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        let (job, receiver) = EmbedJob::new(texts, role, priority, permit);
        let pushed = self
            .workers
            .queue()
            .push(priority, WorkItem::Tokenize(Arc::new(job)));
        pushed.map_err(|_| error::stopped(EMBED))?;
        Ok(receiver)
    }

    /// Submits texts to be split into chunks, and waits for the result.
    async fn chunk_segment(
        &self,
        texts: &[&str],
        priority: Priority,
    ) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        let permit = self.acquire_permit(CHUNK, priority).await?;
        let (reply, receiver) = oneshot::channel();
        let job = ChunkJob {
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            since: Instant::now(),
            reply,
            permit,
        };
        let pushed = self.workers.queue().push(priority, WorkItem::Chunk(job));
        pushed.map_err(|_| error::stopped(CHUNK))?;
        receive(CHUNK, receiver).await
    }
}

#[async_trait]
impl Embedder for OnnxEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        &self.profile
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let dedup = Dedup::new(texts);
        let priority = worker::priority_of(&dedup.texts, self.batch_tokens);
        let mut vectors = Vec::with_capacity(dedup.texts.len());
        let mut in_flight = VecDeque::new();
        for segment in segments(&dedup.texts) {
            if in_flight.len() == SEGMENTS_IN_FLIGHT
                && let Some(receiver) = in_flight.pop_front()
            {
                vectors.extend(receive(EMBED, receiver).await?);
            }
            in_flight.push_back(self.submit(segment, role, priority).await?);
        }
        for receiver in in_flight {
            vectors.extend(receive(EMBED, receiver).await?);
        }
        Ok(dedup.scatter(vectors))
    }

    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        let whole = |text: &&str| std::iter::once(0..text.len()).collect();
        let mut chunks: Vec<Vec<Range<usize>>> = texts.iter().map(whole).collect();
        let long: Vec<usize> = (0..texts.len())
            .filter(|index| !self.tokenizer.fits_by_len(texts[*index]))
            .collect();
        let long_texts: Vec<&str> = long.iter().map(|index| texts[*index]).collect();
        let priority = worker::priority_of(&long_texts, self.batch_tokens);
        let mut ranges = Vec::with_capacity(long.len());
        for segment in segments(&long_texts) {
            ranges.extend(self.chunk_segment(segment, priority).await?);
        }
        for (index, ranges) in long.into_iter().zip(ranges) {
            chunks[index] = ranges;
        }
        Ok(chunks)
    }

    fn unknown_token_share(&self, text: &str) -> f32 {
        self.tokenizer.unknown_token_share(text)
    }
}

impl fmt::Debug for OnnxEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxEmbedder")
            .field("profile", &self.profile)
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}

/// The sessions of an embedder: one per worker, and one that uses all cores.
struct Sessions {
    workers: Vec<ModelSession>,
    solo: Option<ModelSession>,
}

/// Loads all sessions in parallel.
fn open_sessions(
    environment: &Environment,
    model: &Model,
    parallelism: Parallelism,
) -> MemoryResult<Sessions> {
    let shared = &SharedEmbeddings::read(model)?;
    let panicked = |_| {
        Err(error::failed(
            OPEN,
            "a thread that loads the model panicked",
        ))
    };
    thread::scope(|scope| {
        let spawn = |threads| {
            let open = move || ModelSession::open(environment, model, shared, threads);
            thread::Builder::new().spawn_scoped(scope, open)
        };
        let solo = (parallelism.solo_threads > 0).then(|| spawn(parallelism.solo_threads));
        let workers = (0..parallelism.sessions).map(|_| spawn(parallelism.intra_op_threads));
        let workers: Vec<_> = workers.collect();
        let join = |thread: io::Result<thread::ScopedJoinHandle<'_, _>>| {
            let thread = thread.map_err(thread_error)?;
            thread.join().unwrap_or_else(panicked)
        };
        Ok(Sessions {
            workers: workers.into_iter().map(join).collect::<MemoryResult<_>>()?,
            solo: solo.map(join).transpose()?,
        })
    })
}

/// Computes the vector of an empty text, so that a model that cannot embed anything
/// is an error when it is opened and not at the first memory.
///
/// # Errors
/// `Corrupt`, naming the model directory.
fn check_vectors(
    model: &Model,
    tokenizer: &Tokenizer,
    sessions: &mut [ModelSession],
) -> MemoryResult<()> {
    let tokens = tokenizer.encode("", EmbedRole::Passage)?;
    // Without special tokens, an empty text has none.
    let Some(session) = sessions.first_mut().filter(|_| !tokens.is_empty()) else {
        return Ok(());
    };
    let vector = session.run(&[&tokens]).and_then(|vectors| {
        let first = vectors.into_iter().next();
        first.unwrap_or_else(|| Err(error::failed(EMBED, "the model returned no vector")))
    });
    vector.map(drop).map_err(|error| {
        let why = format!("the model cannot embed an empty text: {error}");
        error::corrupt(&model.folder.path, why).with_source(error)
    })
}

/// Waits for a result. A dropped sender means that the threads have ended.
async fn receive<T>(operation: &'static str, receiver: ResultReceiver<T>) -> MemoryResult<T> {
    receiver
        .await
        .unwrap_or_else(|_| Err(error::stopped(operation)))
}

fn thread_error(error: io::Error) -> memory_core::MemoryError {
    error::failed(OPEN, format!("cannot start a thread: {error}")).with_source(error)
}
