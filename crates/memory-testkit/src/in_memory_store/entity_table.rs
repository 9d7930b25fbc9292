//! One entity's memories.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use memory_core::{
    AccessUpdate, ChangeSet, EmbeddedMemory, Embedding, EntityId, EntityStats, Fingerprint,
    Generation, GetOutcome, ListPage, ListRequest, MemoryError, MemoryFilter, MemoryId,
    MemoryPatch, MemoryResult, ReplaceVectorsOutcome, UpdateOutcome, limits,
};

use super::snapshot_pages::KeptPage;

/// So many tombstones of an entity are kept at least.
const MIN_TOMBSTONES_KEPT: usize = 1_000;

/// The memories of one entity, at one generation.
#[derive(Clone, Default)]
pub(super) struct EntityTable {
    pub(super) generation: Generation,
    /// Live and archived.
    pub(super) rows: BTreeMap<MemoryId, Row>,
    /// Ids removed and not inserted again, with the generation of the removal.
    pub(super) tombstones: BTreeMap<MemoryId, Generation>,
    /// Tombstones up to this generation may have been dropped.
    tombstone_floor: Generation,
    /// The number of the next new memory.
    pub(super) next_number: u64,
    /// By their numbers.
    pub(super) pages: BTreeMap<u64, KeptPage>,
}

/// A memory, its vectors, and the generation that wrote it last.
#[derive(Clone)]
pub(super) struct Row {
    /// With the vectors that were written last.
    pub(super) item: EmbeddedMemory,
    /// The vectors of other models.
    others: Vec<Embedding>,
    pub(super) written: Generation,
    /// Counts up in the order of inserting.
    pub(super) number: u64,
}

impl EntityTable {
    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    pub(super) fn stats(&self) -> EntityStats {
        let live = self.live().count() as u64;
        EntityStats::new(self.generation, live, self.rows.len() as u64 - live)
    }

