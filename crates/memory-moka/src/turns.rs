//! Writers to one key take turns, so that moka's books stay right.
//!
//! moka (0.12.16) books weights late, from a queue of writes. Where an entry
//! is replaced by one of another weight and removed before the queue is
//! worked off, the replacement is skipped as out of date, and yet the removal
//! takes the *new* weight off the books, which still hold the old. The
//! difference stays for ever: the cache ends up holding more than its capacity
//! allows, or, the other way round, less and less until nothing fits.
//!
//! So a removal that may meet such an entry has the queue worked off first,
//! and no one may replace the entry in between.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More than the threads that usually write at once.
const STRIPES: usize = 64;

/// A lock for each set of keys, with a note of whether any of them was written
/// since the queue was last worked off.
#[derive(Debug)]
pub(crate) struct Turns {
    stripes: [Mutex<Booking>; STRIPES],
    hasher: RandomState,
}

/// Whether moka has booked all that was written under a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Booking {
    /// Nothing is in the queue.
    Done,
    /// Something may be.
    Pending,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            stripes: [const { Mutex::new(Booking::Done) }; STRIPES],
            hasher: RandomState::new(),
        }
    }

    /// Waits for the turn to write to `key`.
    pub(crate) fn of(&self, key: &impl Hash) -> MutexGuard<'_, Booking> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of a hash will do"
        )]
        let stripe = self.hasher.hash_one(key) as usize % STRIPES;
        self.stripes[stripe]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
