//! The embedder itself: the async side of the thread that computes.

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
use crate::jobs;
use crate::network::Network;
use crate::options::BertOptions;
use crate::worker::{Job, Worker, WorkerHandle};

/// Tokens of padding a text that a batch may have on average.
const MAX_MEAN_PADDING: usize = 8;

/// Jobs of one call that are handed in at the same time: while the thread does
/// one, the next is there; more would stand in the way of other callers.
const JOBS_UNDER_WAY: usize = 2;

/// Raised when this crate itself changes how a vector comes about.
const FORMAT: &str = "memory-bert 1";
const PRECISION: &str = "f32";

/// An [`Embedder`] on rust-bert.
///
/// All computing, tokenizing included, is done by one thread of its own, since
/// a network of libtorch may move between threads and be used by one; within a
/// batch libtorch uses as many threads as [`BertOptions::threads`] says. Jobs
/// of all callers wait in one bounded queue, first come, first served; a call
/// of many texts is cut into small jobs and has two in it at a time, so that a
/// query waits for some tenths of a second behind an import.
///
/// Dropping it ends the thread and waits for the job in hand.
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
    /// Dropping the future lets the thread that opens it finish and throws the
    /// result away.
    ///
    /// # Errors
    /// As [`open_blocking`](Self::open_blocking).
    pub async fn open(options: BertOptions) -> MemoryResult<Self> {
        let (reply, answer) = oneshot::channel();
        let open = move || {
            // An error here means that the caller has gone.
            let _ = reply.send(Self::open_blocking(&options));
        };
        let thread = thread::Builder::new().name("memory-bert-open".to_owned());
        thread.spawn(open).map_err(no_thread)?;
        let panicked = || folder_error::failed(OPEN, "the thread that opens it panicked");
        answer.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Opens an embedder on this thread, which it blocks: about a second for
    /// the default model.
    ///
    /// # Errors
    /// [`MemoryError::Embedder`] with the kind `Missing` (a file of the
    /// model), `Corrupt` (a file that does not read, weights that do not fit)
    /// or `Unsupported` (a model that works otherwise), each naming the file
    /// and, where there is one, the command that mends it;
    /// [`MemoryError::Configuration`] for options that the model cannot follow.
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
            worker: WorkerHandle::start(worker, options.queue_depth).map_err(no_thread)?,
        })
    }
}

#[async_trait]
impl Embedder for BertEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        &self.profile
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let distinct = Dedup::new(texts);
        let make = |texts, reply| Job::Embed { texts, role, reply };
        let vectors = self.run(EMBED, &distinct.texts, make).await?;
        Ok(distinct.scatter(vectors))
    }

    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        let whole = |text: &&str| std::iter::once(0..text.len()).collect();
        let mut chunks: Vec<Vec<Range<usize>>> = texts.iter().map(whole).collect();
        let unsure: Vec<usize> = (0..texts.len())
            .filter(|index| !self.tokenizer.fits_by_len(texts[*index]))
            .collect();
        let long: Vec<&str> = unsure.iter().map(|index| texts[*index]).collect();
        let cut = self.run(CHUNK, &long, |texts, reply| Job::Chunk { texts, reply });
        for (place, ranges) in unsure.into_iter().zip(cut.await?) {
            chunks[place] = ranges;
        }
        Ok(chunks)
    }
}

impl BertEmbedder {
    /// Has the thread do a job for every few texts, and gives what it made of
    /// each text, in order.
    async fn run<T: Clone + Default>(
        &self,
        operation: &'static str,
        texts: &[&str],
        make: impl Fn(Vec<String>, oneshot::Sender<MemoryResult<Vec<T>>>) -> Job,
    ) -> MemoryResult<Vec<T>> {
        let mut made = vec![T::default(); texts.len()];
        let mut jobs = jobs::cut(texts).into_iter();
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < JOBS_UNDER_WAY
                && let Some(places) = jobs.next()
            {
                let own = places.iter().map(|place| texts[*place].to_owned());
                let (reply, answer) = oneshot::channel();
                let submitted = self.worker.submit(make(own.collect(), reply)).await;
                submitted.map_err(|()| error::stopped(operation))?;
                under_way.push_back((places, answer));
            }
            let Some((places, answer)) = under_way.pop_front() else {
                return Ok(made);
            };
            let answer = answer.await.map_err(|_| error::stopped(operation))??;
            for (place, one) in places.into_iter().zip(answer) {
                made[place] = one;
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

fn no_thread(error: io::Error) -> MemoryError {
    folder_error::failed(OPEN, format!("no thread could be started: {error}")).with_source(error)
}
