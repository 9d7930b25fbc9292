//! Snapshots: a materialized view of one entity's memories, searchable in
//! memory.

mod block_vec;
mod delta;
mod drop;
mod episodes;
mod inverted_index;
mod load;
mod mentions;
mod packed_memory;
mod pair_index;
mod retrieval;
mod search;
mod selection;
mod slot;
mod sorted_blocks;
mod sparse_scores;
mod vectors;

use std::ops::Range;

use memory_core::{
    ChangeSet, EmbeddedMemory, EntityId, Generation, Memory, MemoryId, VectorPrecision,
};
use memory_text::TextAnalysis;
use rpds::HashTrieMapSync;

use block_vec::BlockVec;
use episodes::Episodes;
use inverted_index::InvertedIndex;
use mentions::MentionIndex;
use packed_memory::PackedMemory;
use pair_index::PairIndex;
use slot::Slot;
use sorted_blocks::SortedBlocks;
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
    /// A memory keeps its slot until the next compaction; `None` where one was
    /// removed.
    slots: BlockVec<Option<Slot>>,
    by_id: SortedBlocks<(MemoryId, u32)>,
    vectors: Vectors,
    inverted_index: InvertedIndex,
    pairs: PairIndex,
    episodes: Episodes,
    mentions: MentionIndex,
    /// Slots of memories that are related to others.
    related: HashTrieMapSync<u32, ()>,
    /// How many memories name a time.
    timed: usize,
    /// Bytes of the packed memories.
    memory_bytes: usize,
}

/// Bytes of an entry in the map of related memories.
const RELATED_BYTES: usize = 90;

