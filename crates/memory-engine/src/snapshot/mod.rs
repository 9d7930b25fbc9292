//! Snapshots: a materialized view of one entity's memories, searchable in
//! memory.

mod delta;
mod drop;
mod episodes;
mod inverted_index;
mod load;
mod mentions;
mod pair_index;
mod scan;
mod text_features;
mod vectors;

use std::sync::Arc;

use memory_core::{
    ChangeSet, EmbeddedMemory, EntityId, Generation, Memory, MemoryId, VectorPrecision,
};
use rpds::HashTrieMapSync;

use episodes::Episodes;
use inverted_index::InvertedIndex;
use memory_text::TextAnalysis;
use mentions::MentionIndex;
use pair_index::PairIndex;
use text_features::TextFeatures;
use vectors::Vectors;

pub(crate) use delta::Delta;
pub(crate) use load::load;
pub(crate) use mentions::mentions;

/// All memories of one entity at one generation: a materialized view.
///
/// Immutable once it is shared. The next version is a clone with the changes
/// applied: it shares what did not change, so it costs O(changes).
#[derive(Clone)]
pub(crate) struct EntitySnapshot {
    entity: EntityId,
    generation: Generation,
    /// By slot. A memory keeps its slot until the next compaction; `None` where
    /// one was removed.
    memories: Vec<Option<Arc<Memory>>>,
    slots: HashTrieMapSync<MemoryId, u32>,
    vectors: Vectors,
    inverted_index: InvertedIndex,
    pairs: PairIndex,
    features: TextFeatures,
    episodes: Episodes,
    mentions: MentionIndex,
    /// Slots of memories that are related to others.
    related: HashTrieMapSync<u32, ()>,
    memory_bytes: usize,
}

/// Bytes of a memory in addition to itself: the reference counts of its
/// pointer, and its nodes in the map of slots. Measured: `tests/size.rs`.
const SLOT_BYTES: usize = 120;

/// Bytes of an entry in the map of related memories.
const RELATED_BYTES: usize = 90;

