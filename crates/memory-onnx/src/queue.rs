//! The queue of the worker threads, with two priorities.
//!
//! Each priority has tasks that come first (texts to tokenize, texts to split
//! into chunks) and a batcher of tokenized texts. A batch is formed only when a
//! thread is free to compute it, so texts that arrive while a batch is computed
//! share the next one.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use memory_metrics::{Samples, Source, label};
use memory_sentence_transformers::Tokens;

use crate::batcher::{Batcher, DrainedBatch, PendingText, ReplySlot};
use crate::job::{ChunkJob, EmbedJob};

/// The priority of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Calls of about one batch: a query, a single memory.
    Interactive,
    /// Calls of many batches: an import.
    Bulk,
}

/// The maximum of consecutive interactive batches while bulk work is waiting, so
/// that a stream of queries does not stop an import.
const MAX_INTERACTIVE_IN_A_ROW: usize = 8;

/// The minimum of tokens in a batch when texts are divided among free threads:
/// smaller batches gain nothing.
const MIN_SHARE: usize = 32;

/// What a thread does next.
#[derive(Debug)]
pub(crate) enum WorkItem {
    /// Tokenize a job's texts and add them to the batcher of its priority.
    Tokenize(Arc<EmbedJob>),
    /// Split texts into chunks.
    Chunk(ChunkJob),
    /// Compute a batch.
    Infer(Batch),
}

impl WorkItem {
    fn len(&self) -> usize {
        match self {
            Self::Tokenize(job) => job.texts.len(),
            Self::Chunk(job) => job.texts.len(),
            Self::Infer(batch) => batch.texts.len(),
        }
    }

    /// When its job was made; a batch does not wait.
    fn since(&self) -> Option<Instant> {
        match self {
            Self::Tokenize(job) => Some(job.since),
            Self::Chunk(job) => Some(job.since),
            Self::Infer(_) => None,
        }
    }
}

/// Texts that are computed together.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) texts: Vec<PendingText>,
    /// Whether no other batch was being computed when this one was formed, and
    /// nothing else was waiting.
    pub(crate) is_alone: bool,
    _guard: ComputingGuard,
}

/// Counts a batch as long as it is being computed.
#[derive(Debug)]
struct ComputingGuard(Arc<AtomicUsize>);

impl ComputingGuard {
    fn new(computing: &Arc<AtomicUsize>) -> Self {
        // A count that is slightly out of date only affects the size of a batch.
        computing.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(computing))
    }
}

impl Drop for ComputingGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The queue, shared by callers and worker threads.
///
/// It has no limit of its own: a caller holds one of a limited number of permits.
#[derive(Debug)]
pub(crate) struct Queue {
    /// The maximum of tokens in a batch, padding included.
    batch_tokens: usize,
    /// The number of threads that take work.
    threads: usize,
    /// The number of batches that are being computed, each by one thread.
    computing: Arc<AtomicUsize>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    interactive: PriorityState,
    bulk: PriorityState,
    interactive_in_a_row: usize,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct PriorityState {
    tasks: VecDeque<WorkItem>,
    batcher: Batcher,
}

impl PriorityState {
    /// The number of waiting texts.
    fn len(&self) -> usize {
        let texts = self.tasks.iter().map(WorkItem::len);
        texts.sum::<usize>() + self.batcher.len()
    }

    /// When the oldest waiting job was made.
    fn oldest(&self) -> Option<Instant> {
        let task = self.tasks.front().and_then(WorkItem::since);
        [task, self.batcher.oldest()].into_iter().flatten().min()
    }

    fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.batcher.is_empty()
    }
}