impl EntitySnapshot {
    /// The snapshot of an entity without writes.
    pub(crate) fn empty(entity: EntityId, dimensions: usize) -> Self {
        Self {
            entity,
            generation: Generation::ZERO,
            slots: BlockVec::default(),
            by_id: SortedBlocks::default(),
            vectors: Vectors::new(dimensions),
            inverted_index: InvertedIndex::default(),
            pairs: PairIndex::default(),
            episodes: Episodes::default(),
            mentions: MentionIndex::default(),
            related: HashTrieMapSync::default(),
            timed: 0,
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
        self.by_id.len()
    }

    /// Bytes of memories, vectors and indexes. Parts that versions share are
    /// counted in each.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.memory_bytes
            + self.slots.size_bytes()
            + self.by_id.size_bytes()
            + self.related.size() * RELATED_BYTES
            + self.vectors.size_bytes()
            + self.inverted_index.size_bytes()
            + self.pairs.size_bytes()
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
            next.put(&written.memory, &written.embedding.vectors);
        }
        next.pairs.settle();
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
            let memory = &*written.memory;
            match &written.vectors {
                Some(vectors) => next.put(
                    memory,
                    &delta::round_to_store_precision(vectors, precision)?,
                ),
                None => next.replace_memory(memory)?,
            }
        }
        next.pairs.settle();
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
        let slots = self.slots.iter().flatten();
        let memories = slots.map(|slot| slot.memory.unpack(&self.entity));
        let later = memories.filter(is_later);
        let removed = later.map(|memory| memory.id).collect();
        self.apply(ChangeSet::new(self.generation, restored, removed))
    }

    fn to_empty(&self) -> Self {
        Self::empty(self.entity.clone(), self.vectors.dimensions())
    }

    /// The slot of a memory.
    fn slot_of(&self, id: &MemoryId) -> Option<u32> {
        let (found, slot) = self.by_id.from(&(*id, 0)).next()?;
        (found == *id).then_some(slot)
    }

    fn slot(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// Puts a memory in its own slot, or in a new slot at the end.
    fn put(&mut self, memory: &Memory, vectors: &[Vec<f32>]) {
        let slot = match self.slot_of(&memory.id) {
            Some(slot) => {
                self.clear_slot(slot);
                slot
            }
            None => self.next_slot(),
        };
        let rows = self.vectors.push(slot, vectors);
        self.index_memory(slot, memory, rows);
    }

    /// Replaces a memory in its slot and keeps its vectors; `None` if it has no
    /// slot.
    fn replace_memory(&mut self, memory: &Memory) -> Option<()> {
        let slot = self.slot_of(&memory.id)?;
        let rows = self.unindex_slot(slot)?.rows;
        self.index_memory(slot, memory, rows);
        Some(())
    }

    /// Adds a memory to everything except the vectors, which are at `rows`.
    fn index_memory(&mut self, slot: u32, memory: &Memory, rows: Range<u32>) {
        let analysis = TextAnalysis::of(&memory.content);
        self.pairs.push(slot, &analysis.pairs);
        self.mentions.push(slot, memory);
        if !memory.related.is_empty() {
            self.related.insert_mut(slot, ());
        }
        self.by_id.insert((memory.id, slot));
        self.timed += usize::from(analysis.has_time);
        let packed = PackedMemory::new(memory);
        self.memory_bytes += packed.size_bytes();
        let mut new = Slot {
            time: memory.timestamp.timestamp_micros(),
            rows,
            passages: self.inverted_index.push(slot, &analysis.passages),
            episode: None,
            words: analysis.words,
            has_time: analysis.has_time,
            memory: packed,
        };
        if let Some(context) = &memory.context {
            let episode = self.episodes.push(context, new.episode_entry(slot));
            new.episode = Some(episode);
        }
        match self.slots.get_mut(slot as usize) {
            Some(existing) => *existing = Some(new),
            None => self.slots.push(Some(new)),
        }
    }

    fn remove(&mut self, id: &MemoryId) {
        if let Some(slot) = self.slot_of(id) {
            self.clear_slot(slot);
        }
    }

    fn clear_slot(&mut self, slot: u32) {
        if let Some(removed) = self.unindex_slot(slot) {
            self.vectors.remove(removed.rows);
        }
    }

    /// Removes a memory from everything except the vectors, and returns what was
    /// in its slot.
    fn unindex_slot(&mut self, slot: u32) -> Option<Slot> {
        let removed = self.slots.get_mut(slot as usize)?.take()?;
        let memory = removed.memory.unpack(&self.entity);
        let analysis = TextAnalysis::of(&memory.content);
        self.inverted_index
            .remove(removed.passages.clone(), &analysis.passages);
        self.pairs.remove(slot, &analysis.pairs);
        if let (Some(context), Some(episode)) = (&memory.context, removed.episode) {
            let entry = removed.episode_entry(slot);
            self.episodes.remove(context, episode, entry);
        }
        self.mentions.remove(slot, &memory);
        self.related.remove_mut(&slot);
        let entry = (memory.id, slot);
        self.by_id.remove_run(&entry, |other| *other == entry);
        self.timed -= usize::from(removed.has_time);
        self.memory_bytes -= removed.memory.size_bytes();
        Some(removed)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded by snapshot_max_memories"
    )]
    fn next_slot(&self) -> u32 {
        self.slots.len() as u32
    }

    fn compact_if_needed(self) -> Self {
        if self.needs_compaction() {
            self.compacted()
        } else {
            self
        }
    }

    /// Whether a quarter of the slots, vector rows or passages is unused.
    fn needs_compaction(&self) -> bool {
        const MIN_EMPTY_SLOTS: usize = 64;
        let empty = self.slots.len() - self.len();
        (empty > MIN_EMPTY_SLOTS && empty * 4 > self.slots.len())
            || self.vectors.needs_compaction()
            || self.inverted_index.needs_compaction()
    }

    /// The same memories in the same order, without empty slots. Renumbers the
    /// indexes and tokenizes nothing. O(memories + postings + vectors).
    fn compacted(&self) -> Self {
        let mut next = 0..;
        let new_slots: Vec<Option<u32>> = self
            .slots
            .iter()
            .map(|slot| slot.as_ref().and_then(|_| next.next()))
            .collect();
        let to = |slot: u32| new_slots.get(slot as usize).copied().flatten();
        let (vectors, rows) = self.vectors.remap(to);
        let (inverted_index, passages) = self.inverted_index.remap(to);
        let (episodes, episode_numbers) = self.episodes.remap(to);
        let moved = |slot: &Slot| Slot {
            rows: moved_range(&slot.rows, &rows),
            passages: moved_range(&slot.passages, &passages),
            episode: slot
                .episode
                .and_then(|episode| episode_numbers.get(episode as usize).copied()),
            ..slot.clone()
        };
        let ids = self.by_id.iter();
        let related = self.related.keys();
        Self {
            entity: self.entity.clone(),
            generation: self.generation,
            slots: self
                .slots
                .iter()
                .flatten()
                .map(|slot| Some(moved(slot)))
                .collect(),
            by_id: ids
                .filter_map(|(id, slot)| Some((*id, to(*slot)?)))
                .collect(),
            vectors,
            inverted_index,
            pairs: self.pairs.remap(to),
            episodes,
            mentions: self.mentions.remap(to),
            related: related.filter_map(|slot| Some((to(*slot)?, ()))).collect(),
            timed: self.timed,
            memory_bytes: self.memory_bytes,
        }
    }
}

/// A range of consecutive numbers after each was renumbered.
fn moved_range(range: &Range<u32>, numbers: &[u32]) -> Range<u32> {
    let start = numbers.get(range.start as usize).copied().unwrap_or(0);
    start..start + (range.end - range.start)
}

#[cfg(test)]
mod tests;
