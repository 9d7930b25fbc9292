//! The embedder itself: the async side of the threads that compute.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread;

use async_trait::async_trait;
use memory_core::{EmbedRole, Embedder, EmbedderProfile, MemoryResult};
use memory_sentence_transformers::{Dedup, Tokenizer};
use ort::environment::Environment;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::error::{self, CHUNK, EMBED, OPEN};
use crate::graph::{Graph, Shared};
use crate::job::{Answer, ChunkJob, EmbedJob};
use crate::model::Model;
use crate::options::{OnnxOptions, Parallelism};
use crate::queue::{Lane, Queue, Work};
use crate::runtime::{self, RuntimeInfo};
use crate::segment::segments;
use crate::worker::{self, Worker};
use crate::workers::Workers;

/// Segments of one call that are under way at the same time: while the
/// threads finish one, the next is there.
const SEGMENTS_UNDER_WAY: usize = 2;

/// An [`Embedder`] on ONNX Runtime.
///
/// All computing, tokenizing included, is done by threads of its own; no
/// async runtime is needed, and none is slowed down. Each batch is made, when
/// a thread becomes free, of all texts that wait then, whoever sent them.
/// Calls of about one batch (a query, a single memory) go before calls of many
/// (an import), batch by batch, so that a query waits for one small batch and
/// not for an import.
///
/// Dropping it ends the threads and waits for the batch in hand, some tens of
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
    /// Places in the queue: of the express lane, of the bulk lane.
    gates: [Arc<Semaphore>; 2],
    workers: Workers,
}

impl OnnxEmbedder {
    /// Opens an embedder without blocking the caller's thread: files are read
    /// and hashed, the library and the sessions loaded, on a thread of their
    /// own. Takes about 0.3 s for the default model.
    ///
    /// Dropping the future lets the thread finish and throws the result away.
    ///
    /// # Errors
    /// As [`open_blocking`](Self::open_blocking).
    pub async fn open(options: OnnxOptions) -> MemoryResult<Self> {
        let (reply, answer) = oneshot::channel();
        let open = move || {
            // An error here means that the caller has gone.
            let _ = reply.send(Self::open_blocking(&options));
        };
        let thread = thread::Builder::new().name("memory-onnx-open".to_owned());
        thread.spawn(open).map_err(no_thread)?;
        answer
            .await
            .unwrap_or_else(|_| Err(error::failed(OPEN, "the thread that opens it panicked")))
    }

    /// Opens an embedder on this thread, which it blocks.
    ///
    /// # Errors
    /// [`MemoryError::Embedder`](memory_core::MemoryError::Embedder) with the
    /// kind `Missing` (a file of the model, or the runtime library: the
    /// message lists every place that was looked at), `Corrupt` (a file that
    /// does not read) or `Unsupported` (a model that works otherwise), each
    /// naming the file and, where there is one, the command that mends it;
    /// [`MemoryError::Configuration`](memory_core::MemoryError::Configuration)
    /// for options that the model or this process cannot follow.
    pub fn open_blocking(options: &OnnxOptions) -> MemoryResult<Self> {
        options.validate()?;
        let model = Model::read(&options.folder.resolve_model_dir()?, options)?;
        let tokenizer = Arc::new(model.tokenizer()?);
        let (runtime, environment) = runtime::environment(options)?;
        let batch_tokens = options.batch_tokens.0;
        let queue = Arc::new(Queue::new(batch_tokens, options.parallelism.sessions));
        let Graphs { each, wide } = open_graphs(&environment, &model, options.parallelism)?;
        let wide = wide.map(|graph| Arc::new(Mutex::new(graph)));
        let workers = each
            .into_iter()
            .map(|graph| {
                let mut worker = Worker {
                    graph,
                    wide: wide.clone(),
                    tokenizer: Arc::clone(&tokenizer),
                    queue: Arc::clone(&queue),
                };
                move |work| worker.work(work)
            })
            .collect();
        let gate = || {
            Arc::new(Semaphore::new(
                options.queue_depth.min(Semaphore::MAX_PERMITS),
            ))
        };
        Ok(Self {
            profile: model.profile,
            runtime,
            tokenizer,
            batch_tokens,
            gates: [gate(), gate()],
            workers: Workers::start(queue, workers).map_err(no_thread)?,
        })
    }

    /// The runtime library that computes.
    #[must_use]
    pub const fn runtime(&self) -> &RuntimeInfo {
        &self.runtime
    }

