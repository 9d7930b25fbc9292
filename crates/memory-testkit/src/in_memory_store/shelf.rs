//! One entity's memories.

use std::collections::BTreeMap;

use memory_core::{
    AccessUpdate, ChangeSet, EmbeddedMemory, Embedding, EntityId, EntityStats, Fingerprint,
    Generation, GetOutcome, ListPage, ListRequest, Memory, MemoryError, MemoryFilter, MemoryId,
    MemoryPatch, MemoryResult, PageCursor, UpdateOutcome, limits,
};

/// What one entity holds, at one generation.
#[derive(Clone, Default)]
pub(super) struct Shelf {
    pub(super) generation: Generation,
    /// Live and archived.
    pub(super) rows: BTreeMap<MemoryId, Row>,
    /// Ids removed and not inserted anew, with the generation of the removal.
    pub(super) tombstones: BTreeMap<MemoryId, Generation>,
}

/// A memory, its vectors, and the generation that wrote it last.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) item: EmbeddedMemory,
    pub(super) written: Generation,
}

impl Shelf {
    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    pub(super) fn stats(&self) -> EntityStats {
        let live = self.live().count() as u64;
        EntityStats {
            generation: self.generation,
            memory_count: live,
            archived_count: self.rows.len() as u64 - live,
        }
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

    /// Whether `memory` would be new here; `false` if it is here already.
    ///
    /// Equal content makes it the same memory: whatever else the caller
    /// brings with a repeated id, the first write stands.
    pub(super) fn lacks(&self, memory: &Memory) -> MemoryResult<bool> {
        match self.rows.get(&memory.id) {
            None => Ok(true),
            Some(row) if row.item.memory.content == memory.content => Ok(false),
            Some(_) => Err(MemoryError::Conflict {
                entity: memory.entity_id.clone(),
                id: memory.id,
            }),
        }
    }

    /// Begins a write: what is put from here on bears the new generation.
    pub(super) fn raise(&mut self) {
        self.generation = self.generation.next();
    }

    /// Writes a row at the present generation.
    pub(super) fn put(&mut self, item: EmbeddedMemory) {
        self.tombstones.remove(&item.memory.id);
        let written = self.generation;
        self.rows.insert(item.memory.id, Row { item, written });
    }

    /// Inserts a memory, live, at the present generation.
    pub(super) fn insert(&mut self, item: &EmbeddedMemory) {
        let mut item = item.clone();
        item.memory.archived_by = None;
        self.put(item);
    }

    pub(super) fn get(&self, ids: &[MemoryId]) -> GetOutcome {
        let memory = |id| self.rows.get(id).map(|row| row.item.memory.clone());
        GetOutcome {
            generation: self.generation,
            memories: ids.iter().map(memory).collect(),
        }
    }

    pub(super) fn list(&self, request: &ListRequest) -> ListPage {
        let place = |memory: &Memory| (memory.timestamp, memory.id);
        let cursor = request.after.as_ref();
        let mut left: Vec<&Memory> = self
            .rows
            .values()
            .map(|row| &row.item.memory)
            .filter(|memory| request.scope.contains(memory.archived_by))
            .filter(|memory| request.filter.matches(memory))
            .filter(|memory| cursor.is_none_or(|after| place(memory) < (after.timestamp, after.id)))
            .collect();
        left.sort_by_key(|memory| std::cmp::Reverse(place(memory)));
        let more = left.len() > request.limit;
        left.truncate(request.limit);
        ListPage {
            generation: self.generation,
            next: left
                .last()
                .filter(|_| more)
                .map(|last| PageCursor::from(*last)),
            memories: left.into_iter().cloned().collect(),
        }
    }

    pub(super) fn changes_since(&self, since: Generation, fingerprint: &Fingerprint) -> ChangeSet {
        let reset = since > self.generation;
        let since = if reset { Generation::ZERO } else { since };
        let (written, archived): (Vec<_>, Vec<_>) = self
            .rows
            .values()
            .filter(|row| row.written > since)
            .partition(|row| row.is_live());
        let removed = self.tombstones.iter().filter(|(_, at)| **at > since);
        ChangeSet {
            generation: self.generation,
            written: written
                .into_iter()
                .map(|row| row.with_vectors_of(fingerprint))
                .collect(),
            removed: removed
                .map(|(id, _)| *id)
                .chain(archived.iter().map(|row| row.item.memory.id))
                .collect(),
            reset,
        }
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
        if let Some(summary) = row.item.memory.archived_by {
            return Err(MemoryError::Archived {
                entity: entity(),
                id: *id,
                summary,
            });
        }
        let mut item = row.item.clone();
        patch.apply(&mut item.memory);
        limits::check_related(&item.memory.related)?;
        if let Some(embedding) = embedding {
            item.embedding = embedding.clone();
        }
        self.raise();
        let memory = item.memory.clone();
        self.put(item);
        Ok(UpdateOutcome {
            generation: self.generation,
            memory,
            changed: true,
        })
    }

    pub(super) fn record_accesses(&mut self, updates: &[AccessUpdate]) {
        for update in updates {
            if let Some(row) = self.rows.get_mut(&update.id) {
                let memory = &mut row.item.memory;
                memory.access_count = memory.access_count.saturating_add(update.accesses);
                memory.last_accessed = memory.last_accessed.max(Some(update.last_accessed));
            }
        }
    }
}

impl Row {
    pub(super) fn is_live(&self) -> bool {
        self.item.memory.archived_by.is_none()
    }

    /// The row as a snapshot takes it: vectors of other fingerprints stay away.
    fn with_vectors_of(&self, fingerprint: &Fingerprint) -> EmbeddedMemory {
        let same = self.item.embedding.fingerprint == *fingerprint;
        EmbeddedMemory {
            memory: self.item.memory.clone(),
            embedding: Embedding {
                fingerprint: fingerprint.clone(),
                vectors: if same {
                    self.item.embedding.vectors.clone()
                } else {
                    Vec::new()
                },
            },
        }
    }
}
