//! The thread that owns the network, behind a channel of limited capacity.

use std::cmp::Reverse;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use memory_core::{EmbedRole, MemoryResult};
use memory_sentence_transformers::{BatchLimits, Tokenizer, Tokens, chunk, plan_batches};
use tokio::sync::{mpsc, oneshot};

use crate::network::Network;

/// The sender of a result. It is closed if the caller has dropped its future.
pub(crate) type Reply<T> = oneshot::Sender<MemoryResult<T>>;

/// The work of the thread.
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

/// The state of the thread.
pub(crate) struct Worker {
    pub(crate) network: Network,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) limits: BatchLimits,
    pub(crate) threads: i32,
}

/// The handle of the thread. Dropping it drops the waiting jobs and waits for the
/// current one.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerHandle {
    /// Starts the thread, for which at most `depth` jobs can wait.
    pub(crate) fn start(worker: Worker, depth: usize) -> io::Result<Self> {
        let (sender, mut jobs) = mpsc::channel(depth);
        let thread = thread::Builder::new().name("memory-bert".to_owned());
        let thread = thread.spawn(move || {
            // libtorch has the number of threads per calling thread.
            tch::set_num_threads(worker.threads);
            while let Some(job) = jobs.blocking_recv() {
                worker.process(job);
            }
        })?;
        Ok(Self {
            jobs: Some(sender),
            thread: Some(thread),
        })
    }

    /// Submits a job, and waits while the channel is full. `Err` if the thread has
    /// ended.
    pub(crate) async fn submit(&self, job: Job) -> Result<(), ()> {
        let jobs = self.jobs.as_ref().ok_or(())?;
        jobs.send(job).await.map_err(drop)
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        // Without a sender the thread's loop ends. No caller waits for the remaining
        // jobs, because it would hold the embedder.
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // Callers have received the errors of panics.
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn process(&self, job: Job) {
        // A closed reply means that the caller has dropped its future.
        match job {
            Job::Embed { texts, role, reply } => {
                if let Some(vectors) = self.embed(&texts, role, &reply).transpose() {
                    let _ = reply.send(vectors);
                }
            }
            Job::Chunk { texts, reply } => {
                let chunks = texts.iter().map(|text| {
                    // Checked per text, because a long one takes some time.
                    (!reply.is_closed()).then(|| chunk(&self.tokenizer, text))
                });
                if let Some(chunks) = chunks.collect::<Option<MemoryResult<_>>>() {
                    let _ = reply.send(chunks);
                }
            }
        }
    }

    /// Embeds the texts batch by batch; `None` if the caller has dropped its future.
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
            let batch_tokens: Vec<&Tokens> = batch.iter().map(|index| &tokens[*index]).collect();
            for (index, vector) in batch.iter().zip(self.network.embed(&batch_tokens)?) {
                vectors[*index] = vector;
            }
        }
        Ok(Some(vectors))
    }
}

/// The maximum of texts in a job.
const MAX_JOB_TEXTS: usize = 32;
/// The maximum of bytes in a job, unless a single text has more: about 1,000 tokens
/// of English, which take 0.2 s on two cores. A query waits that long during an
/// import.
const MAX_JOB_BYTES: usize = 4 * 1024;

/// Divides texts into jobs of indices, the longest texts first.
///
/// The texts of the whole call are sorted by their bytes, as an estimate of their
/// tokens, so that the texts of a job need little padding.
pub(crate) fn split_jobs(texts: &[&str]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|index| Reverse(texts[*index].len()));
    let mut jobs: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for index in order {
        let length = texts[index].len();
        match jobs.last_mut() {
            Some(job) if job.len() < MAX_JOB_TEXTS && bytes + length <= MAX_JOB_BYTES => {
                job.push(index);
                bytes += length;
            }
            _ => {
                jobs.push(vec![index]);
                bytes = length;
            }
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_contain_each_text_once_within_their_limits() {
        let (long, huge) = ("x".repeat(MAX_JOB_BYTES / 3), "y".repeat(MAX_JOB_BYTES + 1));
        let mut texts = vec!["short"; MAX_JOB_TEXTS + 1];
        texts.extend([long.as_str(); 4]);
        texts.push(&huge);
        let jobs = split_jobs(&texts);
        let sizes: Vec<usize> = jobs.iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 3, MAX_JOB_TEXTS, 2]);
        let mut seen = jobs.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..texts.len()).collect::<Vec<_>>());
        assert!(split_jobs(&[]).is_empty());
    }
}