    pub(super) fn holds_any(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Every live row, in the order of the ids.
    pub(super) fn live(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().filter(|row| row.is_live())
    }

    /// The live rows that a filter admits.
    pub(super) fn admitted(&self, filter: &MemoryFilter) -> impl Iterator<Item = &Row> {
        self.live().filter(|row| filter.matches(&row.item.memory))
    }

    /// Whether `item` would be new here; `false` if it is here already.
    ///
    /// Equal content makes it the same memory: whatever else the caller
    /// gives with a repeated id, the first write is kept.
    pub(super) fn lacks(&self, item: &EmbeddedMemory) -> MemoryResult<bool> {
        let existing = self.rows.get(&item.memory.id);
        item.is_new(existing.map(|row| &row.item.memory))
    }

    /// Begins a write: rows put from here on have the new generation.
    pub(super) fn raise(&mut self) {
        self.generation = self.generation.next();
    }

    /// Writes a row at the present generation, with vectors of one model.
    pub(super) fn put(&mut self, item: EmbeddedMemory) {
        self.put_with(item, Vec::new());
    }

    fn put_with(&mut self, mut item: EmbeddedMemory, others: Vec<Embedding>) {
        let memory = &mut item.memory;
        memory.timestamp = limits::to_micros(memory.timestamp);
        memory.last_accessed = memory.last_accessed.map(limits::to_micros);
        self.tombstones.remove(&item.memory.id);
        let old = self.rows.get(&item.memory.id);
        let number = old.map_or(self.next_number, |row| row.number);
        self.next_number = self.next_number.max(number + 1);
        let row = Row {
            others,
            written: self.generation,
            number,
            item,
        };
        self.rows.insert(row.item.memory.id, row);
    }

    /// Inserts a memory, live, at the present generation.
    pub(super) fn insert(&mut self, item: &EmbeddedMemory) {
        let mut item = item.clone();
        item.memory.archived_by = None;
        self.put(item);
    }

    pub(super) fn get(&self, ids: &[MemoryId]) -> GetOutcome {
        let memory = |id| self.rows.get(id).map(|row| row.item.memory.clone());
        GetOutcome::new(self.generation, ids.iter().map(memory).collect())
    }

    pub(super) fn list(&self, request: &ListRequest) -> ListPage {
        let memories = self.rows.values().map(|row| &row.item.memory);
        ListPage::select(self.generation, memories, request)
    }

    pub(super) fn changes_since(&self, since: Generation, fingerprint: &Fingerprint) -> ChangeSet {
        let rows = self.rows.values();
        let rows: Vec<_> = rows
            .map(|row| (row.written, row.embedded_by(fingerprint)))
            .collect();
        let rows = rows.iter().map(|(written, item)| (*written, item));
        let tombstones = self.tombstones.iter().map(|(id, at)| (*at, *id));
        if Generation::ZERO < since && since < self.tombstone_floor {
            let whole = Generation::ZERO;
            return ChangeSet::select(self.generation, rows, [], whole, fingerprint).reset(true);
        }
        ChangeSet::select(self.generation, rows, tombstones, since, fingerprint)
    }

    /// Drops the older half of the tombstones where there are more than live
    /// memories and more than [`MIN_TOMBSTONES_KEPT`].
    pub(super) fn compact_tombstones(&mut self) {
        if self.tombstones.len() <= MIN_TOMBSTONES_KEPT.max(self.live().count()) {
            return;
        }
        let mut generations: Vec<Generation> = self.tombstones.values().copied().collect();
        generations.sort_unstable();
        let floor = generations[generations.len() / 2];
        self.tombstones.retain(|_, removed| *removed > floor);
        self.tombstone_floor = floor;
    }

    /// Applies a patch.
    pub(super) fn update(
        &mut self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome> {
        let entity = || entity.clone();
        let Some(row) = self.rows.get(id) else {
            return Err(MemoryError::NotFound {
                entity: entity(),
                id: *id,
            });
        };
        let item = row.item.patched(patch, embedding)?;
        let others = match embedding {
            Some(_) => Vec::new(),
            None => row.others.clone(),
        };
        self.raise();
        let memory = item.memory.clone();
        self.put_with(item, others);
        Ok(UpdateOutcome::new(self.generation, memory))
    }

    pub(super) fn vector_counts(&self, ids: &[MemoryId], fingerprint: &Fingerprint) -> Vec<usize> {
        let count = |id| {
            let row = self.rows.get(id);
            let embedding = row.and_then(|row| row.embedding_by(fingerprint));
            embedding.map_or(0, |embedding| embedding.vectors.len())
        };
        ids.iter().map(count).collect()
    }

    /// The latest access of any memory.
    pub(super) fn last_accessed(&self) -> Option<DateTime<Utc>> {
        let rows = self.rows.values();
        rows.filter_map(|row| row.item.memory.last_accessed).max()
    }

    pub(super) fn count_by_model(&self) -> BTreeMap<Fingerprint, u64> {
        let mut counts = BTreeMap::new();
        for embedding in self.rows.values().flat_map(Row::embeddings) {
            *counts.entry(embedding.fingerprint.clone()).or_default() += 1;
        }
        counts
    }

    /// Replaces the vectors of rows that were not written after `read_at`.
    pub(super) fn replace_vectors(
        &mut self,
        embeddings: &[(MemoryId, Embedding)],
        read_at: Generation,
    ) -> ReplaceVectorsOutcome {
        let rows = embeddings.iter().filter_map(|(id, embedding)| {
            let row = self.rows.get(id).filter(|row| row.written <= read_at)?;
            let others = row.embeddings();
            let others = others.filter(|other| other.fingerprint != embedding.fingerprint);
            let (memory, embedding) = (row.item.memory.clone(), embedding.clone());
            Some((
                EmbeddedMemory { memory, embedding },
                others.cloned().collect(),
            ))
        });
        let rows: Vec<(EmbeddedMemory, Vec<Embedding>)> = rows.collect();
        let replaced = rows.iter().map(|(item, _)| item.memory.id).collect();
        if !rows.is_empty() {
            self.raise();
        }
        for (item, others) in rows {
            self.put_with(item, others);
        }
        ReplaceVectorsOutcome::new(self.generation, replaced)
    }

    /// Removes the vectors of other models from rows that have those of one.
    pub(super) fn remove_other_vectors(
        &mut self,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> u64 {
        let mut changed = 0;
        for id in ids {
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            let kept = row.embedding_by(fingerprint).cloned();
            if let Some(embedding) = kept.filter(|_| !row.others.is_empty()) {
                row.item.embedding = embedding;
                row.others.clear();
                changed += 1;
            }
        }
        self.drop_outdated_pages();
        changed
    }

    pub(super) fn record_access(&mut self, update: &AccessUpdate) {
        if let Some(row) = self.rows.get_mut(&update.id) {
            update.apply(&mut row.item.memory);
        }
    }
}

impl Row {
    pub(super) fn is_live(&self) -> bool {
        self.item.memory.is_live()
    }

    /// Its vectors of every model.
    fn embeddings(&self) -> impl Iterator<Item = &Embedding> {
        std::iter::once(&self.item.embedding).chain(&self.others)
    }

    /// Its vectors of one model.
    pub(super) fn embedding_by(&self, fingerprint: &Fingerprint) -> Option<&Embedding> {
        self.embeddings()
            .find(|embedding| embedding.fingerprint == *fingerprint)
    }

    /// The memory with its vectors of one model, if it has any.
    pub(super) fn embedded_by(&self, fingerprint: &Fingerprint) -> EmbeddedMemory {
        let embedding = self.embedding_by(fingerprint);
        let embedding = embedding.unwrap_or(&self.item.embedding).clone();
        EmbeddedMemory::new(self.item.memory.clone(), embedding)
    }
}
