//! The model of a store: maps, copied as a whole.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{
    AccessUpdate, EmbeddedMemory, Embedding, EntityId, EntityStats, ErrorKind, Generation,
    InsertOptions, InsertOutcome, MemoryId, MemoryPatch, RemoveOutcome, SummaryGroup,
};

/// All entities.
#[derive(Debug, Default)]
pub(super) struct Reference(BTreeMap<EntityId, Entity>);

/// One entity: its generation and its memories.
#[derive(Debug, Default, Clone)]
pub(super) struct Entity {
    pub(super) generation: Generation,
    /// Live and archived.
    pub(super) rows: BTreeMap<MemoryId, EmbeddedMemory>,
    /// The generation that wrote each of them last.
    written: BTreeMap<MemoryId, Generation>,
}

impl Reference {
    pub(super) fn entity(&self, name: &EntityId) -> Entity {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// What an insert must answer; or with which kinds of error it may.
    pub(super) fn insert(
        &mut self,
        batch: &[EmbeddedMemory],
        room: &InsertOptions,
    ) -> Result<InsertOutcome, Vec<ErrorKind>> {
        let mut faults = Vec::new();
        let mut inserted = Vec::new();
        let mut seen = BTreeSet::new();
        let mut after: BTreeMap<EntityId, Entity> = BTreeMap::new();
        for item in batch {
            let name = &item.memory.entity_id;
            if !seen.insert((name, item.memory.id)) {
                faults.push(ErrorKind::InvalidInput);
            }
            let there = self
                .0
                .get(name)
                .and_then(|entity| entity.rows.get(&item.memory.id));
            if there.is_some_and(|row| row.memory.content != item.memory.content) {
                faults.push(ErrorKind::Conflict);
            }
            let is_new = there.is_none();
            inserted.push(is_new);
            if is_new && !after.contains_key(name) {
                after.insert(name.clone(), self.entity(name));
            }
        }
        let mut evicted = BTreeMap::new();
        for (name, entity) in &mut after {
            entity.generation = entity.generation.next();
            let ids = room.evict.get(name);
            let gone = entity.remove(ids.map_or(&[], |ids| ids));
            if !gone.removed.is_empty() {
                evicted.insert(name.clone(), gone);
            }
            for (item, new) in batch.iter().zip(&inserted) {
                if *new && item.memory.entity_id == *name {
                    entity.write(item.clone());
                }
            }
            let count = entity.live().len() as u64;
            if room.max_memories.is_some_and(|max| count > max) {
                faults.push(ErrorKind::LimitReached);
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        self.0.extend(after);
        let names: BTreeSet<&EntityId> = batch.iter().map(|it| &it.memory.entity_id).collect();
        let generation = |name: &EntityId| self.0.get(name).map(|it| it.generation);
        let generations = names
            .into_iter()
            .map(|name| (name.clone(), generation(name).unwrap_or_default()));
        Ok(InsertOutcome::new(inserted, generations.collect()).evicted(evicted))
    }

    /// The generation after a consolidation; or with which kinds of error it
    /// may fail.
    pub(super) fn consolidate(
        &mut self,
        name: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> Result<Generation, Vec<ErrorKind>> {
        let mut entity = self.entity(name);
        let mut faults = Vec::new();
        let mut seen = BTreeSet::new();
        for SummaryGroup { summary, sources } in groups {
            let mut all = sources.iter().chain([&summary.memory.id]);
            if sources.is_empty() || !all.all(|id| seen.insert(*id)) {
                faults.push(ErrorKind::InvalidInput);
            }
        }
        if faults.is_empty() && groups.iter().all(|group| entity.has_done(group)) {
            return Ok(entity.generation);
        }
        for SummaryGroup { summary, sources } in groups {
            if entity.rows.contains_key(&summary.memory.id) {
                faults.push(ErrorKind::Conflict);
            }
            let live = entity.live();
            let as_read = |id| live.contains_key(id) && entity.written[id] <= read_at;
            if !sources.iter().all(as_read) {
                faults.push(ErrorKind::Changed);
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        entity.generation = entity.generation.next();
        for SummaryGroup { summary, sources } in groups {
            for id in sources {
                entity.rewrite(id, |row| row.memory.archived_by = Some(summary.memory.id));
            }
            entity.write(summary.clone());
        }
        let generation = entity.generation;
        self.0.insert(name.clone(), entity);
        Ok(generation)
    }

    /// The row after a patch, or the error that there must be.
    pub(super) fn update(
        &mut self,
        name: &EntityId,
        id: MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> Result<EmbeddedMemory, ErrorKind> {
        if patch.relate.contains_key(&id) {
            return Err(ErrorKind::InvalidInput);
        }
        let entity = self.0.get_mut(name).ok_or(ErrorKind::NotFound)?;
        let row = entity.rows.get(&id).ok_or(ErrorKind::NotFound)?;
        if row.memory.archived_by.is_some() {
            return Err(ErrorKind::Archived);
        }
        let mut row = row.clone();
        patch.apply(&mut row.memory);
        if let Some(embedding) = embedding {
            row.embedding = embedding.clone();
        }
        entity.generation = entity.generation.next();
        entity.write(row.clone());
        Ok(row)
    }

    /// What a delete does; its lists in the order of the ids.
    pub(super) fn delete(&mut self, name: &EntityId, ids: &[MemoryId]) -> RemoveOutcome {
        let Some(entity) = self.0.get_mut(name) else {
            return RemoveOutcome::default();
        };
        if ids.iter().any(|id| entity.rows.contains_key(id)) {
            entity.generation = entity.generation.next();
        }
        entity.remove(ids)
    }

    pub(super) fn record_accesses(&mut self, updates: &[AccessUpdate]) {
        for update in updates {
            let entity = self.0.get_mut(&update.entity);
            if let Some(row) = entity.and_then(|entity| entity.rows.get_mut(&update.id)) {
                row.memory.access_count += update.accesses;
                if row.memory.last_accessed < Some(update.last_accessed) {
                    row.memory.last_accessed = Some(update.last_accessed);
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

impl Entity {
    /// The memories that are not archived.
    pub(super) fn live(&self) -> BTreeMap<MemoryId, EmbeddedMemory> {
        let mut live = self.rows.clone();
        live.retain(|_, row| row.memory.archived_by.is_none());
        live
    }

    pub(super) fn stats(&self) -> EntityStats {
        let live = self.live().len();
        EntityStats::new(
            self.generation,
            live as u64,
            (self.rows.len() - live) as u64,
        )
    }

    /// Whether each source is archived under this summary.
    fn has_done(&self, group: &SummaryGroup) -> bool {
        let summary = &group.summary.memory;
        let same = |row: &EmbeddedMemory| row.memory.content == summary.content;
        let under = |row: &EmbeddedMemory| row.memory.archived_by == Some(summary.id);
        self.rows.get(&summary.id).is_some_and(same)
            && group
                .sources
                .iter()
                .all(|id| self.rows.get(id).is_some_and(under))
    }

    fn write(&mut self, row: EmbeddedMemory) {
        self.written.insert(row.memory.id, self.generation);
        self.rows.insert(row.memory.id, row);
    }

    fn rewrite(&mut self, id: &MemoryId, change: impl FnOnce(&mut EmbeddedMemory)) {
        if let Some(mut row) = self.rows.get(id).cloned() {
            change(&mut row);
            self.write(row);
        }
    }

    /// Removes memories, and the summaries above them one level at a time.
    fn remove(&mut self, ids: &[MemoryId]) -> RemoveOutcome {
        let there = ids.iter().filter(|id| self.rows.contains_key(id));
        let mut removed: BTreeSet<MemoryId> = there.copied().collect();
        loop {
            let by = removed
                .iter()
                .filter_map(|id| self.rows[id].memory.archived_by);
            let above: BTreeSet<MemoryId> = by.filter(|by| !removed.contains(by)).collect();
            if above.is_empty() {
                break;
            }
            removed.extend(above);
        }
        self.rows.retain(|id, _| !removed.contains(id));
        self.written.retain(|id, _| !removed.contains(id));
        let (mut restored, mut unlinked) = (Vec::new(), Vec::new());
        for (id, row) in self.rows.clone() {
            if row
                .memory
                .archived_by
                .is_some_and(|by| removed.contains(&by))
            {
                restored.push(id);
                self.rewrite(&id, |row| row.memory.archived_by = None);
            }
            if row.memory.related.keys().any(|id| removed.contains(id)) {
                unlinked.push(id);
                self.rewrite(&id, |row| {
                    row.memory.related.retain(|id, _| !removed.contains(id));
                });
            }
        }
        RemoveOutcome::new(self.generation, removed.into_iter().collect())
            .restored(restored)
            .unlinked(unlinked)
    }
}
