//! What one thread does with a piece of work.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, TryLockError};

use memory_core::MemoryResult;
use memory_sentence_transformers::{Tokenizer, Tokens};

use crate::error::{self, CHUNK, EMBED};
use crate::graph::Graph;
use crate::job::{ChunkJob, EmbedJob};
use crate::pool::Waiting;
use crate::queue::{Batch, Lane, Queue, Work};

/// One thread's tools: a session of its own, the rest shared.
pub(crate) struct Worker {
    pub(crate) graph: Graph,
    /// A session whose batches are computed by all cores, for a batch that has
    /// the machine to itself.
    pub(crate) wide: Option<Arc<Mutex<Graph>>>,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) queue: Arc<Queue>,
}

impl Worker {
    /// Does a piece of work, unless its caller has gone, and answers the
    /// caller if it was the last.
    pub(crate) fn work(&mut self, work: Work) {
        match work {
            Work::Tokenize(job) => self.tokenize(&job),
            Work::Infer(batch) => self.infer(&batch),
            Work::Chunk(job) => self.chunk(job),
        }
    }

    fn tokenize(&self, job: &Arc<EmbedJob>) {
        if job.is_abandoned() {
            return;
        }
        let tokens = guarded(EMBED, || {
            let texts = job.texts.iter();
            texts
                .map(|text| self.tokenizer.encode(text, job.role).map(Arc::new))
                .collect::<Result<Vec<_>, _>>()
        });
        match tokens {
            Ok(tokens) => {
                if !self.queue.add(job, tokens) {
                    job.fail(error::stopped(EMBED));
                }
            }
            Err(error) => job.fail(error),
        }
    }

    fn infer(&mut self, batch: &Batch) {
        let tokens: Vec<&Tokens> = batch.texts.iter().map(|text| &*text.tokens).collect();
        match guarded(EMBED, || self.run(batch.is_alone, &tokens)) {
            Ok(vectors) => batch
                .texts
                .iter()
                .zip(vectors)
                .for_each(|(text, vector)| answer(text, vector)),
            Err(error) => batch
                .texts
                .iter()
                .for_each(|text| answer(text, Err(error.clone()))),
        }
    }

    fn run(
        &mut self,
        is_alone: bool,
        tokens: &[&Tokens],
    ) -> MemoryResult<Vec<MemoryResult<Vec<f32>>>> {
        match self
            .wide
            .as_ref()
            .filter(|_| is_alone)
            .map(|wide| wide.try_lock())
        {
            Some(Ok(mut wide)) => wide.run(tokens),
            // A panic leaves nothing half changed in a session.
            Some(Err(TryLockError::Poisoned(wide))) => wide.into_inner().run(tokens),
            None | Some(Err(TryLockError::WouldBlock)) => self.graph.run(tokens),
        }
    }

    fn chunk(&self, job: ChunkJob) {
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
                .map(|text| memory_sentence_transformers::chunk(&self.tokenizer, text))
                .collect()
        });
        drop(permit);
        // An error here means that the caller has gone.
        let _ = reply.send(chunks);
    }
}

/// Gives a text's vector, or what went wrong with it, to everyone who waits.
fn answer(text: &Waiting, vector: MemoryResult<Vec<f32>>) {
    for place in &text.places {
        match &vector {
            Ok(vector) => place.job.complete(place.index, vector.clone()),
            Err(error) => place.job.fail(error.clone()),
        }
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
pub(crate) fn lane(texts: &[&str], batch_tokens: usize) -> Lane {
    /// Bytes that a token of English takes, roughly.
    const BYTES_PER_TOKEN: usize = 4;
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    if texts.len() <= 1 || bytes <= batch_tokens * BYTES_PER_TOKEN {
        Lane::Express
    } else {
        Lane::Bulk
    }
}

#[cfg(test)]
mod tests;
