//! Making a snapshot of an entity's whole state, from pages.

use std::thread;

use memory_core::{
    AccessState, EmbeddedMemory, Generation, Language, MemoryId, SnapshotPage, SnapshotPart,
    SnapshotState,
};

use super::analysis::AnalyzedMemory;
use super::inverted_index::InvertedIndex;
use super::mentions::MentionIndex;
use super::page::{self, PAGE_MEMORIES, Page};
use super::pair_index::PairIndex;
use super::threads::{map_all, start};
use super::vectors::Vectors;
use super::{EntitySnapshot, SlotRanges};

/// Snapshots of more memories than this are made by several threads.
const MIN_PARALLEL: usize = 1_000;

/// The bytes of a page.
struct EncodedPage {
    content: Vec<u8>,
    /// The number of a new page that the store would keep, and the ids of its memories.
    new: Option<(u64, Vec<MemoryId>)>,
}

/// The parts of a state as pages, in their order, and the accesses of all memories.
fn encode_parts(
    state: SnapshotState,
    dimensions: usize,
    language: Option<Language>,
    is_wanted: &(dyn Fn() -> bool + Sync),
) -> (Vec<EncodedPage>, Vec<AccessState>) {
    /// Pages that are worth a thread: some milliseconds of work.
    const MIN_PART: usize = 4;
    let mut accesses = state.accesses;
    let (mut pages, mut groups) = (Vec::new(), Vec::new());
    for part in state.parts {
        let (page, memories) = match part {
            SnapshotPart::Page(content) => {
                pages.push(EncodedPage { content, new: None });
                continue;
            }
            SnapshotPart::Memories { page, memories } => (page, memories),
        };
        accesses.extend(memories.iter().filter_map(accesses_of));
        let count = memories.len();
        let page = page.filter(|_| count <= PAGE_MEMORIES);
        for group in into_groups(memories) {
            pages.push(EncodedPage {
                content: Vec::new(),
                new: page.map(|number| (number, ids_of(&group))),
            });
            groups.push((pages.len() - 1, group));
        }
    }
    let encoded = map_all(groups, MIN_PART, |(position, group)| {
        if !is_wanted() {
            return (position, Vec::new());
        }
        let analyzed = group.iter();
        let analyzed: Vec<_> = analyzed
            .map(|memory| AnalyzedMemory::new(memory, dimensions, language))
            .collect();
        (position, page::encode(&analyzed, dimensions))
    });
    for (position, content) in encoded {
        pages[position].content = content;
    }
    (pages, accesses)
}

/// Divides memories, in their order, among pages.
fn into_groups(memories: Vec<EmbeddedMemory>) -> Vec<Vec<EmbeddedMemory>> {
    let mut groups = Vec::with_capacity(memories.len().div_ceil(PAGE_MEMORIES));
    let mut memories = memories.into_iter();
    while memories.len() > 0 {
        groups.push(memories.by_ref().take(PAGE_MEMORIES).collect());
    }
    groups
}

fn ids_of(memories: &[EmbeddedMemory]) -> Vec<MemoryId> {
    memories.iter().map(|item| item.memory.id).collect()
}

fn accesses_of(embedded: &EmbeddedMemory) -> Option<AccessState> {
    let memory = &embedded.memory;
    let state = AccessState::new(memory.id, memory.access_count, memory.last_accessed);
    (state.access_count > 0 || state.last_accessed.is_some()).then_some(state)
}

impl EntitySnapshot {
    /// This empty snapshot with an entity's whole state, its memories in the order of the
    /// parts, and the pages that the store would keep. `None` where a part is no page of
    /// this program, and early where it `is_wanted` no more.
    pub(super) fn with_state(
        self,
        state: SnapshotState,
        is_wanted: &(dyn Fn() -> bool + Sync),
    ) -> Option<(Self, Vec<SnapshotPage>)> {
        let (generation, dimensions) = (state.generation, self.vectors.dimensions());
        let (encoded, accesses) = encode_parts(state, dimensions, self.language, is_wanted);
        if !is_wanted() {
            return None;
        }
        let pages = encoded.iter();
        let pages = pages.map(|page| Page::decode(&page.content, dimensions));
        let pages: Vec<Page<'_>> = pages.collect::<Option<_>>()?;
        let mut snapshot = self.with_pages(generation, &pages);
        drop(pages);
        snapshot.set_accesses(&accesses);
        snapshot.bytes = snapshot.count_bytes();
        let new = encoded.into_iter().filter_map(|page| {
            let (number, ids) = page.new?;
            Some(SnapshotPage::new(number, ids, page.content))
        });
        Some((snapshot, new.collect()))
    }

    /// This empty snapshot with the memories of pages, in their order: as after adding
    /// one after the other, none of them accessed. No id occurs twice.
    pub(super) fn with_pages(mut self, generation: Generation, pages: &[Page<'_>]) -> Self {
        let dimensions = self.vectors.dimensions();
        self.generation = generation;
        if pages.iter().map(Page::len).sum::<usize>() < MIN_PARALLEL {
            self.vectors = Vectors::from_pages(pages, dimensions);
            self.inverted_index = InvertedIndex::from_pages(pages);
            self.pairs = PairIndex::from_pages(pages);
            self.add_slots(pages);
        } else {
            thread::scope(|scope| {
                let inverted_index = start(scope, || InvertedIndex::from_pages(pages));
                let pairs = start(scope, || PairIndex::from_pages(pages));
                let vectors = start(scope, || Vectors::from_pages(pages, dimensions));
                self.add_slots(pages);
                self.inverted_index = inverted_index.join();
                self.pairs = pairs.join();
                self.vectors = vectors.join();
            });
        }
        self
    }

    /// Adds what is kept of each memory of pages, in new slots.
    fn add_slots(&mut self, pages: &[Page<'_>]) {
        self.mentions = MentionIndex::from_pages(pages);
        let (mut row, mut passage) = (0, 0);
        for memory in pages.iter().flat_map(Page::memories) {
            let ranges = SlotRanges {
                slot: self.next_slot(),
                rows: row..row + memory.vectors,
                passages: passage..passage + memory.passages,
            };
            (row, passage) = (ranges.rows.end, ranges.passages.end);
            self.add_slot(&ranges, memory.packed, memory.words, memory.has_time);
        }
        self.by_id.settle();
        self.related.settle();
        self.tags.settle();
    }

    /// Sets the accesses of memories; the others keep theirs.
    fn set_accesses(&mut self, accesses: &[AccessState]) {
        for state in accesses {
            let Some(slot) = self.slot_of(&state.id) else {
                continue;
            };
            let (count, last) = (state.access_count, state.last_accessed);
            let accessed = self.memories.get(slot).with_accesses(count, last);
            self.memories.put(slot, &accessed);
        }
    }
}
