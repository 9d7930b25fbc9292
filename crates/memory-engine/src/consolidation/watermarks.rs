//! Watermarks: the generation up to which each entity was consolidated.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memory_core::{EntityId, Generation};

/// Maximum number of entities remembered. Forgetting one costs a scan of it that finds
/// nothing new.
const MAX_ENTITIES: usize = 10_000;

/// The generation up to which this system consolidated each entity, set even
/// where a consolidation found no group.
#[derive(Default)]
pub(crate) struct Watermarks(Mutex<HashMap<EntityId, Generation>>);

impl Watermarks {
    pub(crate) fn get(&self, entity: &EntityId) -> Option<Generation> {
        self.lock().get(entity).copied()
    }

    pub(crate) fn set(&self, entity: &EntityId, generation: Generation) {
        let mut watermarks = self.lock();
        if watermarks.len() >= MAX_ENTITIES {
            watermarks.clear();
        }
        watermarks.insert(entity.clone(), generation);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EntityId, Generation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
