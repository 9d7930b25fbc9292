//! Why a tier never shows what was before a write.
//!
//! A load takes a [`Ticket`] *before* it reads and may publish what it read
//! only while the ticket stands, which is checked under the lock that every
//! invalidation takes. So a load that began before a write and ends after it
//! still answers its caller, and is not kept.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use memory_core::{EntityId, Generation};

/// Entities share a stripe's lock and epoch; a collision costs a refused fill
/// now and then, never a stale one.
const STRIPES: usize = 64;

/// Most floors that a stripe remembers, so that entities come and go without
/// leaving memory behind.
const MAX_FLOORS: usize = 1_024;

/// Epochs and generation floors, in stripes by entity.
pub(crate) struct Coherence {
    stripes: Box<[Mutex<Stripe>]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Stripe {
    /// Raised by every invalidation of an entity of this stripe.
    epoch: u64,
    /// The least generation that a fill may publish, by entity.
    floors: HashMap<EntityId, Generation>,
}

/// Proof of when a load began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    stripe: usize,
    epoch: u64,
}

impl Coherence {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// To be taken before a load reads anything.
    pub(crate) fn ticket(&self, entity: &EntityId) -> Ticket {
        let stripe = self.stripe_of(entity);
        Ticket {
            stripe,
            epoch: self.lock(stripe).epoch,
        }
    }

    /// Runs `publish` if no invalidation came since the ticket was taken and
    /// what was read is not older than a write known of. Answers whether it ran.
    pub(crate) fn publish(
        &self,
        ticket: Ticket,
        entity: &EntityId,
        read_at: Generation,
        publish: impl FnOnce(),
    ) -> bool {
        let stripe = self.lock(ticket.stripe);
        let floor = stripe.floors.get(entity).copied().unwrap_or_default();
        let stands = stripe.epoch == ticket.epoch && read_at >= floor;
        if stands {
            publish();
        }
        stands
    }

    /// Runs `change` on the tiers and voids every ticket of the entity. A
    /// known generation becomes the floor of what may be published.
    pub(crate) fn invalidate(
        &self,
        entity: &EntityId,
        generation: Option<Generation>,
        change: impl FnOnce(),
    ) {
        let mut stripe = self.lock(self.stripe_of(entity));
        stripe.epoch += 1;
        if let Some(generation) = generation {
            // Forgetting floors is safe here: the raised epoch already voids
            // every load that could have read something older.
            if stripe.floors.len() >= MAX_FLOORS {
                stripe.floors.clear();
            }
            let floor = stripe.floors.entry(entity.clone()).or_default();
            *floor = generation.max(*floor);
        }
        change();
    }

    /// Runs `change` with every stripe locked and voids every ticket. Floors
    /// are forgotten too: a database put back from a backup starts lower.
    pub(crate) fn invalidate_all(&self, change: impl FnOnce()) {
        // Always in the same order, so two of these cannot block each other.
        let mut stripes: Vec<_> = (0..STRIPES).map(|stripe| self.lock(stripe)).collect();
        for stripe in &mut stripes {
            stripe.epoch += 1;
            stripe.floors.clear();
        }
        change();
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 64")]
    fn stripe_of(&self, entity: &EntityId) -> usize {
        (self.hasher.hash_one(entity) % STRIPES as u64) as usize
    }

    fn lock(&self, stripe: usize) -> MutexGuard<'_, Stripe> {
        // A panic under the lock leaves counters and a map, both still sound.
        self.stripes[stripe]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_began_before_an_invalidation_never_publishes() {
        let coherence = Coherence::new();
        let mira = EntityId::from("mira");
        let before = coherence.ticket(&mira);
        coherence.invalidate(&mira, Some(Generation(3)), || {});
        assert!(!coherence.publish(before, &mira, Generation(3), || panic!("published")));
        let after = coherence.ticket(&mira);
        assert!(coherence.publish(after, &mira, Generation(3), || {}));
        coherence.invalidate_all(|| {});
        assert!(!coherence.publish(after, &mira, Generation(3), || panic!("published")));
    }

    #[test]
    fn nothing_older_than_a_known_write_is_published() {
        let coherence = Coherence::new();
        let mira = EntityId::from("mira");
        coherence.invalidate(&mira, Some(Generation(3)), || {});
        let ticket = coherence.ticket(&mira);
        assert!(!coherence.publish(ticket, &mira, Generation(2), || panic!("published")));
    }

    #[test]
    fn floors_are_bounded() {
        let coherence = Coherence::new();
        for n in 0..(STRIPES * MAX_FLOORS * 2) {
            coherence.invalidate(&EntityId::from(n.to_string()), Some(Generation(1)), || {});
        }
        let most = coherence
            .stripes
            .iter()
            .map(|stripe| stripe.lock().unwrap().floors.len())
            .max();
        assert!(most.unwrap() <= MAX_FLOORS);
    }
}
