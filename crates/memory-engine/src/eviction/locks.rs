//! Striped locks that serialize evictions by entity.

use std::hash::{BuildHasher, RandomState};

use memory_core::EntityId;
use tokio::sync::{Mutex, MutexGuard};

/// Entities share stripes, so two entities sometimes wait for each other.
const STRIPES: usize = 64;

/// Locks for writers of this process that choose memories to evict, so that two
/// do not choose the same ones. Held across statements of the store, never
/// across an inference. Conflicts with other processes are retried.
pub(crate) struct EntityLocks {
    stripes: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl EntityLocks {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Acquires the locks of all these entities.
    pub(crate) async fn lock_all<'a>(
        &'a self,
        entities: impl Iterator<Item = &EntityId>,
    ) -> Vec<MutexGuard<'a, ()>> {
        let mut stripes: Vec<usize> = entities.map(|entity| self.stripe_of(entity)).collect();
        // Locked in one order and each once, so there is no deadlock.
        stripes.sort_unstable();
        stripes.dedup();
        let mut guards = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            guards.push(self.stripes[stripe].lock().await);
        }
        guards
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 64")]
    fn stripe_of(&self, entity: &EntityId) -> usize {
        (self.hasher.hash_one(entity) % STRIPES as u64) as usize
    }
}
