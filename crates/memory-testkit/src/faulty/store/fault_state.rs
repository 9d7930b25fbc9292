//! State that a faulty store keeps for its fault.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use memory_core::{AccessUpdate, EmbeddedMemory, Embedding, EntityId, Generation, MemoryId};

use super::FaultyStore;
use crate::timing::yield_now;

/// What happened so far.
#[derive(Debug, Default)]
pub(super) struct FaultState {
    /// How far an entity's generation is off.
    shifts: BTreeMap<EntityId, i64>,
    pub(super) embeddings: BTreeMap<(EntityId, MemoryId), Embedding>,
    /// What each memory said first.
    pub(super) contents: BTreeMap<(EntityId, MemoryId), String>,
    pub(super) deleted: BTreeSet<(EntityId, MemoryId)>,
    pub(super) touched: BTreeMap<(EntityId, MemoryId), DateTime<Utc>>,
    pub(super) entities: BTreeSet<EntityId>,
    /// What memories came in said of their being archived.
    pub(super) arrived_archived: BTreeMap<(EntityId, MemoryId), MemoryId>,
    pub(super) summaries: BTreeMap<(EntityId, MemoryId), EmbeddedMemory>,
    /// Memories that were archived and are live again.
    pub(super) restored: BTreeSet<(EntityId, MemoryId)>,
    /// Contents of pages, by their numbers.
    pub(super) pages: BTreeMap<(EntityId, u64), Vec<u8>>,
    /// Whether index maintenance ran.
    pub(super) has_indexes: bool,
    /// How many writes were made through this store.
    pub(super) own_writes: u64,
    closed: bool,
}

impl FaultyStore {
    pub(super) fn fault_state(&self) -> MutexGuard<'_, FaultState> {
        self.fault_state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, shows an entity's generation off by so much more.
    pub(super) fn shift(&self, entity: &EntityId, by: i64) {
        *self.fault_state().shifts.entry(entity.clone()).or_default() += by;
    }

    /// The generation as it is shown to callers.
    pub(super) fn visible_generation(
        &self,
        entity: &EntityId,
        generation: Generation,
    ) -> Generation {
        let shift = self.fault_state().shifts.get(entity).copied().unwrap_or(0);
        Generation(generation.0.saturating_add_signed(shift))
    }

    /// The generation that a caller means.
    pub(super) fn meant(&self, entity: &EntityId, generation: Generation) -> Generation {
        let shift = self.fault_state().shifts.get(entity).copied().unwrap_or(0);
        Generation(generation.0.saturating_add_signed(-shift))
    }

    pub(super) fn note_own_write(&self) {
        self.fault_state().own_writes += 1;
    }

    pub(super) fn note_written(&self, batch: &[EmbeddedMemory]) {
        let mut fault_state = self.fault_state();
        for EmbeddedMemory { memory, embedding } in batch {
            let key = (memory.entity_id.clone(), memory.id);
            fault_state.entities.insert(memory.entity_id.clone());
            let content = fault_state.contents.entry(key.clone());
            content.or_insert(memory.content.clone());
            if let Some(summary) = memory.archived_by {
                fault_state.arrived_archived.insert(key.clone(), summary);
            }
            fault_state
                .embeddings
                .entry(key)
                .or_insert(embedding.clone());
        }
    }

    pub(super) fn note_summaries(&self, entity: &EntityId, summaries: Vec<EmbeddedMemory>) {
        self.note_written(&summaries);
        let keyed = |item: EmbeddedMemory| ((entity.clone(), item.memory.id), item);
        let mut fault_state = self.fault_state();
        fault_state
            .summaries
            .extend(summaries.into_iter().map(keyed));
    }

    /// Everybody who was ever written to.
    pub(super) fn everybody(&self) -> Vec<EntityId> {
        self.fault_state().entities.iter().cloned().collect()
    }

    pub(super) fn note_deleted(&self, entity: &EntityId, ids: &[MemoryId]) {
        let mut fault_state = self.fault_state();
        for id in ids {
            let key = (entity.clone(), *id);
            fault_state.embeddings.remove(&key);
            fault_state.deleted.insert(key);
        }
    }

    pub(super) fn note_touched(&self, updates: &[AccessUpdate]) {
        let mut fault_state = self.fault_state();
        for update in updates {
            let key = (update.entity.clone(), update.id);
            fault_state.touched.insert(key, update.last_accessed);
        }
    }

    /// Whether the store is closed before a call has run for a while.
    pub(super) async fn closes_meanwhile(&self) -> bool {
        for _ in 0..16 {
            yield_now().await;
        }
        self.fault_state().closed
    }

    /// Whether the store was closed before.
    pub(super) fn note_close(&self) -> bool {
        std::mem::replace(&mut self.fault_state().closed, true)
    }
}
