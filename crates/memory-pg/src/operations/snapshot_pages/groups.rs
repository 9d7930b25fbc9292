//! Which memories a page may be written of.

use memory_core::{EmbeddedMemory, MemoryId, SnapshotPage, SnapshotPart};

/// An entity with fewer memories gets no pages: its rows are read in a few milliseconds.
pub(super) const MIN_MEMORIES: u64 = 4 * SnapshotPage::MAX_MEMORIES as u64;

/// Fewer memories between two pages get no page of their own: removals would leave ever
/// smaller pages.
const MIN_PAGE: usize = SnapshotPage::MAX_MEMORIES / 4;

/// A page as it was read.
pub(super) struct StoredPage {
    pub(super) first: MemoryId,
    pub(super) last: MemoryId,
    pub(super) content: Vec<u8>,
}

/// The parts of a state, in the order of ids: pages, and the memories between and after
/// them in groups of which pages may be written if `keeps_pages`.
pub(super) fn into_parts(
    mut pages: Vec<StoredPage>,
    mut memories: Vec<EmbeddedMemory>,
    keeps_pages: bool,
) -> Vec<SnapshotPart> {
    pages.sort_unstable_by_key(|page| page.last);
    memories.sort_unstable_by_key(|item| item.memory.id);
    let mut parts = Parts {
        parts: Vec::new(),
        keeps_pages,
    };
    let mut memories = memories.into_iter().peekable();
    for page in pages {
        let mut between = Vec::new();
        while let Some(item) = memories.next_if(|item| item.memory.id < page.first) {
            between.push(item);
        }
        parts.push_between(between);
        parts.parts.push(SnapshotPart::Page(page.content));
    }
    parts.push_last(memories.collect());
    parts.parts
}

struct Parts {
    parts: Vec<SnapshotPart>,
    keeps_pages: bool,
}

impl Parts {
    /// Adds memories before a page: of too many for one page, groups of one size, so that
    /// each has room for ids that a caller gives.
    fn push_between(&mut self, memories: Vec<EmbeddedMemory>) {
        let pages = memories.len().div_ceil(SnapshotPage::MAX_MEMORIES);
        let size = memories.len().div_ceil(pages.max(1));
        self.push_groups(memories, size, MIN_PAGE);
    }

    /// Adds the memories after all pages. A page that is not full would be written again
    /// with every memory that is added.
    fn push_last(&mut self, memories: Vec<EmbeddedMemory>) {
        let size = SnapshotPage::MAX_MEMORIES;
        self.push_groups(memories, size, size);
    }

    fn push_groups(&mut self, memories: Vec<EmbeddedMemory>, size: usize, min: usize) {
        let mut memories = memories.into_iter();
        while memories.len() > 0 {
            let group: Vec<EmbeddedMemory> = memories.by_ref().take(size).collect();
            let has_vectors = |item: &EmbeddedMemory| !item.embedding.vectors.is_empty();
            let is_offered =
                self.keeps_pages && group.len() >= min && group.iter().all(has_vectors);
            let number = self.parts.len() as u64;
            self.parts.push(SnapshotPart::Memories {
                page: is_offered.then_some(number),
                memories: group,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use memory_core::EntityId;
    use memory_testkit::{SeededRng, fixtures};
    use uuid::Uuid;

    use super::*;

    fn id(number: usize) -> MemoryId {
        MemoryId::from(Uuid::from_u128(number as u128))
    }

    fn memories(numbers: Range<usize>) -> Vec<EmbeddedMemory> {
        let mut rng = SeededRng::new(1);
        let items = numbers.map(|number| {
            let mut item = fixtures::plain(&EntityId::from("mira"), "text", &mut rng);
            item.memory.id = id(number);
            item
        });
        items.collect()
    }

    fn page(numbers: Range<usize>) -> StoredPage {
        StoredPage {
            first: id(numbers.start),
            last: id(numbers.end - 1),
            content: Vec::new(),
        }
    }

    /// How many memories each part has, and whether a page of them is offered; 0 is a page.
    fn sizes(parts: &[SnapshotPart]) -> Vec<(usize, bool)> {
        let size = |part: &SnapshotPart| match part {
            SnapshotPart::Page(_) => (0, false),
            SnapshotPart::Memories { page, memories } => (memories.len(), page.is_some()),
        };
        parts.iter().map(size).collect()
    }

    #[test]
    fn groups_fill_the_room_between_pages() {
        let all = into_parts(Vec::new(), memories(0..300), true);
        assert_eq!(sizes(&all), [(128, true), (128, true), (44, false)]);
        let pages = || vec![page(500..600), page(130..140)];
        let between = memories(0..130).into_iter().chain(memories(140..171));
        let between: Vec<_> = between.chain(memories(600..727)).collect();
        let expected = [
            (65, true),
            (65, true),
            (0, false),
            (31, false),
            (0, false),
            (127, false),
        ];
        assert_eq!(sizes(&into_parts(pages(), between.clone(), true)), expected);
        let read_only = into_parts(pages(), between, false);
        assert!(sizes(&read_only).iter().all(|(_, is_offered)| !is_offered));
    }

    #[test]
    fn no_page_is_offered_of_memories_without_vectors() {
        let mut all = memories(0..256);
        all[200].embedding.vectors.clear();
        let parts = into_parts(Vec::new(), all, true);
        assert_eq!(sizes(&parts), [(128, true), (128, false)]);
    }
}
