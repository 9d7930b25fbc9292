//! A caller's work as the threads see it: what to do, and whom to answer.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memory_core::{EmbedRole, MemoryError, MemoryResult};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::queue::Lane;

/// Who waits for an answer.
pub(crate) type Reply<T> = oneshot::Sender<MemoryResult<T>>;

/// What a caller gets to wait on.
pub(crate) type Answer<T> = oneshot::Receiver<MemoryResult<T>>;

/// Texts that are to be cut into chunks.
#[derive(Debug)]
pub(crate) struct ChunkJob {
    pub(crate) texts: Vec<String>,
    pub(crate) reply: Reply<Vec<Vec<Range<usize>>>>,
    /// The job's place in the bounded queue, given back when it is over.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Dedup texts that are to be embedded. Several threads may work on them at
/// the same time, each text in a batch with those of other jobs; the last text
/// answers the caller.
#[derive(Debug)]
pub(crate) struct EmbedJob {
    pub(crate) texts: Vec<String>,
    pub(crate) role: EmbedRole,
    pub(crate) lane: Lane,
    progress: Mutex<Progress>,
    /// The job's place in the bounded queue, given back when it is over.
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Progress {
    /// One for each text; empty where it is not computed yet.
    vectors: Vec<Vec<f32>>,
    /// Texts without a vector.
    left: usize,
    /// `None` once the caller has been answered.
    reply: Option<Reply<Vec<Vec<f32>>>>,
}

impl EmbedJob {
    pub(crate) fn new(
        texts: Vec<String>,
        role: EmbedRole,
        lane: Lane,
        permit: OwnedSemaphorePermit,
    ) -> (Self, Answer<Vec<Vec<f32>>>) {
        let (reply, answer) = oneshot::channel();
        let progress = Progress {
            vectors: vec![Vec::new(); texts.len()],
            left: texts.len(),
            reply: Some(reply),
        };
        let job = Self {
            texts,
            role,
            lane,
            progress: Mutex::new(progress),
            _permit: permit,
        };
        (job, answer)
    }

    /// Whether nobody waits any more: the caller has gone, or has been
    /// answered with the error of another text.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.progress().reply.as_ref().is_none_or(Reply::is_closed)
    }

    /// Notes the vector of a text; with the last one, answers the caller.
    pub(crate) fn complete(&self, index: usize, vector: Vec<f32>) {
        let mut progress = self.progress();
        let Some(place) = progress.vectors.get_mut(index) else {
            return;
        };
        *place = vector;
        progress.left = progress.left.saturating_sub(1);
        if progress.left == 0 {
            let vectors = std::mem::take(&mut progress.vectors);
            answer(progress, Ok(vectors));
        }
    }

    /// Answers the caller with an error; texts still to come are skipped.
    pub(crate) fn fail(&self, error: MemoryError) {
        answer(self.progress(), Err(error));
    }

    /// Texts that have no vector yet.
    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.progress().left
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers the caller once, outside the lock: it may wake and go on at once.
fn answer(mut progress: MutexGuard<'_, Progress>, result: MemoryResult<Vec<Vec<f32>>>) {
    let reply = progress.reply.take();
    drop(progress);
    if let Some(reply) = reply {
        // An error here means that the caller has gone.
        let _ = reply.send(result);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memory_core::ErrorKind;
    use tokio::sync::Semaphore;

    use super::*;

    fn job(texts: usize) -> (EmbedJob, Answer<Vec<Vec<f32>>>, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&gate).try_acquire_owned().unwrap();
        let texts = vec![String::new(); texts];
        let (job, answer) = EmbedJob::new(texts, EmbedRole::Query, Lane::Bulk, permit);
        (job, answer, gate)
    }

    #[test]
    fn the_last_text_answers_in_the_order_of_the_texts() {
        let (job, mut answer, gate) = job(3);
        job.complete(2, vec![2.0]);
        job.complete(0, vec![0.0]);
        assert!(answer.try_recv().is_err() && !job.is_abandoned());
        job.complete(1, vec![1.0]);
        let vectors = answer.try_recv().unwrap().unwrap();
        assert_eq!(vectors, [[0.0], [1.0], [2.0]]);
        assert_eq!(gate.available_permits(), 0);
        drop(job);
        assert_eq!(gate.available_permits(), 1);
    }

    #[test]
    fn the_first_error_is_the_answer_and_the_rest_is_not_worth_doing() {
        let (job, mut answer, _) = job(2);
        job.fail(MemoryError::embedder(ErrorKind::Other, "embed", "first"));
        assert!(job.is_abandoned());
        job.fail(MemoryError::embedder(ErrorKind::Other, "embed", "second"));
        job.complete(0, vec![0.0]);
        job.complete(1, vec![1.0]);
        let error = answer.try_recv().unwrap().unwrap_err();
        assert!(error.to_string().contains("first"));
    }

    #[test]
    fn a_caller_that_has_gone_is_noticed() {
        let (job, answer, _) = job(1);
        assert!(!job.is_abandoned());
        drop(answer);
        assert!(job.is_abandoned());
    }
}
