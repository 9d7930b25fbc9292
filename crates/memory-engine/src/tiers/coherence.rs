//! Coherence of the tiers with the store: no value from before a write is
//! cached after it.
//!
//! A load takes a [`LoadToken`] *before* it reads and may publish what it read
//! only while the token is valid, which is checked under the lock that every
//! invalidation takes. So a load that began before a write and ends after it
//! still answers its caller, and is not cached.
//!
//! A cached memory carries a [`TrustToken`], which is checked when it is read:
//! after a write of unknown outcome nothing cached of its entity is used.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::PoisonError;
#[cfg(not(test))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

// The tests explore every interleaving: see `tiers::loom_tests`.
#[cfg(test)]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use memory_core::{EntityId, Generation};

/// Entities share a stripe's lock and epochs; a collision costs a refused fill
/// or an early reload now and then, never a stale value. In tests everything
/// collides.
const STRIPES: usize = if cfg!(test) { 1 } else { 64 };

/// Counters of pending writes, which entities share as they share stripes; a collision
/// costs a read a question to the store. Many writes may be pending, and each is for
/// milliseconds, so there are more of them: 32 KiB.
const PENDING_COUNTERS: usize = if cfg!(test) { 1 } else { 4_096 };

/// Maximum number of entities whose generations a stripe remembers, so that memory use does
/// not grow with the number of entities ever seen.
const MAX_GENERATIONS: usize = 1_024;

/// Epochs and minimum generations, in stripes by entity.
pub(crate) struct Coherence {
    stripes: Box<[Mutex<Stripe>]>,
    /// One per stripe. Raised under its lock by a write of unknown outcome, and
    /// read without it.
    trust_epochs: Box<[AtomicU64]>,
    /// Writes that may be committed and are not applied yet.
    pending_writes: Box<[AtomicU64]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Stripe {
    /// Incremented by every invalidation of an entity of this stripe.
    epoch: u64,
    /// Incremented by those after which nothing that was read before may be used, not
    /// even to bring it up to date: all but writes of known outcome and access counts.
    discards: u64,
    /// The newest known generation: the lowest that a load may publish.
    min_generations: HashMap<EntityId, Generation>,
    /// The newest generation that a change event reported.
    remote_generations: HashMap<EntityId, Generation>,
}

/// The epoch at which a load began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LoadToken {
    stripe: usize,
    epoch: u64,
    discards: u64,
}

impl LoadToken {
    /// Whether what was read with an earlier token of the same entity may be brought up
    /// to date and published with this one.
    pub(crate) fn can_follow(&self, earlier: Self) -> bool {
        self.discards == earlier.discards
    }
}

/// The trust epoch at which a memory was cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrustToken {
    stripe: usize,
    epoch: u64,
}

/// Whether writes are missing between the last known one and this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteOrder {
    /// It directly follows the last known write, and none after it is known.
    Next,
    /// Other writes may lie between, or after it.
    Unknown,
}

