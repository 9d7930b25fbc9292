//! Locks for sets of keys, which serialize the writes to one key.
//!
//! moka (0.12.16) accounts for weights asynchronously, from a queue of writes.
//! If an entry is replaced by one of another weight and removed before the
//! queue is processed, moka skips the replacement as out of date, but the
//! removal still subtracts the *new* weight from a total that holds the old
//! one. The error is permanent: the cache ends up holding more than its
//! capacity, or less and less until nothing fits.
//!
//! So a removal that may meet such an entry processes the queue first, and the
//! key's lock keeps the entry from being replaced in between. Each operation
//! takes one lock only, so there is no deadlock.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More than the number of threads that usually write at the same time.
const STRIPES: usize = 64;

/// A lock for each set of keys, which records whether any key of the set was
/// written since the queue was last processed.
#[derive(Debug)]
pub(crate) struct KeyLocks {
    stripes: [Mutex<PendingWrites>; STRIPES],
    hasher: RandomState,
}

/// Whether moka may not have accounted for a write to the lock's keys yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PendingWrites {
    /// The queue holds no write to these keys.
    No,
    /// The queue may hold one.
    Possible,
}

impl KeyLocks {
    pub(crate) fn new() -> Self {
        Self {
            stripes: [const { Mutex::new(PendingWrites::No) }; STRIPES],
            hasher: RandomState::new(),
        }
    }

    /// Waits for the lock that covers `key`.
    pub(crate) fn lock(&self, key: &impl Hash) -> MutexGuard<'_, PendingWrites> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of the hash select a stripe equally well"
        )]
        let stripe = self.hasher.hash_one(key) as usize % STRIPES;
        self.stripes[stripe]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
