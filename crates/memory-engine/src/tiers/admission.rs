//! Admission filter: remembers recently requested entities, whose snapshots are
//! worth loading.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::{Mutex, PoisonError};

use memory_core::EntityId;

/// Remembers the last `capacity` requested entities at least, twice as many at
/// most, in eight bytes each (plus what a set needs).
///
/// Two sets are rotated: when the newer is full, the older is dropped. Two
/// entities with the same hash count as one, which admits one of them a request
/// early.
pub(crate) struct AdmissionFilter {
    hasher: RandomState,
    capacity: usize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    newer: HashSet<u64>,
    older: HashSet<u64>,
}

impl AdmissionFilter {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            capacity: capacity.max(1),
            seen: Mutex::default(),
        }
    }

    /// Whether the entity was requested recently. Records this request.
    pub(crate) fn check_and_record(&self, entity: &EntityId) -> bool {
        let hash = self.hasher.hash_one(entity);
        // A panic under the lock leaves two sets, still sound.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.newer.contains(&hash) || seen.older.contains(&hash);
        if seen.newer.len() >= self.capacity && !seen.newer.contains(&hash) {
            seen.older = mem::take(&mut seen.newer);
        }
        seen.newer.insert(hash);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_request_is_admitted_unless_the_first_was_long_ago() {
        let filter = AdmissionFilter::new(100);
        let entity = |n: usize| EntityId::from(format!("entity {n}"));
        assert!(!filter.check_and_record(&entity(0)));
        assert!(filter.check_and_record(&entity(0)));
        for n in 1..100 {
            assert!(!filter.check_and_record(&entity(n)));
        }
        assert!(
            filter.check_and_record(&entity(1)),
            "a hundred are remembered"
        );
        for n in 100..1_000 {
            filter.check_and_record(&entity(n));
        }
        assert!(!filter.check_and_record(&entity(1)), "it was too long ago");
        let seen = filter.seen.lock().unwrap();
        assert!(seen.newer.len() + seen.older.len() <= 200);
    }
}
