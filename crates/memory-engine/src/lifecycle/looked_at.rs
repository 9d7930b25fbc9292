//! How far each entity was looked through for near-duplicates.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memory_core::{EntityId, Generation};

/// Most entities remembered. Forgetting one costs a look through it that finds
/// nothing new.
const MAX_ENTITIES: usize = 10_000;

/// The generation up to which each entity was consolidated by this system,
/// also where nothing was found to consolidate.
#[derive(Default)]
pub(crate) struct LookedAt(Mutex<HashMap<EntityId, Generation>>);

impl LookedAt {
    pub(crate) fn get(&self, entity: &EntityId) -> Option<Generation> {
        self.lock().get(entity).copied()
    }

    pub(crate) fn set(&self, entity: &EntityId, generation: Generation) {
        let mut looked_at = self.lock();
        if looked_at.len() >= MAX_ENTITIES {
            looked_at.clear();
        }
        looked_at.insert(entity.clone(), generation);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EntityId, Generation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
