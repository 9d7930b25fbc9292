//! A queue with two lanes: work that is small goes before work that is large.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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

/// Shared by those who bring work and the threads that take it.
///
/// It is unbounded: who brings work holds one of a bounded number of permits.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    express: VecDeque<T>,
    bulk: VecDeque<T>,
    express_in_a_row: usize,
    open: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                express: VecDeque::new(),
                bulk: VecDeque::new(),
                express_in_a_row: 0,
                open: true,
            }),
            changed: Condvar::new(),
        }
    }

    /// Puts work at the end of a lane; a closed queue gives it back.
    pub(crate) fn push(&self, lane: Lane, work: T) -> Result<(), T> {
        let mut state = self.lock();
        if !state.open {
            return Err(work);
        }
        match lane {
            Lane::Express => state.express.push_back(work),
            Lane::Bulk => state.bulk.push_back(work),
        }
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for work; `None` once the queue is closed.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if !state.open {
                return None;
            }
            if let Some(work) = state.next() {
                return Some(work);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets nothing more in or out; what waits is dropped.
    pub(crate) fn close(&self) {
        let dropped = {
            let mut state = self.lock();
            state.open = false;
            (
                std::mem::take(&mut state.express),
                std::mem::take(&mut state.bulk),
            )
        };
        self.changed.notify_all();
        // Outside the lock: what is dropped may wake its caller.
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn next(&mut self) -> Option<T> {
        let bulk_s_turn = self.express_in_a_row >= EXPRESS_IN_A_ROW && !self.bulk.is_empty();
        if !bulk_s_turn && let Some(work) = self.express.pop_front() {
            self.express_in_a_row += 1;
            return Some(work);
        }
        self.express_in_a_row = 0;
        self.bulk.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_express_lane_goes_first_but_not_for_ever() {
        let queue = Queue::new();
        for n in 0..3 {
            queue.push(Lane::Bulk, 100 + n).unwrap();
        }
        for n in 0..EXPRESS_IN_A_ROW + 2 {
            queue.push(Lane::Express, n).unwrap();
        }
        let order: Vec<_> = (0..EXPRESS_IN_A_ROW + 5)
            .map(|_| queue.pop().unwrap())
            .collect();
        let mut expected: Vec<_> = (0..EXPRESS_IN_A_ROW).collect();
        expected.extend([100, 8, 9, 101, 102]);
        assert_eq!(order, expected);
    }

    #[test]
    fn closing_wakes_who_waits_and_drops_what_waits() {
        let queue = std::sync::Arc::new(Queue::new());
        let waiting = {
            let queue = std::sync::Arc::clone(&queue);
            std::thread::spawn(move || {
                let first = queue.pop().is_some();
                (first, queue.pop().is_some())
            })
        };
        queue.push(Lane::Bulk, ()).unwrap();
        while !queue.lock().bulk.is_empty() {
            std::thread::yield_now();
        }
        queue.close();
        assert_eq!(waiting.join().unwrap(), (true, false));
        assert!(queue.push(Lane::Express, ()).is_err());
    }
}
