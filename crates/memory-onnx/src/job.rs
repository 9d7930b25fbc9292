//! The jobs of a call, and their replies.
//!
//! A call is divided into segments, so that an import consists of many small jobs.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use memory_core::{EmbedRole, MemoryError, MemoryResult};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::queue::Priority;

/// The maximum of texts in a segment. Among this many, texts of similar length can
/// share a batch, and tokenizing them takes no longer than a batch.
const MAX_SEGMENT_TEXTS: usize = 512;
/// The maximum of bytes in a segment, unless a single text has more.
const MAX_SEGMENT_BYTES: usize = 256 * 1024;

/// Divides texts into segments of at most [`MAX_SEGMENT_TEXTS`] texts and
/// [`MAX_SEGMENT_BYTES`] bytes.
pub(crate) fn segments<'a, 'b>(mut texts: &'a [&'b str]) -> impl Iterator<Item = &'a [&'b str]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |text: &&&str| {
            bytes += text.len();
            bytes <= MAX_SEGMENT_BYTES
        };
        let count = texts
            .iter()
            .take(MAX_SEGMENT_TEXTS)
            .take_while(fits)
            .count();
        let (segment, rest) = texts.split_at(count.max(1).min(texts.len()));
        texts = rest;
        (!segment.is_empty()).then_some(segment)
    })
}

/// The sender of a result.
pub(crate) type Reply<T> = oneshot::Sender<MemoryResult<T>>;

/// The receiver of a result, on which a caller waits.
pub(crate) type ResultReceiver<T> = oneshot::Receiver<MemoryResult<T>>;

/// Texts to split into chunks.
#[derive(Debug)]
pub(crate) struct ChunkJob {
    pub(crate) texts: Vec<String>,
    /// When the job was made.
    pub(crate) since: Instant,
    pub(crate) reply: Reply<Vec<Vec<Range<usize>>>>,
    /// The job's permit of the limited queue, returned when the job ends.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Distinct texts to embed. Several threads may work on them at the same time, in
/// batches with texts of other jobs; the last text completes the job.
#[derive(Debug)]
pub(crate) struct EmbedJob {
    pub(crate) texts: Vec<String>,
    pub(crate) role: EmbedRole,
    pub(crate) priority: Priority,
    /// When the job was made.
    pub(crate) since: Instant,
    progress: Mutex<Progress>,
    /// The job's permit of the limited queue, returned when the job ends.
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Progress {
    /// One vector per text; empty if it is not computed yet.
    vectors: Vec<Vec<f32>>,
    /// The number of texts without a vector.
    remaining: usize,
    /// `None` once the result has been sent.
    reply: Option<Reply<Vec<Vec<f32>>>>,
}

impl EmbedJob {
    pub(crate) fn new(
        texts: Vec<String>,
        role: EmbedRole,
        priority: Priority,
        permit: OwnedSemaphorePermit,
    ) -> (Self, ResultReceiver<Vec<Vec<f32>>>) {
        let (reply, answer) = oneshot::channel();
        let progress = Progress {
            vectors: vec![Vec::new(); texts.len()],
            remaining: texts.len(),
            reply: Some(reply),
        };
        let job = Self {
            texts,
            role,
            priority,
            since: Instant::now(),
            progress: Mutex::new(progress),
            _permit: permit,
        };
        (job, answer)
    }

    /// Whether no caller waits: its future was dropped, or it has received the
    /// error of another text.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.progress().reply.as_ref().is_none_or(Reply::is_closed)
    }

    /// Stores the vector of a text; the last one sends the result.
    pub(crate) fn complete(&self, index: usize, vector: Vec<f32>) {
        let mut progress = self.progress();
        let Some(entry) = progress.vectors.get_mut(index) else {
            return;
        };
        *entry = vector;
        progress.remaining = progress.remaining.saturating_sub(1);
        if progress.remaining == 0 {
            let vectors = std::mem::take(&mut progress.vectors);
            send_once(progress, Ok(vectors));
        }
    }

    /// Sends an error; the remaining texts are skipped.
    pub(crate) fn fail(&self, error: MemoryError) {
        send_once(self.progress(), Err(error));
    }

    /// The number of texts without a vector.
    #[cfg(test)]
    pub(crate) fn remaining(&self) -> usize {
        self.progress().remaining
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends the result once, outside the lock, because the caller may continue
/// immediately.
fn send_once(mut progress: MutexGuard<'_, Progress>, result: MemoryResult<Vec<Vec<f32>>>) {
    let reply = progress.reply.take();
    drop(progress);
    if let Some(reply) = reply {
        // An error means that the caller has dropped its future.
        let _ = reply.send(result);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memory_core::ErrorKind;
    use tokio::sync::Semaphore;

    use super::*;

    fn job(texts: usize) -> (EmbedJob, ResultReceiver<Vec<Vec<f32>>>, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&gate).try_acquire_owned().unwrap();
        let texts = vec![String::new(); texts];
        let (job, answer) = EmbedJob::new(texts, EmbedRole::Query, Priority::Bulk, permit);
        (job, answer, gate)
    }

    #[test]
    fn the_last_text_sends_the_vectors_in_the_order_of_the_texts() {
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
    fn the_first_error_is_sent_and_the_job_is_abandoned() {
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
    fn a_dropped_receiver_is_noticed() {
        let (job, answer, _) = job(1);
        assert!(!job.is_abandoned());
        drop(answer);
        assert!(job.is_abandoned());
    }

    #[test]
    fn segments_contain_all_texts_in_order_within_their_limits() {
        let (long, huge) = (
            "x".repeat(MAX_SEGMENT_BYTES / 3),
            "y".repeat(MAX_SEGMENT_BYTES + 1),
        );
        let mut texts = vec!["short"; MAX_SEGMENT_TEXTS + 1];
        texts.extend([long.as_str(); 5]);
        texts.push(&huge);
        texts.push("last");
        let cut: Vec<&[&str]> = segments(&texts).collect();
        assert_eq!(cut.concat(), texts);
        let sizes: Vec<usize> = cut.iter().map(|segment| segment.len()).collect();
        assert_eq!(sizes, [MAX_SEGMENT_TEXTS, 3, 3, 1, 1]);
        assert_eq!(segments(&[]).count(), 0);
    }
}
