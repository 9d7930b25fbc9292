//! How far a replica must have replayed the log to have this process's own writes.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use memory_core::EntityId;

/// Entities share a stripe by their hash. Reads of an entity then also wait for the
/// writes of about one in so many others, and memory stays bounded.
const STRIPES: usize = 1_024;

/// A position in the primary's log, in bytes.
pub(crate) type Position = i64;

/// The position that includes every write of this process, by entity.
///
/// A write only counts itself here: asking for the position after each commit would
/// cost every writer a round trip. The first read after a write asks.
#[derive(Debug)]
pub(crate) struct WritePositions {
    stripes: Vec<Mutex<Stripe>>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Stripe {
    /// Writes that ended, whatever their outcome.
    writes: u64,
    /// How many of them are at or before `position`.
    covered: u64,
    position: Position,
}

/// What is known of an entity's writes when a read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnWrites {
    writes: u64,
    /// The position that includes all of them; `None` until the primary was asked.
    pub(crate) position: Option<Position>,
}

impl WritePositions {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Records that a write ended: before its caller is answered.
    pub(crate) fn record_write(&self, entity: &EntityId) {
        if let Some(mut stripe) = self.stripe(entity) {
            stripe.writes += 1;
        }
    }

    /// What a read that begins now must see.
    pub(crate) fn of(&self, entity: &EntityId) -> OwnWrites {
        self.stripe(entity).map_or(
            OwnWrites {
                writes: 0,
                position: None,
            },
            |stripe| OwnWrites {
                writes: stripe.writes,
                position: (stripe.covered == stripe.writes).then_some(stripe.position),
            },
        )
    }

    /// Records the primary's position, which it was asked for after `known`.
    pub(crate) fn record_position(&self, entity: &EntityId, known: OwnWrites, position: Position) {
        if let Some(mut stripe) = self.stripe(entity)
            && stripe.covered < known.writes
        {
            stripe.covered = known.writes;
            stripe.position = stripe.position.max(position);
        }
    }

    fn stripe(&self, entity: &EntityId) -> Option<MutexGuard<'_, Stripe>> {
        // Taken modulo STRIPES, the hash fits.
        let index = self.hasher.hash_one(entity.as_str()) % STRIPES as u64;
        let stripe = self.stripes.get(usize::try_from(index).ok()?)?;
        Some(stripe.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_is_known_until_the_next_write() {
        let positions = WritePositions::new();
        let mira = EntityId::from("mira");
        // Never written to by this process: any position has all of nothing.
        assert_eq!(positions.of(&mira).position, Some(0));
        positions.record_write(&mira);
        let first = positions.of(&mira);
        assert_eq!(first.position, None);
        positions.record_write(&mira);
        positions.record_position(&mira, first, 70);
        assert_eq!(positions.of(&mira).position, None, "the second came after");
        let both = positions.of(&mira);
        positions.record_position(&mira, both, 90);
        assert_eq!(positions.of(&mira).position, Some(90));
        // An answer that was overtaken takes nothing back.
        positions.record_position(&mira, first, 70);
        assert_eq!(positions.of(&mira).position, Some(90));
    }
}
