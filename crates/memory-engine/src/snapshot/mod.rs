//! Snapshots: a materialized view of one entity's memories, searchable in
//! memory.

mod analysis;
mod approximation;
mod bit_packing;
mod block_groups;
mod block_vec;
mod blocked_scores;
mod buffer;
mod delta;
mod digest;
mod drop;
mod episodes;
mod estimates;
mod filter;
mod from_pages;
mod inverted_index;
mod load;
mod memory_blocks;
mod mentions;
mod neighbors;
mod packed_memory;
mod page;
mod page_format;
mod page_writer;
mod pair_index;
mod posting_block;
mod posting_list;
mod retrieval;
mod search;
mod selection;
mod slot;
mod sorted_blocks;
mod tag_index;
mod term_weights;
mod threads;
mod time_ranges;
mod vectors;

use std::ops::Range;

use memory_core::{
    ChangeSet, EmbeddedMemory, EntityId, Generation, Language, Memory, MemoryId, VectorPrecision,
};

use analysis::{Analysis, AnalyzedMemory};
use block_vec::BlockVec;
use episodes::Episodes;
use inverted_index::InvertedIndex;
use memory_blocks::MemoryBlocks;
use mentions::MentionIndex;
use packed_memory::PackedMemory;
use pair_index::PairIndex;
use posting_list::PostingList;
use slot::{NewNumbers, Slot, SlotRanges};
use tag_index::TagIndex;
use time_ranges::TimeRanges;
use vectors::{EncodedRows, Vectors};

pub(crate) use delta::Delta;
pub(crate) use load::SnapshotLoader;
pub(crate) use mentions::{JoinedNames, mentions};

/// All memories of one entity at one generation: a materialized view.
///
/// Immutable once it is shared. The next version is a clone with the changes
/// applied: it shares what did not change, so it costs O(changes).
#[derive(Clone)]
pub(crate) struct EntitySnapshot {
    entity: EntityId,
    /// The language of its texts, if that is known.
    language: Option<Language>,
    generation: Generation,
    /// A memory keeps its slot until the next compaction; `None` where one was
    /// removed.
    slots: BlockVec<Option<Slot>>,
    /// By slot.
    memories: MemoryBlocks,
    /// The slot of each memory, by a digest of its id.
    by_id: PostingList,
    vectors: Vectors,
    inverted_index: InvertedIndex,
    pairs: PairIndex,
    times: TimeRanges,
    episodes: Episodes,
    mentions: MentionIndex,
    tags: TagIndex,
    /// By a digest of an id, the slots of the memories that are related to what has it.
    related: PostingList,
    /// How many memories there are.
    live: usize,
    /// How many of them name a time.
    timed: usize,
    /// Bytes of everything, counted where it changed: a cache asks for them under its
    /// lock.
    bytes: usize,
}

impl EntitySnapshot {
    /// The snapshot of an entity without writes.
    pub(crate) fn empty(entity: EntityId, dimensions: usize, language: Option<Language>) -> Self {
        Self {
            entity,
            language,
            generation: Generation::ZERO,
            slots: BlockVec::default(),
            memories: MemoryBlocks::default(),
            by_id: PostingList::default(),
            vectors: Vectors::new(dimensions),
            inverted_index: InvertedIndex::default(),
            pairs: PairIndex::default(),
            times: TimeRanges::default(),
            episodes: Episodes::default(),
            mentions: MentionIndex::default(),
            tags: TagIndex::default(),
            related: PostingList::default(),
            live: 0,
            timed: 0,
            bytes: size_of::<Self>(),
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
        self.live
    }

    /// Vectors held: of a memory, one for each of its chunks.
    pub(crate) fn vector_count(&self) -> usize {
        self.vectors.rows()
    }

    /// Bytes of memories, vectors and indexes. Parts that versions share are
    /// counted in each.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// O(blocks).
    fn count_bytes(&self) -> usize {
        size_of::<Self>()
            + self.slots.size_bytes()
            + self.memories.size_bytes()
            + self.by_id.size_bytes()
            + self.related.size_bytes()
            + self.vectors.size_bytes()
            + self.inverted_index.size_bytes()
            + self.pairs.size_bytes()
            + self.times.size_bytes()
            + self.episodes.size_bytes()
            + self.mentions.size_bytes()
            + self.tags.size_bytes()
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
        let dimensions = self.vectors.dimensions();
        for written in AnalyzedMemory::all(changes.written, dimensions, self.language) {
            next.put(&written.memory, &written.analysis, &written.rows);
        }
        next.settle();
        next.generation = changes.generation;
        next.complete()
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
            let memory = PackedMemory::pack(&written.memory);
            let analysis = Analysis::of(&PackedMemory(&memory).parts(), self.language);
            match &written.vectors {
                Some(vectors) => {
                    let vectors = delta::round_to_store_precision(vectors, precision)?;
                    let rows = EncodedRows::new(&vectors, self.vectors.dimensions());
                    next.put(&memory, &analysis, &rows);
                }
                None => next.replace_memory(&memory, &analysis)?,
            }
        }
        next.settle();
        next.generation = generation;
        Some(next.complete())
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
        let slots = (0u32..).zip(self.slots.iter());
        let slots = slots.filter(|(_, slot)| slot.is_some());
        let memories = slots.map(|(slot, _)| self.memories.get(slot).unpack(&self.entity));
        let later = memories.filter(is_later);
        let removed = later.map(|memory| memory.id).collect();
        self.apply(ChangeSet::new(self.generation, restored, removed))
    }

