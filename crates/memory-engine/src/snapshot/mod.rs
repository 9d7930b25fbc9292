//! An entity's memories as one searchable value.

mod delta;
mod episodes;
mod labels;
mod lexical;
mod load;
mod scan;
mod vectors;

use std::sync::Arc;

use memory_core::{ChangeSet, EntityId, Generation, Memory, MemoryId, VectorPrecision};
use rpds::HashTrieMapSync;

use episodes::Episodes;
use labels::Labels;
use lexical::Lexical;
use vectors::Vectors;

pub(crate) use delta::Delta;
pub(crate) use labels::names;
pub(crate) use load::load;

/// All memories of one entity at one generation: a materialized view.
///
/// Never changed once it is shared. The next version is a clone with the
/// changes applied: it shares what did not change, so it costs little more
/// than what did.
#[derive(Clone)]
pub(crate) struct EntitySnapshot {
    entity: EntityId,
    generation: Generation,
    /// A memory keeps its slot for as long as it lives; `None` where one was
    /// removed.
    memories: Vec<Option<Arc<Memory>>>,
    slots: HashTrieMapSync<MemoryId, u32>,
    vectors: Vectors,
    lexical: Lexical,
    episodes: Episodes,
    labels: Labels,
    /// Slots of memories that are related to others.
    related: HashTrieMapSync<u32, ()>,
    memory_bytes: usize,
}

/// What a memory costs beside itself: the counts of its pointer, and its nodes
/// in the map of slots. Measured: `tests/size.rs`.
const SLOT_BYTES: usize = 120;

/// What a memory that is related to others costs in the map of those.
const RELATED_BYTES: usize = 90;

impl EntitySnapshot {
    /// The snapshot of an entity that was never written to.
    pub(crate) fn empty(entity: EntityId, dimensions: usize) -> Self {
        Self {
            entity,
            generation: Generation::ZERO,
            memories: Vec::new(),
            slots: HashTrieMapSync::default(),
            vectors: Vectors::new(dimensions),
            lexical: Lexical::default(),
            episodes: Episodes::default(),
            labels: Labels::default(),
            related: HashTrieMapSync::default(),
            memory_bytes: 0,
        }
    }

    pub(crate) fn entity(&self) -> &EntityId {
        &self.entity
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Memories held.
    pub(crate) fn len(&self) -> usize {
        self.slots.size()
    }

    /// Bytes held: memories, vectors, indexes. What versions share is counted
    /// in each.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.memory_bytes
            + self.memories.capacity() * size_of::<Option<Arc<Memory>>>()
            + self.related.size() * RELATED_BYTES
            + self.vectors.size_bytes()
            + self.lexical.size_bytes()
            + self.episodes.size_bytes()
            + self.labels.size_bytes()
    }

    /// The snapshot after `changes`.
    pub(crate) fn apply(&self, changes: ChangeSet) -> Self {
        let mut next = if changes.reset {
            self.emptied()
        } else {
            self.clone()
        };
        for id in &changes.removed {
            next.remove(id);
        }
        for written in changes.written {
            next.put(Arc::new(written.memory), &written.embedding.vectors);
        }
        next.generation = changes.generation;
        next.without_many_holes()
    }

    /// The snapshot after the write that made `generation`, the one after its
    /// own: what [`apply`](Self::apply) would make of the store's changes,
    /// without asking for them. `None` where they have to be asked for.
    pub(crate) fn step(
        &self,
        generation: Generation,
        delta: &Delta,
        precision: VectorPrecision,
    ) -> Option<Self> {
        if generation != self.generation.next() || !delta.is_light() {
            return None;
        }
        let mut next = self.clone();
        for id in &delta.removed {
            next.remove(id);
        }
        for written in &delta.written {
            let memory = Arc::clone(&written.memory);
            match &written.vectors {
                Some(vectors) => next.put(memory, &delta::given_back(vectors, precision)?),
                None => next.replace(memory)?,
            }
        }
        next.generation = generation;
        Some(next.without_many_holes())
    }

    /// This snapshot, at its own generation, without some memories.
    pub(crate) fn without(&self, ids: &[MemoryId]) -> Self {
        self.apply(ChangeSet {
            generation: self.generation,
            removed: ids.to_vec(),
            ..ChangeSet::default()
        })
    }

    fn emptied(&self) -> Self {
        Self::empty(self.entity.clone(), self.vectors.dimensions())
    }

    /// Puts a memory in its own slot, or in a new one at the end.
    fn put(&mut self, memory: Arc<Memory>, vectors: &[Vec<f32>]) {
        let slot = match self.slots.get(&memory.id).copied() {
            Some(slot) => {
                self.clear(slot);
                slot
            }
            None => self.next_slot(),
        };
        for vector in vectors {
            self.vectors.push(slot, vector);
        }
        self.fill(slot, memory);
    }

    /// Puts a memory in its own slot and leaves its vectors as they are; `None`
    /// where it has no slot.
    fn replace(&mut self, memory: Arc<Memory>) -> Option<()> {
        let slot = self.slots.get(&memory.id).copied()?;
        self.empty_slot(slot);
        self.fill(slot, memory);
        Some(())
    }

    /// Enters a memory into everything but the vectors.
    fn fill(&mut self, slot: u32, memory: Arc<Memory>) {
        self.lexical.push(slot, &memory.content);
        self.episodes
            .push(slot, memory.context.as_deref(), memory.timestamp);
        self.labels.push(slot, &memory);
        if !memory.related.is_empty() {
            self.related.insert_mut(slot, ());
        }
        self.slots.insert_mut(memory.id, slot);
        self.memory_bytes += SLOT_BYTES + memory.size_bytes();
        let place = slot as usize;
        if self.memories.len() <= place {
            self.memories.resize(place + 1, None);
        }
        self.memories[place] = Some(memory);
    }