    /// Waits for a place in a lane. The places are bounded, so a caller that
    /// brings work faster than it is done is slowed down.
    async fn place(
        &self,
        operation: &'static str,
        lane: Lane,
    ) -> MemoryResult<OwnedSemaphorePermit> {
        let gate = match lane {
            Lane::Express => &self.gates[0],
            Lane::Bulk => &self.gates[1],
        };
        let permit = Arc::clone(gate).acquire_owned().await;
        permit.map_err(|_| error::stopped(operation))
    }

    /// Hands texts to the threads that embed.
    async fn submit(
        &self,
        texts: &[&str],
        role: EmbedRole,
        lane: Lane,
    ) -> MemoryResult<Answer<Vec<Vec<f32>>>> {
        let permit = self.place(EMBED, lane).await?;
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        let (job, answer) = EmbedJob::new(texts, role, lane, permit);
        let pushed = self
            .workers
            .queue()
            .push(lane, Work::Tokenize(Arc::new(job)));
        pushed.map_err(|_| error::stopped(EMBED))?;
        Ok(answer)
    }

    /// Has the threads cut texts into chunks.
    async fn chunk_segment(
        &self,
        texts: &[&str],
        lane: Lane,
    ) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        let permit = self.place(CHUNK, lane).await?;
        let (reply, answer) = oneshot::channel();
        let job = ChunkJob {
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            reply,
            permit,
        };
        let pushed = self.workers.queue().push(lane, Work::Chunk(job));
        pushed.map_err(|_| error::stopped(CHUNK))?;
        received(CHUNK, answer).await
    }
}

#[async_trait]
impl Embedder for OnnxEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        &self.profile
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let distinct = Dedup::new(texts);
        let lane = worker::lane(&distinct.texts, self.batch_tokens);
        let mut vectors = Vec::with_capacity(distinct.texts.len());
        let mut under_way = VecDeque::new();
        for segment in segments(&distinct.texts) {
            if under_way.len() == SEGMENTS_UNDER_WAY
                && let Some(answer) = under_way.pop_front()
            {
                vectors.extend(received(EMBED, answer).await?);
            }
            under_way.push_back(self.submit(segment, role, lane).await?);
        }
        for answer in under_way {
            vectors.extend(received(EMBED, answer).await?);
        }
        Ok(distinct.scatter(vectors))
    }

    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        let whole = |text: &&str| std::iter::once(0..text.len()).collect();
        let mut chunks: Vec<Vec<Range<usize>>> = texts.iter().map(whole).collect();
        let long: Vec<usize> = (0..texts.len())
            .filter(|index| !self.tokenizer.fits_by_len(texts[*index]))
            .collect();
        let long_texts: Vec<&str> = long.iter().map(|index| texts[*index]).collect();
        let lane = worker::lane(&long_texts, self.batch_tokens);
        let mut ranges = Vec::with_capacity(long.len());
        for segment in segments(&long_texts) {
            ranges.extend(self.chunk_segment(segment, lane).await?);
        }
        for (index, ranges) in long.into_iter().zip(ranges) {
            chunks[index] = ranges;
        }
        Ok(chunks)
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

/// The sessions of an embedder.
struct Graphs {
    each: Vec<Graph>,
    wide: Option<Graph>,
}

/// Loads the sessions, all at the same time.
fn open_graphs(
    environment: &Environment,
    model: &Model,
    parallelism: Parallelism,
) -> MemoryResult<Graphs> {
    let shared = &Shared::read(model)?;
    let panicked = |_| {
        Err(error::failed(
            OPEN,
            "a thread that loads the model panicked",
        ))
    };
    thread::scope(|scope| {
        let spawn = |threads| {
            let open = move || Graph::open(environment, model, shared, threads);
            thread::Builder::new().spawn_scoped(scope, open)
        };
        let wide = (parallelism.solo_threads > 0).then(|| spawn(parallelism.solo_threads));
        let each = (0..parallelism.sessions).map(|_| spawn(parallelism.intra_op_threads));
        let each: Vec<_> = each.collect();
        let join = |thread: io::Result<thread::ScopedJoinHandle<'_, _>>| {
            let thread = thread.map_err(no_thread)?;
            thread.join().unwrap_or_else(panicked)
        };
        Ok(Graphs {
            each: each.into_iter().map(join).collect::<MemoryResult<_>>()?,
            wide: wide.map(join).transpose()?,
        })
    })
}

/// Waits for an answer; one that will not come means that the threads have
/// stopped.
async fn received<T>(operation: &'static str, answer: Answer<T>) -> MemoryResult<T> {
    answer
        .await
        .unwrap_or_else(|_| Err(error::stopped(operation)))
}

fn no_thread(error: io::Error) -> memory_core::MemoryError {
    error::failed(OPEN, format!("no thread could be started: {error}")).with_source(error)
}