impl Queue {
    /// Creates a queue for `threads` threads with batches of at most
    /// `batch_tokens` tokens, padding included, unless a single text has more.
    pub(crate) fn new(batch_tokens: usize, threads: usize) -> Self {
        Self {
            batch_tokens,
            threads,
            computing: Arc::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Appends a task. A closed queue returns it.
    pub(crate) fn push(&self, priority: Priority, item: WorkItem) -> Result<(), WorkItem> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(item);
        }
        state.of(priority).tasks.push_back(item);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Adds a job's tokenized texts to the batcher of its priority. Returns
    /// whether the queue is open.
    pub(crate) fn add(&self, job: &Arc<EmbedJob>, texts: Vec<Arc<Tokens>>) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            return false;
        }
        let batcher = &mut state.of(job.priority).batcher;
        for (index, tokens) in texts.into_iter().enumerate() {
            let job = Arc::clone(job);
            batcher.add(tokens, ReplySlot { job, index });
        }
        // The calling thread takes one batch itself.
        let is_worth_sharing = batcher.tokens() > MIN_SHARE;
        drop(state);
        if is_worth_sharing {
            self.changed.notify_all();
        }
        true
    }

    /// Waits for work; `None` once the queue is closed.
    pub(crate) fn next(&self) -> Option<WorkItem> {
        let mut abandoned = Vec::new();
        loop {
            // Dropping texts may wake their callers, so no lock is held.
            abandoned.clear();
            let mut state = self.lock();
            while !state.is_closed && state.is_empty() {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.is_closed {
                return None;
            }
            let item = self.take(&mut state, &mut abandoned);
            drop(state);
            if item.is_some() {
                return item;
            }
        }
    }

    /// Closes the queue and drops all waiting work.
    pub(crate) fn close(&self) {
        let dropped = {
            let mut state = self.lock();
            state.is_closed = true;
            (
                mem::take(&mut state.interactive),
                mem::take(&mut state.bulk),
            )
        };
        self.changed.notify_all();
        // Outside the lock, because dropping may wake callers.
        drop(dropped);
    }

    /// The next work item; `None` if all waiting texts were abandoned.
    fn take(&self, state: &mut State, abandoned: &mut Vec<PendingText>) -> Option<WorkItem> {
        let is_bulk_due =
            state.interactive_in_a_row >= MAX_INTERACTIVE_IN_A_ROW && !state.bulk.is_empty();
        let is_interactive = !is_bulk_due && !state.interactive.is_empty();
        let selected = state.of(if is_interactive {
            Priority::Interactive
        } else {
            Priority::Bulk
        });
        // All waiting texts are tokenized before a batch is formed.
        if let Some(item) = selected.tasks.pop_front() {
            return Some(item);
        }
        // Each thread that computes nothing gets a share, whether it is the one
        // that added the texts or one that was woken for them.
        let computing = self.computing.load(Ordering::Relaxed);
        let free = self.threads.saturating_sub(computing).max(1);
        let share = selected.batcher.tokens().div_ceil(free).max(MIN_SHARE);
        let drained = selected.batcher.drain(self.batch_tokens.min(share));
        let DrainedBatch {
            batch,
            abandoned: skipped,
        } = drained;
        abandoned.extend(skipped);
        if batch.is_empty() {
            return None;
        }
        state.interactive_in_a_row = if is_interactive {
            state.interactive_in_a_row + 1
        } else {
            0
        };
        Some(WorkItem::Infer(Batch {
            texts: batch,
            is_alone: computing == 0 && state.is_empty(),
            _guard: ComputingGuard::new(&self.computing),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Queue {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge needs no more than 53 bits"
    )]
    fn sample(&self, samples: &mut Samples) {
        let state = self.lock();
        let depths = [
            (label!("priority": "interactive"), state.interactive.len()),
            (label!("priority": "bulk"), state.bulk.len()),
        ];
        let oldest = [state.interactive.oldest(), state.bulk.oldest()];
        drop(state);
        for (labels, depth) in depths {
            let metric = &memory_metrics::EMBEDDING_QUEUE_DEPTH;
            samples.gauge(metric, labels, depth as f64);
        }
        let oldest = oldest.into_iter().flatten().min();
        let age = oldest.map_or(0.0, |since| since.elapsed().as_secs_f64());
        samples.max_gauge(&memory_metrics::EMBEDDING_QUEUE_AGE, &[], age);
    }
}

impl State {
    fn of(&mut self, priority: Priority) -> &mut PriorityState {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Bulk => &mut self.bulk,
        }
    }

    fn is_empty(&self) -> bool {
        self.interactive.is_empty() && self.bulk.is_empty()
    }
}

#[cfg(test)]
mod tests;
