//! What a store ought to do, told as plainly as can be: maps, copied whole.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{
    Embedding, EntityId, ErrorKind, Generation, InsertOutcome, MemoryId, MemoryPatch,
    PreparedMemory, Touch,
};

/// All entities.
#[derive(Debug, Default)]
pub(super) struct Reference(BTreeMap<EntityId, Entity>);

/// One entity: its generation, and its memories as they stand.
#[derive(Debug, Default, Clone)]
pub(super) struct Entity {
    pub(super) generation: Generation,
    pub(super) rows: BTreeMap<MemoryId, PreparedMemory>,
}

impl Reference {
    pub(super) fn entity(&self, name: &EntityId) -> Entity {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// What an insert must answer; or with which kinds of error it may.
    pub(super) fn insert(
        &mut self,
        batch: &[PreparedMemory],
    ) -> Result<InsertOutcome, Vec<ErrorKind>> {
        let mut faults = Vec::new();
        let mut inserted = Vec::new();
        let mut seen = BTreeSet::new();
        for item in batch {
            let memory = &item.memory;
            if !seen.insert((&memory.entity_id, memory.id)) {
                faults.push(ErrorKind::InvalidInput);
            }
            let rows = self.entity(&memory.entity_id).rows;
            let there = rows.get(&memory.id);
            if there.is_some_and(|row| row.memory.content != memory.content) {
                faults.push(ErrorKind::Conflict);
            }
            inserted.push(there.is_none());
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut raised = BTreeSet::new();
        for (item, new) in batch.iter().zip(&inserted) {
            let name = &item.memory.entity_id;
            let entity = self.0.entry(name.clone()).or_default();
            if *new {
                if raised.insert(name) {
                    entity.generation = entity.generation.next();
                }
                entity.rows.insert(item.memory.id, item.clone());
            }
        }
        let names = batch.iter().map(|item| &item.memory.entity_id);
        Ok(InsertOutcome {
            inserted,
            generations: names
                .map(|name| (name.clone(), self.entity(name).generation))
                .collect(),
        })
    }

    /// The row after a patch; `None` where there is no such memory.
    pub(super) fn update(
        &mut self,
        name: &EntityId,
        id: MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> Option<PreparedMemory> {
        let entity = self.0.get_mut(name)?;
        let row = entity.rows.get_mut(&id)?;
        patch.apply(&mut row.memory);
        if let Some(embedding) = embedding {
            row.embedding = embedding.clone();
        }
        entity.generation = entity.generation.next();
        Some(row.clone())
    }

    /// The ids that a delete removes.
    pub(super) fn delete(&mut self, name: &EntityId, ids: &[MemoryId]) -> BTreeSet<MemoryId> {
        let Some(entity) = self.0.get_mut(name) else {
            return BTreeSet::new();
        };
        let gone: BTreeSet<MemoryId> = ids
            .iter()
            .filter(|id| entity.rows.contains_key(id))
            .copied()
            .collect();
        entity.rows.retain(|id, _| !gone.contains(id));
        if !gone.is_empty() {
            entity.generation = entity.generation.next();
        }
        gone
    }

    pub(super) fn touch(&mut self, name: &EntityId, touches: &[Touch]) {
        let Some(entity) = self.0.get_mut(name) else {
            return;
        };
        for touch in touches {
            if let Some(row) = entity.rows.get_mut(&touch.id) {
                row.memory.access_count += touch.accesses;
                if row.memory.last_accessed < Some(touch.last_accessed) {
                    row.memory.last_accessed = Some(touch.last_accessed);
                }
            }
        }
    }

    /// The entities that hold memories.
    pub(super) fn inhabited(&self) -> Vec<EntityId> {
        let held = self.0.iter().filter(|(_, entity)| !entity.rows.is_empty());
        held.map(|(name, _)| name.clone()).collect()
    }
}
