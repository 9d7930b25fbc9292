//! What waits for the threads: two lanes, small calls before large ones.
//!
//! In each lane there is work that comes first (texts to tokenize, texts to
//! cut into chunks) and the pool of tokenized texts, of which a batch is made
//! at the moment a thread is free to compute it. So callers who come while a
//! batch runs share the next one.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use memory_sentence_transformers::Tokens;

use crate::job::{ChunkJob, EmbedJob};
use crate::pool::{Place, Pool, Taken, Waiting};

/// Which lane a piece of work takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Calls of about one batch: a query, a single memory.
    Express,
    /// Calls of many batches: an import.
    Bulk,
}

/// After so many pieces of the express lane in a row, one of the bulk lane has
/// its turn, so that a stream of queries does not stop an import.
const EXPRESS_IN_A_ROW: usize = 8;

/// Tokens of a batch below which it is not worth while to give a part of the
/// texts to another thread.
const LEAST_SHARE: usize = 32;

/// What a thread does next.
#[derive(Debug)]
pub(crate) enum Work {
    /// Tokenize a job's texts and put them into the pool of its lane.
    Tokenize(Arc<EmbedJob>),
    /// Cut texts into chunks.
    Chunk(ChunkJob),
    /// Compute a batch.
    Infer(Batch),
}

/// Texts that are computed together.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) texts: Vec<Waiting>,
    /// Whether all other threads were idle when it was made, and nothing else
    /// waited.
    pub(crate) is_alone: bool,
    _computing: Computing,
}

/// Counts a batch for as long as it is being computed.
#[derive(Debug)]
struct Computing(Arc<AtomicUsize>);

impl Computing {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        // A count that is a moment old makes a batch smaller or larger, no more.
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Computing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Shared by those who bring work and the threads that take it.
///
/// It is unbounded: who brings work holds one of a bounded number of permits.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Most tokens of a batch, padding included.
    batch_tokens: usize,
    /// Threads that take from it.
    threads: usize,
    /// Batches that are being computed, each by a thread.
    computing: Arc<AtomicUsize>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    express: LaneState,
    bulk: LaneState,
    express_in_a_row: usize,
    /// Threads that wait for work.
    idle: usize,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct LaneState {
    first: VecDeque<Work>,
    pool: Pool,
}

impl LaneState {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.pool.is_empty()
    }
}

impl Queue {
    /// A queue for so many threads, whose batches have at most `batch_tokens`
    /// tokens, padding included, unless one text alone has more.
    pub(crate) fn new(batch_tokens: usize, threads: usize) -> Self {
        Self {
            batch_tokens,
            threads,
            computing: Arc::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Puts work at the end of a lane; a closed queue gives it back.
    pub(crate) fn push(&self, lane: Lane, work: Work) -> Result<(), Work> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(work);
        }
        state.lane(lane).first.push_back(work);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Puts a job's texts into the pool of its lane. A closed queue takes
    /// nothing and says so.
    pub(crate) fn add(&self, job: &Arc<EmbedJob>, texts: Vec<Arc<Tokens>>) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            return false;
        }
        let pool = &mut state.lane(job.lane).pool;
        for (index, tokens) in texts.into_iter().enumerate() {
            let job = Arc::clone(job);
            pool.add(tokens, Place { job, index });
        }
        // Who brought them takes a batch too.
        let is_worth_sharing = pool.tokens() > LEAST_SHARE && state.idle > 0;
        drop(state);
        if is_worth_sharing {
            self.changed.notify_all();
        }
        true
    }

    /// Waits for work; `None` once the queue is closed.
    pub(crate) fn next(&self) -> Option<Work> {
        let mut abandoned = Vec::new();
        loop {
            // Dropping texts may wake their callers, so no lock is held.
            abandoned.clear();
            let mut state = self.lock();
            while !state.is_closed && state.express.is_empty() && state.bulk.is_empty() {
                state.idle += 1;
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
            if state.is_closed {
                return None;
            }
            let work = self.take(&mut state, &mut abandoned);
            drop(state);
            if work.is_some() {
                return work;
            }
        }
    }

    /// Lets nothing more in or out; what waits is dropped.
    pub(crate) fn close(&self) {
        let dropped = {
            let mut state = self.lock();
            state.is_closed = true;
            (mem::take(&mut state.express), mem::take(&mut state.bulk))
        };
        self.changed.notify_all();
        // Outside the lock: what is dropped may wake its caller.
        drop(dropped);
    }

    /// The next piece of work; `None` if all that was there was abandoned.
    fn take(&self, state: &mut State, abandoned: &mut Vec<Waiting>) -> Option<Work> {
        let all_idle = state.idle + 1 == self.threads;
        let bulk_s_turn = state.express_in_a_row >= EXPRESS_IN_A_ROW && !state.bulk.is_empty();
        let is_express = !bulk_s_turn && !state.express.is_empty();
        let lane = state.lane(if is_express {
            Lane::Express
        } else {
            Lane::Bulk
        });
        // All that waits is tokenized before a batch is made of it.
        if let Some(work) = lane.first.pop_front() {
            return Some(work);
        }
        // Whoever brought texts and whoever was woken for them may come in
        // either order, so a share is for each that computes nothing.
        let free = self
            .threads
            .saturating_sub(self.computing.load(Ordering::Relaxed));
        let share = lane.pool.tokens().div_ceil(free.max(1)).max(LEAST_SHARE);
        let Taken {
            batch,
            abandoned: gone,
        } = lane.pool.take(self.batch_tokens.min(share));
        abandoned.extend(gone);
        if batch.is_empty() {
            return None;
        }
        state.express_in_a_row = if is_express {
            state.express_in_a_row + 1
        } else {
            0
        };
        Some(Work::Infer(Batch {
            texts: batch,
            is_alone: all_idle && state.express.is_empty() && state.bulk.is_empty(),
            _computing: Computing::begin(&self.computing),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lane(&mut self, lane: Lane) -> &mut LaneState {
        match lane {
            Lane::Express => &mut self.express,
            Lane::Bulk => &mut self.bulk,
        }
    }
}

#[cfg(test)]
mod tests;