impl EntitySnapshot {
    /// The snapshot of an entity without writes.
    pub(crate) fn empty(entity: EntityId, dimensions: usize) -> Self {
        Self {
            entity,
            generation: Generation::ZERO,
            memories: Vec::new(),
            slots: HashTrieMapSync::default(),
            vectors: Vectors::new(dimensions),
            inverted_index: InvertedIndex::default(),
            pairs: PairIndex::default(),
            features: TextFeatures::default(),
            episodes: Episodes::default(),
            mentions: MentionIndex::default(),
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

    /// Bytes of memories, vectors and indexes. Parts that versions share are
    /// counted in each.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.memory_bytes
            + self.memories.capacity() * size_of::<Option<Arc<Memory>>>()
            + self.related.size() * RELATED_BYTES
            + self.vectors.size_bytes()
            + self.inverted_index.size_bytes()
            + self.pairs.size_bytes()
            + self.features.size_bytes()
            + self.episodes.size_bytes()
            + self.mentions.size_bytes()
    }

    /// The snapshot after `changes`.
    pub(crate) fn apply(&self, changes: ChangeSet) -> Self {
        let mut next = if changes.reset {
            self.to_empty()
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
        next.compact_if_needed()
    }

    /// The snapshot after the write that made the next `generation`: equal to
    /// [`apply`](Self::apply) of the store's changes, without reading them.
    /// `None` where they have to be read.
    pub(crate) fn try_apply_write(
        &self,
        generation: Generation,
        delta: &Delta,
        precision: VectorPrecision,
    ) -> Option<Self> {
        if generation != self.generation.next() || !delta.can_apply_inline() {
            return None;
        }
        let mut next = self.clone();
        for id in &delta.removed {
            next.remove(id);
        }
        for written in &delta.written {
            let memory = Arc::clone(&written.memory);
            match &written.vectors {
                Some(vectors) => next.put(
                    memory,
                    &delta::round_to_store_precision(vectors, precision)?,
                ),
                None => next.replace_memory(memory)?,
            }
        }
        next.generation = generation;
        Some(next.compact_if_needed())
    }

    /// This snapshot, at the same generation, without some memories.
    pub(crate) fn without(&self, ids: &[MemoryId]) -> Self {
        self.apply(ChangeSet::new(self.generation, Vec::new(), ids.to_vec()))
    }

    /// This snapshot with archived memories restored, and without those that
    /// exist only since later. O(memories).
    pub(crate) fn as_of(
        &self,
        restored: Vec<EmbeddedMemory>,
        is_later: impl Fn(&Memory) -> bool,
    ) -> Self {
        let memories = self.memories.iter().flatten();
        let later = memories.filter(|memory| is_later(memory));
        let removed = later.map(|memory| memory.id).collect();
        self.apply(ChangeSet::new(self.generation, restored, removed))
    }

    fn to_empty(&self) -> Self {
        Self::empty(self.entity.clone(), self.vectors.dimensions())
    }

    /// Puts a memory in its own slot, or in a new slot at the end.
    fn put(&mut self, memory: Arc<Memory>, vectors: &[Vec<f32>]) {
        let slot = match self.slots.get(&memory.id).copied() {
            Some(slot) => {
                self.clear_slot(slot);
                slot
            }
            None => self.next_slot(),
        };
        for vector in vectors {
            self.vectors.push(slot, vector);
        }
        self.index_memory(slot, memory);
    }

    /// Replaces a memory in its slot and keeps its vectors; `None` if it has no
    /// slot.
    fn replace_memory(&mut self, memory: Arc<Memory>) -> Option<()> {
        let slot = self.slots.get(&memory.id).copied()?;
        self.unindex_slot(slot);
        self.index_memory(slot, memory);
        Some(())
    }

    /// Adds a memory to everything except the vectors.
    fn index_memory(&mut self, slot: u32, memory: Arc<Memory>) {
        let analysis = TextAnalysis::of(&memory.content);
        self.inverted_index.push(slot, &analysis.passages);
        self.pairs.push(slot, &analysis.pairs);
        self.features.push(slot, &analysis);
        self.episodes
            .push(slot, memory.context.as_deref(), memory.timestamp);
        self.mentions.push(slot, &memory);
        if !memory.related.is_empty() {
            self.related.insert_mut(slot, ());
        }
        self.slots.insert_mut(memory.id, slot);
        self.memory_bytes += SLOT_BYTES + memory.size_bytes();
        let index = slot as usize;
        if self.memories.len() <= index {
            self.memories.resize(index + 1, None);
        }
        self.memories[index] = Some(memory);
    }

    fn remove(&mut self, id: &MemoryId) {
        if let Some(slot) = self.slots.get(id).copied() {
            self.clear_slot(slot);
        }
    }

    fn clear_slot(&mut self, slot: u32) {
        self.vectors.remove(slot);
        self.unindex_slot(slot);
    }

    /// Removes a memory from everything except the vectors.
    fn unindex_slot(&mut self, slot: u32) {
        let Some(memory) = self.memories[slot as usize].take() else {
            return;
        };
        let analysis = TextAnalysis::of(&memory.content);
        self.inverted_index.remove(slot, &analysis.passages);
        self.pairs.remove(slot);
        self.episodes.remove(slot, memory.context.as_deref());
        self.mentions.remove(slot, &memory);
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

    fn compact_if_needed(self) -> Self {
        if self.needs_compaction() {
            self.compacted()
        } else {
            self
        }
    }

    /// Whether a quarter of the slots, or of the vector rows, is unused.
    fn needs_compaction(&self) -> bool {
        const MIN_EMPTY_SLOTS: usize = 64;
        let empty = self.memories.len() - self.len();
        (empty > MIN_EMPTY_SLOTS && empty * 4 > self.memories.len())
            || self.vectors.needs_compaction()
    }

    /// The same memories in the same order, without empty slots. Renumbers the
    /// indexes and tokenizes nothing. O(memories + postings + vectors).
    fn compacted(&self) -> Self {
        let mut next = 0..;
        let new_slots: Vec<Option<u32>> = self
            .memories
            .iter()
            .map(|memory| memory.as_ref().and_then(|_| next.next()))
            .collect();
        let to = |slot: u32| new_slots.get(slot as usize).copied().flatten();
        let memories: Vec<_> = self.memories.iter().flatten().cloned().map(Some).collect();
        let slots = self.slots.iter();
        let related = self.related.keys();
        Self {
            entity: self.entity.clone(),
            generation: self.generation,
            memories,
            slots: slots
                .filter_map(|(id, slot)| Some((*id, to(*slot)?)))
                .collect(),
            vectors: self.vectors.remap(to),
            inverted_index: self.inverted_index.remap(to),
            pairs: self.pairs.remap(to),
            features: self.features.remap(to),
            episodes: self.episodes.remap(to),
            mentions: self.mentions.remap(to),
            related: related.filter_map(|slot| Some((to(*slot)?, ()))).collect(),
            memory_bytes: self.memory_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{Embedding, MemoryBatchItem, MemoryFilter, MemoryKind};

    use super::*;
    use crate::ranking::{CandidateSet, Episode, Ranking};
    use crate::recall::Query;
    use crate::tiers::EmbeddedText;

    fn query(text: &str) -> Query {
        let vector: Arc<[f32]> = Arc::new([1.0, 0.0]);
        let embedded = EmbeddedText {
            vector,
            unknown_share: 0.0,
        };
        Query::new(text, embedded, chrono::Utc::now())
    }

    fn written(n: u8) -> EmbeddedMemory {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, format!("memory number {n}"))
            .with_context(format!("episode {}", n / 10))
            .with_tag(format!("n{}", n % 10))
            .with_related(MemoryId::new(), "of");
        EmbeddedMemory {
            memory: item.into_memory(chrono::Utc::now()).unwrap(),
            embedding: Embedding {
                fingerprint: "test".into(),
                vectors: vec![vec![f32::from(n), 1.0]],
            },
        }
    }

    fn changes(written: Vec<EmbeddedMemory>, removed: Vec<MemoryId>) -> ChangeSet {
        ChangeSet::new(Generation(1), written, removed)
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
        let query = query("");
        let candidates = snapshot.candidates(&query, &MemoryFilter::new(), &Ranking::default());
        candidates
            .similarities
            .into_iter()
            .filter(|value| *value > CandidateSet::NO_SIMILARITY)
            .collect()
    }

    #[test]
    fn a_version_is_its_predecessor_with_the_changes() {
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

    fn with_vector(memory: &Arc<Memory>, all: &EntitySnapshot) -> EmbeddedMemory {
        let query = query("");
        let slot = all.slots.get(&memory.id).copied().unwrap() as usize;
        let similarity = all
            .candidates(&query, &MemoryFilter::new(), &Ranking::default())
            .similarities[slot];
        EmbeddedMemory {
            memory: memory.as_ref().clone(),
            embedding: Embedding {
                fingerprint: "test".into(),
                vectors: vec![vec![similarity, 1.0]],
            },
        }
    }

    fn sorted(mut episodes: Vec<Episode>) -> Vec<Episode> {
        episodes.sort();
        episodes
    }

    #[test]
    fn compaction_keeps_the_order() {
        let all = EntitySnapshot::empty("mira".into(), 2)
            .apply(changes((0..200).map(written).collect(), vec![]));
        let ids: Vec<MemoryId> = all.memories.iter().flatten().map(|m| m.id).collect();
        let odd: Vec<MemoryId> = ids.iter().copied().skip(1).step_by(2).collect();
        let even = all.apply(changes(vec![], odd));
        assert_eq!(even.memories.len(), 100, "no empty slots");
        // Compacted, it is what it would be had the removed never been there.
        let never = EntitySnapshot::empty("mira".into(), 2).apply(changes(
            even.memories
                .iter()
                .flatten()
                .map(|memory| with_vector(memory, &all))
                .collect(),
            vec![],
        ));
        for text in ["memory", "number 4", "42", "n7"] {
            let query = query(text);
            let filter = MemoryFilter::new();
            let (a, b) = (
                even.candidates(&query, &filter, &Ranking::default()),
                never.candidates(&query, &filter, &Ranking::default()),
            );
            assert_eq!(a.lexical, b.lexical, "{text}");
            assert_eq!(a.pairs, b.pairs, "{text}");
            assert_eq!(a.chunks, b.chunks, "{text}");
            assert_eq!(a.words, b.words, "{text}");
            assert_eq!(a.mentioned, b.mentioned, "{text}");
            assert_eq!(a.similarities, b.similarities, "{text}");
            assert_eq!(sorted(a.episodes), sorted(b.episodes), "{text}");
            assert_eq!(a.links, b.links, "{text}");
        }
        let expected: Vec<f32> = (0..200u8).step_by(2).map(f32::from).collect();
        assert_eq!(similarities(&even), expected);
        assert!(even.size_bytes() < all.size_bytes() * 3 / 4);
    }

    #[test]
    fn removing_everything_frees_all_bytes() {
        let empty = EntitySnapshot::empty("mira".into(), 2);
        let full = empty.apply(changes((0..10).map(written).collect(), vec![]));
        let ids: Vec<MemoryId> = full.memories.iter().flatten().map(|m| m.id).collect();
        let emptied = full.without(&ids);
        assert_eq!((emptied.len(), emptied.memory_bytes), (0, 0));
        assert_eq!(
            (
                emptied.inverted_index.size_bytes() < 200,
                emptied.mentions.size_bytes()
            ),
            (true, 0)
        );
    }
}
