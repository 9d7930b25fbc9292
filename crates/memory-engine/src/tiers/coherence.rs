//! Why a tier never shows what was before a write.
//!
//! A load takes a [`Ticket`] *before* it reads and may publish what it read
//! only while the ticket stands, which is checked under the lock that every
//! invalidation takes. So a load that began before a write and ends after it
//! still answers its caller, and is not kept.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::PoisonError;
#[cfg(not(test))]
use std::sync::{Mutex, MutexGuard};

// The tests go through every interleaving: see `tiers::interleavings`.
#[cfg(test)]
use loom::sync::{Mutex, MutexGuard};

use memory_core::{EntityId, Generation};

/// Entities share a stripe's lock and epoch; a collision costs a refused fill
/// now and then, never a stale one. In tests everything collides.
const STRIPES: usize = if cfg!(test) { 1 } else { 64 };

/// Most entities that a stripe remembers generations of, so that entities come
/// and go without leaving memory behind.
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
    /// The newest generation known of: the least that a fill may publish.
    floors: HashMap<EntityId, Generation>,
    /// The newest generation that another's write was heard of.
    heard: HashMap<EntityId, Generation>,
}

/// Proof of when a load began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    stripe: usize,
    epoch: u64,
}

/// How a write stands to those before it, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The one known before it was the very last: nothing lies between, and
    /// nothing after it is known.
    Next,
    /// Others may lie between, or after.
    Unknown,
}

impl Coherence {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES)
                .map(|_| Mutex::new(Stripe::default()))
                .collect(),
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
        change: impl FnOnce(Order),
    ) {
        let mut stripe = self.lock(self.stripe_of(entity));
        stripe.epoch += 1;
        let order = generation.map_or(Order::Unknown, |generation| {
            // Forgetting floors is safe here: the raised epoch already voids
            // every load that could have read something older.
            raise(&mut stripe.floors, entity, generation).1
        });
        change(order);
    }

    /// Takes note of a write that another told of: nothing older is published
    /// from now on. Runs `change` on the tiers where it is news; `forget` where
    /// so many entities were heard of that they had to be forgotten.
    ///
    /// Tickets stand: a load that has read the write already is as good as new.
    pub(crate) fn hear(
        &self,
        entity: &EntityId,
        generation: Generation,
        change: impl FnOnce(),
        forget: impl FnOnce(),
    ) {
        let mut stripe = self.lock(self.stripe_of(entity));
        let known = stripe.floors.get(entity).copied().unwrap_or_default();
        if known >= generation {
            return;
        }
        raise(&mut stripe.floors, entity, generation);
        if raise(&mut stripe.heard, entity, generation).0 {
            forget();
        }
        change();
    }

    /// The newest generation that another's write to the entity was heard of.
    pub(crate) fn heard(&self, entity: &EntityId) -> Generation {
        let stripe = self.lock(self.stripe_of(entity));
        stripe.heard.get(entity).copied().unwrap_or_default()
    }

    /// Runs `change` with every stripe locked and voids every ticket. Floors
    /// are forgotten too: a database put back from a backup starts lower.
    pub(crate) fn invalidate_all(&self, change: impl FnOnce()) {
        // Always in the same order, so two of these cannot block each other.
        let mut stripes: Vec<_> = (0..STRIPES).map(|stripe| self.lock(stripe)).collect();
        for stripe in &mut stripes {
            stripe.epoch += 1;
            stripe.floors.clear();
            stripe.heard.clear();
        }
        change();
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 64")]
    fn stripe_of(&self, entity: &EntityId) -> usize {
        (self.hasher.hash_one(entity) % STRIPES as u64) as usize
    }

    fn lock(&self, stripe: usize) -> MutexGuard<'_, Stripe> {
        // A panic under the lock leaves counters and maps, all still sound.
        self.stripes[stripe]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Raises an entity's generation in one of a stripe's maps. Answers whether the
/// others had to be forgotten, and in what order the generation came.
fn raise(
    of: &mut HashMap<EntityId, Generation>,
    entity: &EntityId,
    generation: Generation,
) -> (bool, Order) {
    let full = of.len() >= MAX_FLOORS && !of.contains_key(entity);
    if full {
        of.clear();
    }
    let Some(floor) = of.get_mut(entity) else {
        of.insert(entity.clone(), generation);
        return (full, Order::Unknown);
    };
    let order = if generation == floor.next() {
        Order::Next
    } else {
        Order::Unknown
    };
    *floor = generation.max(*floor);
    (full, order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_began_before_an_invalidation_never_publishes() {
        loom::model(|| {
            let coherence = Coherence::new();
            let mira = EntityId::from("mira");
            let before = coherence.ticket(&mira);
            coherence.invalidate(&mira, Some(Generation(3)), |_| {});
            assert!(!coherence.publish(before, &mira, Generation(3), || panic!("published")));
            let after = coherence.ticket(&mira);
            assert!(coherence.publish(after, &mira, Generation(3), || {}));
            coherence.invalidate_all(|| {});
            assert!(!coherence.publish(after, &mira, Generation(3), || panic!("published")));
        });
    }

    #[test]
    fn nothing_older_than_a_known_write_is_published() {
        loom::model(|| {
            let coherence = Coherence::new();
            let mira = EntityId::from("mira");
            coherence.invalidate(&mira, Some(Generation(3)), |_| {});
            let ticket = coherence.ticket(&mira);
            assert!(!coherence.publish(ticket, &mira, Generation(2), || panic!("published")));
            coherence.hear(&mira, Generation(4), || {}, || {});
            assert!(!coherence.publish(ticket, &mira, Generation(3), || panic!("published")));
            assert!(coherence.publish(ticket, &mira, Generation(4), || {}));
        });
    }

    #[test]
    fn what_is_known_already_is_no_news() {
        loom::model(|| {
            let coherence = Coherence::new();
            let mira = EntityId::from("mira");
            coherence.invalidate(&mira, Some(Generation(3)), |_| {});
            coherence.hear(&mira, Generation(3), || panic!("news"), || {});
            assert_eq!(coherence.heard(&mira), Generation::ZERO);
        });
    }

    #[test]
    fn the_order_of_writes_is_known_only_where_none_is_missing() {
        let (mut floors, mira) = (HashMap::new(), EntityId::from("mira"));
        let mut order = |generation| raise(&mut floors, &mira, Generation(generation)).1;
        let orders = [3, 4, 6, 5, 7, 7].map(&mut order);
        use Order::{Next, Unknown};
        assert_eq!(orders, [Unknown, Next, Unknown, Unknown, Next, Unknown]);
    }

    #[test]
    fn floors_are_bounded() {
        let mut floors = HashMap::new();
        let mut forgotten = 0;
        for n in 0..(MAX_FLOORS * 3) {
            let entity = EntityId::from(n.to_string());
            let (full, _) = raise(&mut floors, &entity, Generation(1));
            forgotten += usize::from(full);
            assert!(floors.len() <= MAX_FLOORS);
        }
        assert_eq!(forgotten, 2);
    }
}