    fn remove(&mut self, id: &MemoryId) {
        if let Some(slot) = self.slots.get(id).copied() {
            self.clear(slot);
        }
    }

    fn clear(&mut self, slot: u32) {
        self.vectors.remove(slot);
        self.empty_slot(slot);
    }

    /// Takes a memory out of everything but the vectors.
    fn empty_slot(&mut self, slot: u32) {
        let Some(memory) = self.memories[slot as usize].take() else {
            return;
        };
        self.lexical.remove(slot, &memory.content);
        self.episodes.remove(slot, memory.context.as_deref());
        self.labels.remove(slot, &memory);
        self.related.remove_mut(&slot);
        self.slots.remove_mut(&memory.id);
        self.memory_bytes -= SLOT_BYTES + memory.size_bytes();
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded by snapshot_max_memories"
    )]
    fn next_slot(&self) -> u32 {
        self.memories.len() as u32
    }

    fn without_many_holes(self) -> Self {
        if self.has_many_holes() {
            self.compacted()
        } else {
            self
        }
    }

    /// Whether a quarter of the slots, or of the rows, is spent.
    fn has_many_holes(&self) -> bool {
        const FEW: usize = 64;
        let holes = self.memories.len() - self.len();
        (holes > FEW && holes * 4 > self.memories.len()) || self.vectors.has_many_holes()
    }

    /// The same memories in the same order, without holes.
    fn compacted(&self) -> Self {
        let mut next = Self {
            generation: self.generation,
            ..self.emptied()
        };
        let mut moved = vec![0; self.memories.len()];
        for (slot, memory) in self.memories.iter().enumerate() {
            if let Some(memory) = memory {
                moved[slot] = next.next_slot();
                next.fill(moved[slot], Arc::clone(memory));
            }
        }
        next.vectors = self.vectors.moved(|slot| moved[slot as usize]);
        next
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{EmbeddedMemory, Embedding, MemoryBatchItem, MemoryFilter, MemoryKind};

    use super::*;
    use crate::query::Query;
    use crate::ranking::Field;

    fn written(n: u8) -> EmbeddedMemory {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, format!("memory number {n}"));
        EmbeddedMemory {
            memory: item.into_memory(chrono::Utc::now()).unwrap(),
            embedding: Embedding {
                fingerprint: "test".into(),
                vectors: vec![vec![f32::from(n), 1.0]],
            },
        }
    }

    fn changes(written: Vec<EmbeddedMemory>, removed: Vec<MemoryId>) -> ChangeSet {
        ChangeSet {
            generation: Generation(1),
            written,
            removed,
            reset: false,
        }
    }

    fn contents(snapshot: &EntitySnapshot) -> Vec<String> {
        snapshot
            .memories
            .iter()
            .flatten()
            .map(|memory| memory.content.clone())
            .collect()
    }

    fn similarities(snapshot: &EntitySnapshot) -> Vec<f32> {
        let query = Query::new("", Arc::new([1.0, 0.0]));
        let field = snapshot.field(&query, &MemoryFilter::new());
        field
            .similarities
            .into_iter()
            .filter(|value| *value > Field::NONE)
            .collect()
    }

    #[test]
    fn a_version_is_the_one_before_with_its_changes() {
        let first = EntitySnapshot::empty("mira".into(), 2)
            .apply(changes((0..4).map(written).collect(), vec![]));
        let ids: Vec<MemoryId> = first.memories.iter().flatten().map(|m| m.id).collect();
        let mut altered = written(9);
        altered.memory.id = ids[1];
        let second = first.apply(changes(
            vec![altered, written(5)],
            vec![ids[0], MemoryId::new()],
        ));
        assert_eq!(contents(&first).len(), 4);
        assert_eq!(
            contents(&second),
            [
                "memory number 9",
                "memory number 2",
                "memory number 3",
                "memory number 5"
            ]
        );
        assert_eq!(second.len(), 4);
        assert_eq!(similarities(&second), [9.0, 2.0, 3.0, 5.0]);
    }

    #[test]
    fn holes_are_closed_and_what_is_left_stays_in_order() {
        let all = EntitySnapshot::empty("mira".into(), 2)
            .apply(changes((0..200).map(written).collect(), vec![]));
        let ids: Vec<MemoryId> = all.memories.iter().flatten().map(|m| m.id).collect();
        let odd: Vec<MemoryId> = ids.iter().copied().skip(1).step_by(2).collect();
        let even = all.apply(changes(vec![], odd));
        assert_eq!(even.memories.len(), 100, "no holes");
        let expected: Vec<f32> = (0..200u8).step_by(2).map(f32::from).collect();
        assert_eq!(similarities(&even), expected);
        assert!(even.size_bytes() < all.size_bytes() * 3 / 4);
    }

    #[test]
    fn removing_everything_leaves_no_bytes_behind() {
        let empty = EntitySnapshot::empty("mira".into(), 2);
        let full = empty.apply(changes((0..10).map(written).collect(), vec![]));
        let ids: Vec<MemoryId> = full.memories.iter().flatten().map(|m| m.id).collect();
        let gone = full.without(&ids);
        assert_eq!((gone.len(), gone.memory_bytes), (0, 0));
        assert_eq!(
            (gone.lexical.size_bytes() < 200, gone.labels.size_bytes()),
            (true, 0)
        );
    }
}
