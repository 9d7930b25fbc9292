//! One entity's memories.

use std::collections::BTreeMap;

use memory_core::{
    Changes, Embedding, EntityStats, Fetched, Fingerprint, Generation, ListPage, ListRequest,
    Memory, MemoryError, MemoryFilter, MemoryId, MemoryPatch, MemoryResult, PageCursor,
    PreparedMemory, RemoveOutcome, Touch, UpdateOutcome,
};

/// What one entity holds, at one generation.
#[derive(Default)]
pub(super) struct Shelf {
    generation: Generation,
    rows: BTreeMap<MemoryId, Row>,
    /// Ids removed and not inserted anew, with the generation of the removal.
    tombstones: BTreeMap<MemoryId, Generation>,
}

/// A memory, its vectors, and the generation that wrote it last.
pub(super) struct Row {
    pub(super) item: PreparedMemory,
    written: Generation,
}

impl Shelf {
    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    pub(super) fn stats(&self) -> EntityStats {
        EntityStats {
            generation: self.generation,
            memory_count: self.rows.len() as u64,
        }
    }

    pub(super) fn holds_any(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Every row, in the order of the ids.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// The rows that a filter admits.
    pub(super) fn admitted(&self, filter: &MemoryFilter) -> impl Iterator<Item = &Row> {
        self.rows().filter(|row| filter.admits(&row.item.memory))
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
    pub(super) fn put(&mut self, item: PreparedMemory) {
        self.tombstones.remove(&item.memory.id);
        let written = self.generation;
        self.rows.insert(item.memory.id, Row { item, written });
    }

    pub(super) fn get(&self, ids: &[MemoryId]) -> Fetched {
        let memory = |id| self.rows.get(id).map(|row| row.item.memory.clone());
        Fetched {
            generation: self.generation,
            memories: ids.iter().map(memory).collect(),
        }
    }

    pub(super) fn list(&self, request: &ListRequest) -> ListPage {
        let place = |memory: &Memory| (memory.timestamp, memory.id);
        let mut left: Vec<&Memory> = self
            .admitted(&request.filter)
            .map(|row| &row.item.memory)
            .filter(|memory| {
                let cursor = request.after.as_ref();
                cursor.is_none_or(|after| place(memory) < (after.timestamp, after.id))
            })
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

    pub(super) fn changes_since(&self, since: Generation, fingerprint: &Fingerprint) -> Changes {
        let reset = since > self.generation;
        let since = if reset { Generation::ZERO } else { since };
        let written = self.rows.values().filter(|row| row.written > since);
        let removed = self.tombstones.iter().filter(|(_, at)| **at > since);
        Changes {
            generation: self.generation,
            written: written
                .map(|row| row.with_vectors_of(fingerprint))
                .collect(),
            removed: removed.map(|(id, _)| *id).collect(),
            reset,
        }
    }

    /// Applies a patch; `None` where there is no such memory.
    pub(super) fn update(
        &mut self,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> Option<UpdateOutcome> {
        let mut item = self.rows.get(id)?.item.clone();
        patch.apply(&mut item.memory);
        if let Some(embedding) = embedding {
            item.embedding = embedding.clone();
        }
        self.raise();
        let memory = item.memory.clone();
        self.put(item);
        Some(UpdateOutcome {
            generation: self.generation,
            memory,
        })
    }

    pub(super) fn delete(&mut self, ids: &[MemoryId]) -> RemoveOutcome {
        let mut removed: Vec<MemoryId> = Vec::new();
        for id in ids {
            if self.rows.remove(id).is_some() {
                removed.push(*id);
            }
        }
        if !removed.is_empty() {
            self.raise();
        }
        for id in &removed {
            self.tombstones.insert(*id, self.generation);
        }
        RemoveOutcome {
            generation: self.generation,
            removed,
        }
    }

    pub(super) fn touch(&mut self, touches: &[Touch]) {
        for touch in touches {
            if let Some(row) = self.rows.get_mut(&touch.id) {
                let memory = &mut row.item.memory;
                memory.access_count = memory.access_count.saturating_add(touch.accesses);
                memory.last_accessed = memory.last_accessed.max(Some(touch.last_accessed));
            }
        }
    }
}

impl Row {
    /// The row as a snapshot takes it: vectors of other fingerprints stay away.
    fn with_vectors_of(&self, fingerprint: &Fingerprint) -> PreparedMemory {
        let same = self.item.embedding.fingerprint == *fingerprint;
        PreparedMemory {
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