    fn to_empty(&self) -> Self {
        Self::empty(
            self.entity.clone(),
            self.vectors.dimensions(),
            self.language,
        )
    }

    /// The slot of a memory.
    fn slot_of(&self, id: &MemoryId) -> Option<u32> {
        let digest = id_digest(id);
        let is_own =
            |slot: &u32| self.slot(*slot).is_some() && self.memories.get(*slot).id() == *id;
        self.by_id.numbers_of(digest).into_iter().find(is_own)
    }

    fn slot(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// Puts a memory in its own slot, or in a new slot at the end, to be found after
    /// [`settle`](Self::settle).
    fn put(&mut self, memory: &[u8], analysis: &Analysis, rows: &EncodedRows) {
        let slot = match self.slot_of(&PackedMemory(memory).id()) {
            Some(slot) => {
                self.clear_slot(slot);
                slot
            }
            None => self.next_slot(),
        };
        let rows = self.vectors.push(slot, rows);
        self.index_memory(slot, memory, analysis, rows);
    }

    /// Replaces a memory in its slot and keeps its vectors; `None` if it has no
    /// slot.
    fn replace_memory(&mut self, memory: &[u8], analysis: &Analysis) -> Option<()> {
        let slot = self.slot_of(&PackedMemory(memory).id())?;
        let rows = self.unindex_slot(slot)?.rows();
        self.index_memory(slot, memory, analysis, rows);
        Some(())
    }

    /// Adds a memory to everything except the vectors, which are at `rows`.
    fn index_memory(&mut self, slot: u32, memory: &[u8], analysis: &Analysis, rows: Range<u32>) {
        self.pairs.push(slot, &analysis.pairs);
        self.mentions.push(slot, &analysis.labels);
        let passages = self.inverted_index.push(slot, &analysis.passages);
        let ranges = SlotRanges {
            slot,
            rows,
            passages,
        };
        self.add_slot(&ranges, memory, analysis.words, analysis.has_time);
    }

    /// Adds a memory to everything except the indexes of its vectors, words and labels.
    fn add_slot(&mut self, ranges: &SlotRanges, memory: &[u8], words: u32, has_time: bool) {
        let slot = ranges.slot;
        let parts = PackedMemory(memory).parts();
        for (id, _) in parts.related() {
            self.related.push(id_digest(&id), slot);
        }
        self.tags.push(slot, parts.tags());
        self.by_id.push(id_digest(&parts.attributes.id), slot);
        self.live += 1;
        self.timed += usize::from(has_time);
        self.memories.put(slot, memory);
        let mut new = Slot::new(&parts, ranges, words, has_time);
        self.times.add(slot, new.time);
        if let Some(context) = parts.context {
            let position = self.episodes.push(context, new.episode_entry(slot));
            self.connect(position.previous, Some(slot));
            self.connect(Some(slot), position.next);
            new.set_position(&position);
        }
        match self.slots.get_mut(slot as usize) {
            Some(existing) => *existing = Some(new),
            None => self.slots.push(Some(new)),
        }
    }

    /// Puts what was added to the indexes in order.
    fn settle(&mut self) {
        self.by_id.settle();
        self.related.settle();
        self.inverted_index.settle();
        self.pairs.settle();
        self.mentions.settle();
        self.tags.settle();
    }

    fn remove(&mut self, id: &MemoryId) {
        if let Some(slot) = self.slot_of(id) {
            self.clear_slot(slot);
        }
    }

    fn clear_slot(&mut self, slot: u32) {
        if let Some(removed) = self.unindex_slot(slot) {
            self.vectors.remove(removed.rows());
        }
    }

    /// Removes a memory from everything except the vectors, and returns what was
    /// in its slot.
    fn unindex_slot(&mut self, slot: u32) -> Option<Slot> {
        let removed = self.slots.get_mut(slot as usize)?.take()?;
        let memory = self.memories.get(slot).parts();
        let analysis = Analysis::of(&memory, self.language);
        self.inverted_index
            .remove(removed.passages(), &analysis.passages);
        self.pairs.remove(slot, &analysis.pairs);
        if let (Some(context), Some(episode)) = (memory.context, removed.episode()) {
            let entry = removed.episode_entry(slot);
            self.episodes.remove(context, episode, entry);
        }
        self.mentions.remove(slot, &analysis.labels);
        self.tags.remove(slot, memory.tags());
        for (id, _) in memory.related() {
            self.related.remove(id_digest(&id), slot);
        }
        let id = id_digest(&memory.attributes.id);
        self.by_id.remove(id, slot);
        self.memories.remove(slot);
        self.connect(removed.previous(), removed.next());
        self.live -= 1;
        self.timed -= usize::from(removed.has_time);
        Some(removed)
    }

    /// Makes two slots the previous and the next one of each other, as far as they have
    /// memories.
    fn connect(&mut self, previous: Option<u32>, next: Option<u32>) {
        if let Some(slot) = self.slot_mut(previous) {
            slot.set_next(next);
        }
        if let Some(slot) = self.slot_mut(next) {
            slot.set_previous(previous);
        }
    }

    fn slot_mut(&mut self, slot: Option<u32>) -> Option<&mut Slot> {
        self.slots.get_mut(slot? as usize)?.as_mut()
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded by the memory that slots take"
    )]
    fn next_slot(&self) -> u32 {
        self.slots.len() as u32
    }

