//! An entity's memories and vectors as one searchable value.

mod load;
mod scan;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use memory_core::{Changes, EntityId, Generation, Memory, MemoryId, PreparedMemory};

pub(crate) use load::load;

/// All memories of one entity at one generation: a materialised view. Never
/// changed once made; a newer one is made from it and what changed.
pub(crate) struct EntitySnapshot {
    entity: EntityId,
    generation: Generation,
    memories: Vec<Arc<Memory>>,
    /// One row of `dimensions` numbers per chunk, in the order of the memories,
    /// in one stretch of memory for the scan to run through.
    matrix: Vec<f32>,
    /// Which memory each row belongs to.
    owners: Vec<u32>,
    dimensions: usize,
    size_bytes: usize,
}

impl EntitySnapshot {
    /// The snapshot of an entity that was never written to.
    pub(crate) fn empty(entity: EntityId, dimensions: usize) -> Self {
        let mut snapshot = Self {
            entity,
            generation: Generation::ZERO,
            memories: Vec::new(),
            matrix: Vec::new(),
            owners: Vec::new(),
            dimensions,
            size_bytes: 0,
        };
        snapshot.size_bytes = snapshot.measure();
        snapshot
    }

    pub(crate) fn entity(&self) -> &EntityId {
        &self.entity
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn len(&self) -> usize {
        self.memories.len()
    }

    /// The memory in a slot that [`scan`](Self::scan) named.
    pub(crate) fn memory(&self, slot: usize) -> Arc<Memory> {
        Arc::clone(&self.memories[slot])
    }

    /// Bytes held: struct, memories, vectors.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The snapshot after `changes`, made from this one.
    pub(crate) fn apply(&self, changes: Changes) -> Self {
        let replaced: HashSet<MemoryId> = changes
            .written
            .iter()
            .map(|written| written.memory.id)
            .chain(changes.removed.iter().copied())
            .collect();
        let kept = if changes.reset {
            0
        } else {
            self.memories.len()
        };
        let mut next = Self {
            generation: changes.generation,
            memories: Vec::with_capacity(kept + changes.written.len()),
            matrix: Vec::with_capacity(self.matrix.len()),
            owners: Vec::with_capacity(self.owners.len()),
            ..Self::empty(self.entity.clone(), self.dimensions)
        };
        if !changes.reset {
            self.copy_all_but(&replaced, &mut next);
        }
        for written in changes.written {
            next.push(written);
        }
        next.size_bytes = next.measure();
        next
    }

    /// This snapshot, at its own generation, without some memories.
    pub(crate) fn without(&self, ids: &[MemoryId]) -> Self {
        self.apply(Changes {
            generation: self.generation,
            removed: ids.to_vec(),
            ..Changes::default()
        })
    }

    fn copy_all_but(&self, replaced: &HashSet<MemoryId>, next: &mut Self) {
        // Where each memory that stays stands in the next snapshot.
        let mut moved: HashMap<u32, u32> = HashMap::with_capacity(self.memories.len());
        for (slot, memory) in (0u32..).zip(&self.memories) {
            if !replaced.contains(&memory.id) {
                moved.insert(slot, next.next_slot());
                next.memories.push(Arc::clone(memory));
            }
        }
        for (owner, row) in self
            .owners
            .iter()
            .zip(self.matrix.chunks_exact(self.dimensions))
        {
            if let Some(&slot) = moved.get(owner) {
                next.owners.push(slot);
                next.matrix.extend_from_slice(row);
            }
        }
    }

    fn push(&mut self, written: PreparedMemory) {
        let slot = self.next_slot();
        for vector in &written.embedding.vectors {
            // A row of another length cannot be compared; the store should
            // never give one under this fingerprint.
            if vector.len() == self.dimensions {
                self.owners.push(slot);
                self.matrix.extend_from_slice(vector);
            }
        }
        self.memories.push(Arc::new(written.memory));
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded by snapshot_max_memories"
    )]
    fn next_slot(&self) -> u32 {
        self.memories.len() as u32
    }

    fn measure(&self) -> usize {
        /// The two counters before the value in an `Arc`.
        const ARC: usize = 2 * size_of::<usize>();
        size_of::<Self>()
            + self.memories.capacity() * size_of::<Arc<Memory>>()
            + self
                .memories
                .iter()
                .map(|memory| ARC + memory.size_bytes())
                .sum::<usize>()
            + self.matrix.capacity() * size_of::<f32>()
            + self.owners.capacity() * size_of::<u32>()
    }
}