impl Coherence {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES)
                .map(|_| Mutex::new(Stripe::default()))
                .collect(),
            trust_epochs: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            pending_writes: (0..PENDING_COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Records that a write of the entity begins.
    pub(crate) fn write_begins(&self, entity: &EntityId) {
        self.pending_writes(entity).fetch_add(1, Ordering::AcqRel);
    }

    /// Records that a write was applied to the tiers, or that it was not committed.
    pub(crate) fn write_ended(&self, entity: &EntityId) {
        self.pending_writes(entity).fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether the store may have a write of this system that the tiers do not
    /// have. A read has to ask before it looks at the change marker.
    #[inline]
    pub(crate) fn has_pending_write(&self, entity: &EntityId) -> bool {
        self.pending_writes(entity).load(Ordering::Acquire) > 0
    }

    /// To be taken before a load reads anything.
    pub(crate) fn load_token(&self, entity: &EntityId) -> LoadToken {
        let index = self.stripe_of(entity);
        let stripe = self.lock(index);
        LoadToken {
            stripe: index,
            epoch: stripe.epoch,
            discards: stripe.discards,
        }
    }

    /// Runs `publish` if no invalidation came since the token was taken and
    /// what was read is not older than a known write. Returns whether it ran.
    pub(crate) fn publish(
        &self,
        token: LoadToken,
        entity: &EntityId,
        read_at: Generation,
        publish: impl FnOnce(TrustToken),
    ) -> bool {
        let stripe = self.lock(token.stripe);
        let min = stripe.min_generations.get(entity).copied();
        let is_valid = stripe.epoch == token.epoch && read_at >= min.unwrap_or_default();
        if is_valid {
            publish(self.trust_token(token.stripe));
        }
        is_valid
    }

    /// Runs `change` on the tiers and invalidates every load token of the
    /// entity. Nothing older than a known `generation` is published from now on.
    pub(crate) fn invalidate<T>(
        &self,
        entity: &EntityId,
        generation: Option<Generation>,
        change: impl FnOnce(WriteOrder, TrustToken) -> T,
    ) -> T {
        let index = self.stripe_of(entity);
        let mut stripe = self.lock(index);
        stripe.epoch += 1;
        let order = generation.map_or(WriteOrder::Unknown, |generation| {
            // Dropping minimum generations is safe here: the new epoch already
            // invalidates every load that could have read something older.
            bump(&mut stripe.min_generations, entity, generation).1
        });
        change(order, self.trust_token(index))
    }

    /// Runs `change` on the tiers while no load of the entity is published and
    /// no write of it applied.
    pub(crate) fn with_lock(&self, entity: &EntityId, change: impl FnOnce()) {
        let _stripe = self.lock(self.stripe_of(entity));
        change();
    }

    /// Runs `change` on the tiers and invalidates every load token of the entity; what
    /// was read before is not brought up to date either.
    pub(crate) fn discard(&self, entity: &EntityId, change: impl FnOnce()) {
        let mut stripe = self.lock(self.stripe_of(entity));
        stripe.epoch += 1;
        stripe.discards += 1;
        change();
    }

    /// As [`discard`](Self::discard), and invalidates every trust token of the entity.
    pub(crate) fn invalidate_trust<T>(&self, entity: &EntityId, change: impl FnOnce() -> T) -> T {
        let index = self.stripe_of(entity);
        let mut stripe = self.lock(index);
        stripe.epoch += 1;
        stripe.discards += 1;
        self.trust_epochs[index].fetch_add(1, Ordering::Release);
        change()
    }

    /// Whether no write of unknown outcome came since the token was taken.
    #[inline]
    pub(crate) fn is_trusted(&self, token: TrustToken) -> bool {
        self.trust_epochs[token.stripe].load(Ordering::Acquire) == token.epoch
    }

    fn trust_token(&self, stripe: usize) -> TrustToken {
        TrustToken {
            stripe,
            epoch: self.trust_epochs[stripe].load(Ordering::Acquire),
        }
    }

    /// Records a write that a change event reported: nothing older is published
    /// from now on. Runs `change` on the tiers if the write was not known yet,
    /// and `reset` if so many entities changed that their generations had to be
    /// dropped.
    ///
    /// Load tokens stay valid: a load may have read the write already.
    pub(crate) fn observe_remote(
        &self,
        entity: &EntityId,
        generation: Generation,
        change: impl FnOnce(),
        reset: impl FnOnce(),
    ) {
        let mut stripe = self.lock(self.stripe_of(entity));
        let known = stripe.min_generations.get(entity).copied();
        if known.unwrap_or_default() >= generation {
            return;
        }
        bump(&mut stripe.min_generations, entity, generation);
        if bump(&mut stripe.remote_generations, entity, generation).0 {
            reset();
        }
        change();
    }

    /// The newest generation of the entity that a change event reported.
    pub(crate) fn last_remote(&self, entity: &EntityId) -> Generation {
        let stripe = self.lock(self.stripe_of(entity));
        stripe
            .remote_generations
            .get(entity)
            .copied()
            .unwrap_or_default()
    }

    /// Runs `change` with every stripe locked and invalidates every load token.
    pub(crate) fn invalidate_all(&self, change: impl FnOnce()) {
        let mut stripes = self.lock_all();
        for stripe in &mut stripes {
            stripe.epoch += 1;
        }
        change();
    }

    /// As [`invalidate_all`](Self::invalidate_all); what was read before is not brought
    /// up to date either. Minimum generations are dropped too: a database restored from
    /// a backup starts lower.
    pub(crate) fn discard_all(&self, change: impl FnOnce()) {
        let mut stripes = self.lock_all();
        for stripe in &mut stripes {
            stripe.epoch += 1;
            stripe.discards += 1;
            stripe.min_generations.clear();
            stripe.remote_generations.clear();
        }
        change();
    }

    fn lock_all(&self) -> Vec<MutexGuard<'_, Stripe>> {
        // Always in the same order, so there is no deadlock.
        (0..STRIPES).map(|stripe| self.lock(stripe)).collect()
    }

    fn stripe_of(&self, entity: &EntityId) -> usize {
        self.index_of(entity, STRIPES)
    }

    fn pending_writes(&self, entity: &EntityId) -> &AtomicU64 {
        &self.pending_writes[self.index_of(entity, PENDING_COUNTERS)]
    }

    #[expect(clippy::cast_possible_truncation, reason = "below `len`")]
    fn index_of(&self, entity: &EntityId, len: usize) -> usize {
        (self.hasher.hash_one(entity) % len as u64) as usize
    }

    fn lock(&self, stripe: usize) -> MutexGuard<'_, Stripe> {
        // A panic under the lock leaves counters and maps, all still sound.
        self.stripes[stripe]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Raises an entity's generation in one of a stripe's maps. Returns whether the
/// others had to be dropped, and in what order the generation came.
fn bump(
    generations: &mut HashMap<EntityId, Generation>,
    entity: &EntityId,
    generation: Generation,
) -> (bool, WriteOrder) {
    let full = generations.len() >= MAX_GENERATIONS && !generations.contains_key(entity);
    if full {
        generations.clear();
    }
    let Some(last) = generations.get_mut(entity) else {
        generations.insert(entity.clone(), generation);
        return (full, WriteOrder::Unknown);
    };
    let order = if generation == last.next() {
        WriteOrder::Next
    } else {
        WriteOrder::Unknown
    };
    *last = generation.max(*last);
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
            let before = coherence.load_token(&mira);
            coherence.invalidate(&mira, Some(Generation(3)), |_, _| {});
            assert!(!coherence.publish(before, &mira, Generation(3), |_| panic!("published")));
            let after = coherence.load_token(&mira);
            assert!(coherence.publish(after, &mira, Generation(3), |_| {}));
            coherence.invalidate_all(|| {});
            assert!(!coherence.publish(after, &mira, Generation(3), |_| panic!("published")));
        });
    }

    #[test]
    fn what_was_read_before_a_write_is_brought_up_to_date_and_nothing_else() {
        loom::model(|| {
            let coherence = Coherence::new();
            let mira = EntityId::from("mira");
            let first = coherence.load_token(&mira);
            coherence.invalidate(&mira, Some(Generation(3)), |_, _| {});
            coherence.invalidate(&mira, None, |_, _| {});
            coherence.invalidate_all(|| {});
            assert!(coherence.load_token(&mira).can_follow(first));
            let discards: [&dyn Fn(); 3] = [
                &|| coherence.discard(&mira, || {}),
                &|| coherence.invalidate_trust(&mira, || {}),
                &|| coherence.discard_all(|| {}),
            ];
            for discard in discards {
                let before = coherence.load_token(&mira);
                discard();
                assert!(!coherence.load_token(&mira).can_follow(before));
                assert!(!coherence.publish(before, &mira, Generation(9), |_| panic!("published")));
            }
        });
    }

    #[test]
    fn nothing_older_than_a_known_write_is_published() {
        loom::model(|| {
            let coherence = Coherence::new();
            let mira = EntityId::from("mira");
            coherence.invalidate(&mira, Some(Generation(3)), |_, _| {});
            let token = coherence.load_token(&mira);
            assert!(!coherence.publish(token, &mira, Generation(2), |_| panic!("published")));
            coherence.observe_remote(&mira, Generation(4), || {}, || {});
            assert!(!coherence.publish(token, &mira, Generation(3), |_| panic!("published")));
            assert!(coherence.publish(token, &mira, Generation(4), |_| {}));
        });
    }

    #[test]
    fn nothing_cached_before_a_write_of_unknown_outcome_is_trusted() {
        loom::model(|| {
            let coherence = Coherence::new();
            let mira = EntityId::from("mira");
            let cached = coherence.invalidate(&mira, Some(Generation(3)), |_, trust| trust);
            assert!(coherence.is_trusted(cached));
            let loading = coherence.load_token(&mira);
            coherence.invalidate_trust(&mira, || {});
            assert!(!coherence.is_trusted(cached));
            assert!(!coherence.publish(loading, &mira, Generation(3), |_| panic!("published")));
            let after = coherence.load_token(&mira);
            coherence.publish(after, &mira, Generation(3), |trust| {
                assert!(coherence.is_trusted(trust));
            });
        });
    }

    #[test]
    fn a_known_write_changes_nothing() {
        loom::model(|| {
            let coherence = Coherence::new();
            let mira = EntityId::from("mira");
            coherence.invalidate(&mira, Some(Generation(3)), |_, _| {});
            coherence.observe_remote(&mira, Generation(3), || panic!("changed"), || {});
            assert_eq!(coherence.last_remote(&mira), Generation::ZERO);
        });
    }

    #[test]
    fn the_order_of_writes_is_known_only_where_none_is_missing() {
        let (mut generations, mira) = (HashMap::new(), EntityId::from("mira"));
        let mut order = |generation| bump(&mut generations, &mira, Generation(generation)).1;
        let orders = [3, 4, 6, 5, 7, 7].map(&mut order);
        use WriteOrder::{Next, Unknown};
        assert_eq!(orders, [Unknown, Next, Unknown, Unknown, Next, Unknown]);
    }

    #[test]
    fn generations_are_limited() {
        let mut generations = HashMap::new();
        let mut dropped = 0;
        for n in 0..(MAX_GENERATIONS * 3) {
            let entity = EntityId::from(n.to_string());
            let (full, _) = bump(&mut generations, &entity, Generation(1));
            dropped += usize::from(full);
            assert!(generations.len() <= MAX_GENERATIONS);
        }
        assert_eq!(dropped, 2);
    }
}
