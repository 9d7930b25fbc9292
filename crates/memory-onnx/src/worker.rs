//! What one thread does with a piece of work.

use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use memory_core::MemoryResult;
use tokio::sync::OwnedSemaphorePermit;

use crate::batch::{self, BatchLimits};
use crate::chunk;
use crate::error::{self, CHUNK, EMBED};
use crate::graph::Graph;
use crate::job::{EmbedJob, Reply};
use crate::queue::{Lane, Queue};
use crate::tokenize::{Tokenizer, Tokens};

/// A piece of work: small enough that whoever waits behind it need not wait
/// long.
#[derive(Debug)]
pub(crate) enum Work {
    /// Tokenise a job's texts and cut them into batches.
    Tokenize(Arc<EmbedJob>),
    /// Compute one batch of a job, given by the indices of its texts.
    Infer(Arc<EmbedJob>, Vec<usize>),
    /// Cut texts into chunks.
    Chunk(ChunkJob),
}

/// Texts that are to be cut into chunks.
#[derive(Debug)]
pub(crate) struct ChunkJob {
    pub(crate) texts: Vec<String>,
    pub(crate) reply: Reply<Vec<Vec<Range<usize>>>>,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// One thread's tools: a session of its own, the rest shared.
pub(crate) struct Worker {
    pub(crate) graph: Graph,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) limits: BatchLimits,
    pub(crate) queue: Arc<Queue<Work>>,
}

impl Worker {
    /// Does a piece of work, unless its caller has gone, and answers the
    /// caller if it was the last.
    pub(crate) fn work(&mut self, work: Work) {
        match work {
            Work::Tokenize(job) => self.tokenize(job),
            Work::Infer(job, batch) => self.infer(&job, &batch),
            Work::Chunk(job) => self.chunk(job),
        }
    }

    fn tokenize(&mut self, job: Arc<EmbedJob>) {
        if job.is_abandoned() {
            return;
        }
        let tokens = guarded(EMBED, || {
            let texts = job.texts.iter();
            texts
                .map(|text| self.tokenizer.encode(text, job.role))
                .collect::<Result<Vec<_>, _>>()
        });
        let tokens = match tokens {
            Ok(tokens) => job.tokens.get_or_init(|| tokens),
            Err(error) => return job.fail(error),
        };
        let lengths: Vec<usize> = tokens.iter().map(Tokens::len).collect();
        let mut batches = batch::plan(&lengths, self.limits).into_iter();
        // The first batch is done here and now; with it, most queries are.
        let first = batches.next();
        for batch in batches {
            if self
                .queue
                .push(job.lane, Work::Infer(Arc::clone(&job), batch))
                .is_err()
            {
                return job.fail(error::stopped(EMBED));
            }
        }
        if let Some(batch) = first {
            self.infer(&job, &batch);
        }
    }

    fn infer(&mut self, job: &EmbedJob, batch: &[usize]) {
        if job.is_abandoned() {
            return;
        }
        let Some(tokens) = job.tokens.get() else {
            return job.fail(error::failed(EMBED, "a batch came before its tokens"));
        };
        let chosen: Vec<&Tokens> = batch.iter().map(|index| &tokens[*index]).collect();
        match guarded(EMBED, || self.graph.run(&chosen)) {
            Ok(vectors) => job.complete(batch, vectors),
            Err(error) => job.fail(error),
        }
    }

    fn chunk(&mut self, job: ChunkJob) {
        let ChunkJob {
            texts,
            reply,
            permit,
        } = job;
        if reply.is_closed() {
            return;
        }
        let chunks = guarded(CHUNK, || {
            texts
                .iter()
                .map(|text| chunk::chunk(&self.tokenizer, text))
                .collect()
        });
        drop(permit);
        // An error here means that the caller has gone.
        let _ = reply.send(chunks);
    }
}

/// Runs `compute` and makes an error of a panic, which then costs one caller
/// its answer and not everyone the thread. What the panic says is left out,
/// because it may quote the text.
fn guarded<T>(
    operation: &'static str,
    compute: impl FnOnce() -> MemoryResult<T>,
) -> MemoryResult<T> {
    // A session and a tokenizer hold no state that a panic between two calls
    // into them could leave half changed.
    panic::catch_unwind(AssertUnwindSafe(compute))
        .unwrap_or_else(|_| Err(error::failed(operation, "the embedder's thread panicked")))
}

/// Which lane a call takes: the express lane if it is about one batch of work.
pub(crate) fn lane(texts: &[&str], limits: BatchLimits) -> Lane {
    /// Bytes that a token of English takes, roughly.
    const BYTES_PER_TOKEN: usize = 4;
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    if texts.len() <= 1 || bytes <= limits.tokens * BYTES_PER_TOKEN {
        Lane::Express
    } else {
        Lane::Bulk
    }
}

#[cfg(test)]
mod tests;
