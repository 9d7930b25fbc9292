//! Whose turn it is to make room, and how long to wait for another try.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use memory_core::EntityId;
use tokio::sync::{Mutex, MutexGuard};

/// Entities share a stripe: two that meet wait for each other now and then.
const STRIPES: usize = 64;

/// Writers of this process that choose what gives way take turns, so that two
/// do not choose the same. Held across statements of the store, and never
/// across an inference. Other processes are met by trying again.
pub(crate) struct Turns {
    stripes: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Waits for the turn of all of these entities.
    pub(crate) async fn of<'a>(
        &'a self,
        entities: impl Iterator<Item = &EntityId>,
    ) -> Vec<MutexGuard<'a, ()>> {
        let mut stripes: Vec<usize> = entities.map(|entity| self.stripe_of(entity)).collect();
        // In one order and each once, so that nobody waits in a circle.
        stripes.sort_unstable();
        stripes.dedup();
        let mut turns = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            turns.push(self.stripes[stripe].lock().await);
        }
        turns
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 64")]
    fn stripe_of(&self, entity: &EntityId) -> usize {
        (self.hasher.hash_one(entity) % STRIPES as u64) as usize
    }
}

/// Waits before the next try: up to 2 ms more with each, at random, so that
/// those who met once do not meet again.
pub(crate) async fn pause(tries: u32) {
    // A fresh hasher is seeded at random; nothing better is needed here.
    let random = RandomState::new().build_hasher().finish() % 1_000;
    let most = Duration::from_millis(2) * tries.min(20);
    tokio::time::sleep(most.mul_f64(f64::from(u16::try_from(random).unwrap_or(500)) / 1_000.0))
        .await;
}
