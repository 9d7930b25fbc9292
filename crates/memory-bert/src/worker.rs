//! The one thread that owns the network, behind a bounded channel.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use memory_core::{EmbedRole, MemoryResult};
use memory_sentence_transformers::{BatchLimits, Tokenizer, Tokens, chunk, plan_batches};
use tokio::sync::{mpsc, oneshot};

use crate::network::Network;

/// Where an answer goes. A caller that has gone has closed it.
pub(crate) type Reply<T> = oneshot::Sender<MemoryResult<T>>;

/// A piece of work.
#[derive(Debug)]
pub(crate) enum Job {
    Embed {
        texts: Vec<String>,
        role: EmbedRole,
        reply: Reply<Vec<Vec<f32>>>,
    },
    Chunk {
        texts: Vec<String>,
        reply: Reply<Vec<Vec<Range<usize>>>>,
    },
}

/// What the thread works with.
pub(crate) struct Worker {
    pub(crate) network: Network,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) limits: BatchLimits,
    pub(crate) threads: i32,
}

/// The thread, from outside. Dropping it lets the job in hand end, drops what
/// waits, and waits for the thread.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerHandle {
    /// Starts the thread; at most `depth` jobs wait for it.
    pub(crate) fn start(worker: Worker, depth: usize) -> io::Result<Self> {
        let (sender, mut jobs) = mpsc::channel(depth);
        let thread = thread::Builder::new().name("memory-bert".to_owned());
        let thread = thread.spawn(move || {
            // libtorch counts threads for each thread that computes.
            tch::set_num_threads(worker.threads);
            while let Some(job) = jobs.blocking_recv() {
                worker.work(job);
            }
        })?;
        Ok(Self {
            jobs: Some(sender),
            thread: Some(thread),
        })
    }

    /// Hands in a job; waits while too many wait already. `Err` when the
    /// thread is gone.
    pub(crate) async fn submit(&self, job: Job) -> Result<(), ()> {
        let jobs = self.jobs.as_ref().ok_or(())?;
        jobs.send(job).await.map_err(drop)
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        // Without a sender the thread's loop ends. Nobody waits for a job that
        // is left: its caller would hold the embedder.
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic on it has been told to those whom it concerned.
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn work(&self, job: Job) {
        // A closed reply means that the caller has gone: no work for nobody.
        match job {
            Job::Embed { texts, role, reply } => {
                if let Some(vectors) = self.embed(&texts, role, &reply).transpose() {
                    let _ = reply.send(vectors);
                }
            }
            Job::Chunk { texts, reply } => {
                let cut = texts.iter().map(|text| {
                    // Between texts too: a long one takes its time.
                    (!reply.is_closed()).then(|| chunk(&self.tokenizer, text))
                });
                if let Some(chunks) = cut.collect::<Option<MemoryResult<_>>>() {
                    let _ = reply.send(chunks);
                }
            }
        }
    }

    /// Embeds the texts batch by batch; `None` once the caller has gone.
    fn embed(
        &self,
        texts: &[String],
        role: EmbedRole,
        reply: &Reply<Vec<Vec<f32>>>,
    ) -> MemoryResult<Option<Vec<Vec<f32>>>> {
        let tokens = texts.iter().map(|text| self.tokenizer.encode(text, role));
        let tokens: Vec<Tokens> = tokens.collect::<MemoryResult<_>>()?;
        let lengths: Vec<usize> = tokens.iter().map(Tokens::len).collect();
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in plan_batches(&lengths, self.limits) {
            if reply.is_closed() {
                return Ok(None);
            }
            let together: Vec<&Tokens> = batch.iter().map(|index| &tokens[*index]).collect();
            for (index, vector) in batch.iter().zip(self.network.embed(&together)?) {
                vectors[*index] = vector;
            }
        }
        Ok(Some(vectors))
    }
}
