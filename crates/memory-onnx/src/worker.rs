//! The processing of work items by one thread.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, TryLockError};

use memory_core::MemoryResult;
use memory_metrics::label;
use memory_sentence_transformers::{Tokenizer, Tokens};
use tracing::debug_span;

use crate::batcher::{PendingText, padded};
use crate::error::{self, CHUNK, EMBED};
use crate::job::{ChunkJob, EmbedJob};
use crate::queue::{Batch, Priority, Queue, WorkItem};
use crate::session::ModelSession;

/// The state of one thread: a session of its own, the rest shared.
pub(crate) struct Worker {
    pub(crate) session: ModelSession,
    /// A session that uses all cores, for a batch that is computed alone.
    pub(crate) solo_session: Option<Arc<Mutex<ModelSession>>>,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) queue: Arc<Queue>,
}

impl Worker {
    /// Processes a work item, unless its caller has dropped the future.
    pub(crate) fn process(&mut self, item: WorkItem) {
        match item {
            WorkItem::Tokenize(job) => self.tokenize(&job),
            WorkItem::Infer(batch) => self.infer(&batch),
            WorkItem::Chunk(job) => self.chunk(job),
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
        let (used, padding) = count_tokens(&tokens);
        memory_metrics::EMBEDDING_TOKENS.increment(label!("kind": "text"), used);
        memory_metrics::EMBEDDING_TOKENS.increment(label!("kind": "padding"), padding);
        let texts = tokens.len();
        let _span = debug_span!("inference", texts, tokens = used, padding).entered();
        match guarded(EMBED, || self.run(batch.is_alone, &tokens)) {
            Ok(vectors) => batch
                .texts
                .iter()
                .zip(vectors)
                .for_each(|(text, vector)| send(text, vector)),
            Err(error) => batch
                .texts
                .iter()
                .for_each(|text| send(text, Err(error.clone()))),
        }
    }

    fn run(
        &mut self,
        is_alone: bool,
        tokens: &[&Tokens],
    ) -> MemoryResult<Vec<MemoryResult<Vec<f32>>>> {
        let solo_session = self.solo_session.as_ref().filter(|_| is_alone);
        match solo_session.map(|session| session.try_lock()) {
            Some(Ok(mut session)) => session.run(tokens),
            // A session has no state that a panic could leave inconsistent.
            Some(Err(TryLockError::Poisoned(session))) => session.into_inner().run(tokens),
            None | Some(Err(TryLockError::WouldBlock)) => self.session.run(tokens),
        }
    }

    fn chunk(&self, job: ChunkJob) {
        let ChunkJob {
            texts,
            reply,
            permit,
            ..
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
        // An error means that the caller has dropped its future.
        let _ = reply.send(chunks);
    }
}

/// The tokens of a batch's texts, and those that pad them.
fn count_tokens(tokens: &[&Tokens]) -> (u64, u64) {
    let (mut used, mut total) = (0, 0);
    for text in tokens {
        used += text.len() as u64;
        total += padded(text.len()) as u64;
    }
    (used, total - used)
}

/// Sends a text's vector or error to all jobs that wait for it.
fn send(text: &PendingText, vector: MemoryResult<Vec<f32>>) {
    for slot in &text.slots {
        match &vector {
            Ok(vector) => slot.job.complete(slot.index, vector.clone()),
            Err(error) => slot.job.fail(error.clone()),
        }
    }
}

/// Runs `compute` and turns a panic into an error, so that the thread survives.
/// The panic's message is left out, because it may quote the text.
fn guarded<T>(
    operation: &'static str,
    compute: impl FnOnce() -> MemoryResult<T>,
) -> MemoryResult<T> {
    // Sessions and tokenizers have no state that a panic could leave inconsistent.
    panic::catch_unwind(AssertUnwindSafe(compute))
        .unwrap_or_else(|_| Err(error::failed(operation, "the embedder's thread panicked")))
}

/// The priority of a call: interactive if it is about one batch of work.
pub(crate) fn priority_of(texts: &[&str], batch_tokens: usize) -> Priority {
    /// The approximate bytes per token of English text.
    const BYTES_PER_TOKEN: usize = 4;
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    if texts.len() <= 1 || bytes <= batch_tokens * BYTES_PER_TOKEN {
        Priority::Interactive
    } else {
        Priority::Bulk
    }
}

#[cfg(test)]
mod tests;