    /// This version, complete: compacted if needed, and its bytes counted.
    fn complete(self) -> Self {
        let mut version = if self.needs_compaction() {
            self.compacted()
        } else {
            self
        };
        version.bytes = version.count_bytes();
        version
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
        let numbers = NewNumbers {
            slots: &new_slots,
            rows: &rows,
            passages: &passages,
            episodes: &episode_numbers,
        };
        let moved = |slot: &Slot| slot.renumbered(&numbers);
        let mut times = TimeRanges::default();
        for (slot, moved) in (0u32..).zip(self.slots.iter().flatten()) {
            times.add(slot, moved.time);
        }
        let mut memories = MemoryBlocks::default();
        for (old, new) in (0u32..).zip(&new_slots) {
            if let Some(new) = new {
                memories.put(*new, self.memories.get(old).0);
            }
        }
        let ids = self.by_id.iter();
        let related = self.related.iter();
        Self {
            entity: self.entity.clone(),
            language: self.language,
            generation: self.generation,
            slots: self
                .slots
                .iter()
                .flatten()
                .map(|slot| Some(moved(slot)))
                .collect(),
            memories,
            by_id: ids.filter_map(|(id, slot)| Some((id, to(slot)?))).collect(),
            vectors,
            inverted_index,
            pairs: self.pairs.remap(to),
            times,
            episodes,
            mentions: self.mentions.remap(to),
            tags: self.tags.remap(to),
            related: related
                .filter_map(|(id, slot)| Some((id, to(slot)?)))
                .collect(),
            live: self.live,
            timed: self.timed,
            bytes: self.bytes,
        }
    }
}

/// A digest of an id: which part of an id varies depends on who made it.
fn id_digest(id: &MemoryId) -> u32 {
    /// 2^64 over the golden ratio, as in Fibonacci hashing (Knuth).
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let (high, low) = id.as_uuid().as_u64_pair();
    let mixed = (high ^ low.rotate_left(32)).wrapping_mul(MULTIPLIER);
    (mixed >> 32) as u32
}

#[cfg(test)]
mod episode_tests;
#[cfg(test)]
mod estimate_tests;
#[cfg(test)]
mod size_tests;
#[cfg(test)]
mod tests;
