//! Who was here before: what decides whether a snapshot is worth loading.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::{Mutex, PoisonError};

use memory_core::EntityId;

/// Remembers who knocked lately: so many entities at least, twice as many at
/// most, eight bytes (and what a set spends) each.
///
/// Two sets take turns: the newer is filled, and when it is full the older is
/// forgotten. Two entities with one hash are taken for each other, which lets
/// one of them in a visit early.
pub(crate) struct Door {
    hasher: RandomState,
    room: usize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    newer: HashSet<u64>,
    older: HashSet<u64>,
}

impl Door {
    /// A door that remembers the last `room` entities at least.
    pub(crate) fn new(room: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            room: room.max(1),
            known: Mutex::default(),
        }
    }

    /// Whether the entity knocked before, lately. It is remembered from now on.
    pub(crate) fn knows(&self, entity: &EntityId) -> bool {
        let name = self.hasher.hash_one(entity);
        // A panic under the lock leaves two sets, still sound.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.newer.contains(&name) || known.older.contains(&name);
        if known.newer.len() >= self.room && !known.newer.contains(&name) {
            known.older = mem::take(&mut known.newer);
        }
        known.newer.insert(name);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_again_is_known_and_who_came_long_ago_is_not() {
        let door = Door::new(100);
        let entity = |n: usize| EntityId::from(format!("entity {n}"));
        assert!(!door.knows(&entity(0)));
        assert!(door.knows(&entity(0)));
        for n in 1..100 {
            assert!(!door.knows(&entity(n)));
        }
        assert!(door.knows(&entity(1)), "a hundred are remembered");
        for n in 100..1_000 {
            door.knows(&entity(n));
        }
        assert!(!door.knows(&entity(1)), "it was too long ago");
        let known = door.known.lock().unwrap();
        assert!(known.newer.len() + known.older.len() <= 200);
    }
}
