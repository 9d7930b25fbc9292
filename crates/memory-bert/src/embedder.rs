//! The embedder: the async interface of the worker thread.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

use async_trait::async_trait;
use memory_core::{EmbedRole, Embedder, EmbedderProfile, MemoryError, MemoryResult};
use memory_sentence_transformers::{
    BatchLimits, Dedup, FingerprintInput, ModelDir, Tokenizer, error as folder_error,
};
use tokio::sync::oneshot;

use crate::checkpoint::Checkpoint;
use crate::error::{self, CHUNK, EMBED, OPEN};
use crate::network::Network;
use crate::options::BertOptions;
use crate::worker::{Job, Worker, WorkerHandle, split_jobs};

/// The maximum of padding tokens per text, averaged over a batch.
const MAX_MEAN_PADDING: usize = 8;

/// The jobs of one call that are submitted at the same time, so that the thread does
/// not become idle between two of them; more would delay other callers.
const JOBS_IN_FLIGHT: usize = 2;

/// Increased when this crate changes how it computes vectors.
const FORMAT: &str = "memory-bert 1";
const PRECISION: &str = "f32";

/// An [`Embedder`] on rust-bert.
///
/// All computation, tokenization included, runs on one thread of its own, because a
/// libtorch network can be used by one thread at a time; within a batch libtorch
/// uses [`BertOptions::threads`] threads. The jobs of all callers wait in one queue
/// of limited size in the order of arrival. A call of many texts is divided into
/// small jobs, two of which are in the queue at a time, so that a query waits for
/// some tenths of a second during an import.
///
/// Dropping it ends the thread and waits for the current job.
///
/// ```no_run
/// # async fn example() -> memory_core::MemoryResult<()> {
/// use memory_core::{EmbedRole, Embedder as _};
/// use memory_bert::{BertEmbedder, BertOptions};
///
/// let embedder = BertEmbedder::open(BertOptions::new()).await?;
/// let vectors = embedder.embed(&["Who owns the mill?"], EmbedRole::Query).await?;
/// assert_eq!(vectors[0].len(), embedder.profile().dimensions);
/// # Ok(())
/// # }
/// ```
pub struct BertEmbedder {
    profile: EmbedderProfile,
    tokenizer: Arc<Tokenizer>,
    worker: WorkerHandle,
}

impl BertEmbedder {
    /// Opens an embedder without blocking the caller's thread.
    ///
    /// If the future is dropped, the thread that opens the embedder finishes and
    /// discards the result.
    ///
    /// # Errors
    /// As [`open_blocking`](Self::open_blocking).
    pub async fn open(options: BertOptions) -> MemoryResult<Self> {
        let (reply, receiver) = oneshot::channel();
        let open = move || {
            // An error means that the caller has dropped its future.
            let _ = reply.send(Self::open_blocking(&options));
        };
        let thread = thread::Builder::new().name("memory-bert-open".to_owned());
        thread.spawn(open).map_err(thread_error)?;
        let panicked = || folder_error::failed(OPEN, "the thread that opens the embedder panicked");
        receiver.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Opens an embedder and blocks the current thread, for about 1 s with the
    /// default model.
    ///
    /// # Errors
    /// [`MemoryError::Embedder`] with the kind `Missing` (a file of the
    /// model), `Corrupt` (an unusable file, weights of another shape) or
    /// `Unsupported` (a model that needs something else), each naming the file and,
    /// if there is one, the command that fixes it; [`MemoryError::Configuration`]
    /// for options that the model does not support.
    pub fn open_blocking(options: &BertOptions) -> MemoryResult<Self> {
        options.validate()?;
        let folder = ModelDir::read(&options.folder.resolve_model_dir()?, &options.folder)?;
        let checkpoint = Checkpoint::read(&folder)?;
        let tokenizer = Arc::new(Tokenizer::new(&folder)?);
        let fingerprint = folder.fingerprint(FingerprintInput {
            format: FORMAT,
            weights: std::slice::from_ref(&checkpoint.weights),
            network: &checkpoint.describe(),
            precision: PRECISION,
        })?;
        let worker = Worker {
            network: Network::open(&checkpoint, folder.pooling)?,
            tokenizer: Arc::clone(&tokenizer),
            limits: BatchLimits {
                max_tokens: options.batch_tokens.0,
                max_mean_padding: MAX_MEAN_PADDING,
            },
            threads: i32::try_from(options.threads).unwrap_or(i32::MAX),
        };
        Ok(Self {
            profile: EmbedderProfile::new(folder.name, fingerprint, folder.dimensions)
                .max_tokens(folder.max_tokens),
            tokenizer,
            worker: WorkerHandle::start(worker, options.queue_depth).map_err(thread_error)?,
        })
    }
}

#[async_trait]
impl Embedder for BertEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        &self.profile
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let dedup = Dedup::new(texts);
        let make = |texts, reply| Job::Embed { texts, role, reply };
        let vectors = self.run(EMBED, &dedup.texts, make).await?;
        Ok(dedup.scatter(vectors))
    }

    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        let whole = |text: &&str| std::iter::once(0..text.len()).collect();
        let mut chunks: Vec<Vec<Range<usize>>> = texts.iter().map(whole).collect();
        let long: Vec<usize> = (0..texts.len())
            .filter(|index| !self.tokenizer.fits_by_len(texts[*index]))
            .collect();
        let long_texts: Vec<&str> = long.iter().map(|index| texts[*index]).collect();
        let ranges = self.run(CHUNK, &long_texts, |texts, reply| Job::Chunk {
            texts,
            reply,
        });
        for (index, ranges) in long.into_iter().zip(ranges.await?) {
            chunks[index] = ranges;
        }
        Ok(chunks)
    }

    fn unknown_token_share(&self, text: &str) -> f32 {
        self.tokenizer.unknown_token_share(text)
    }
}

impl BertEmbedder {
    /// Submits jobs of a few texts each, and returns the results in the order of the
    /// texts.
    async fn run<T: Clone + Default>(
        &self,
        operation: &'static str,
        texts: &[&str],
        make: impl Fn(Vec<String>, oneshot::Sender<MemoryResult<Vec<T>>>) -> Job,
    ) -> MemoryResult<Vec<T>> {
        let mut results = vec![T::default(); texts.len()];
        let mut jobs = split_jobs(texts).into_iter();
        let mut in_flight = VecDeque::new();
        loop {
            while in_flight.len() < JOBS_IN_FLIGHT
                && let Some(indices) = jobs.next()
            {
                let own = indices.iter().map(|index| texts[*index].to_owned());
                let (reply, receiver) = oneshot::channel();
                let submitted = self.worker.submit(make(own.collect(), reply)).await;
                submitted.map_err(|()| error::stopped(operation))?;
                in_flight.push_back((indices, receiver));
            }
            let Some((indices, receiver)) = in_flight.pop_front() else {
                return Ok(results);
            };
            let own_results = receiver.await.map_err(|_| error::stopped(operation))??;
            for (index, result) in indices.into_iter().zip(own_results) {
                results[index] = result;
            }
        }
    }
}

impl fmt::Debug for BertEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BertEmbedder")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

fn thread_error(error: io::Error) -> MemoryError {
    folder_error::failed(OPEN, format!("cannot start a thread: {error}")).with_source(error)
}
