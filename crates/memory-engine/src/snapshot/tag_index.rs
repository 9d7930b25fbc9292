//! The tags of a snapshot's memories, for filters.

use std::sync::Arc;

use memory_core::MemoryFilter;
use rpds::HashTrieMapSync;

use super::posting_list::PostingList;

/// The slots of the memories that have each tag, and of those that have none. Cloning
/// shares everything; a change copies the blocks that it updates.
#[derive(Clone, Default)]
pub(super) struct TagIndex {
    /// The number of each tag that a memory has.
    numbers: HashTrieMapSync<Arc<str>, u32>,
    /// The last number that was assigned.
    last: u32,
    /// The number of a tag, or [`UNTAGGED`], and the slot of a memory.
    entries: PostingList,
    /// Bytes of the tags.
    bytes: usize,
    /// Tags of removed entries, which may be the last with them.
    removed: Vec<Arc<str>>,
}

/// Stands for a tag in the entries of memories without any.
const UNTAGGED: u32 = 0;

/// Bytes of a tag in addition to its text and entries, like a context in `episodes`.
const TAG_BYTES: usize = 120;

impl TagIndex {
    /// Adds a slot's tags, to be found after [`settle`](Self::settle).
    pub(super) fn push<'a>(&mut self, slot: u32, tags: impl Iterator<Item = &'a str>) {
        let mut is_tagged = false;
        for tag in tags {
            is_tagged = true;
            let number = self.number_of(tag);
            self.entries.push(number, slot);
        }
        if !is_tagged {
            self.entries.push(UNTAGGED, slot);
        }
    }

    fn number_of(&mut self, tag: &str) -> u32 {
        if let Some(number) = self.numbers.get(tag) {
            return *number;
        }
        self.last += 1;
        self.numbers.insert_mut(tag.into(), self.last);
        self.bytes += TAG_BYTES + tag.len();
        self.last
    }

    /// Puts what was added in order, all at once, and drops what was removed.
    pub(super) fn settle(&mut self) {
        self.entries.settle();
        for tag in std::mem::take(&mut self.removed) {
            let number = self.numbers.get(&tag);
            if number.is_some_and(|number| !self.entries.contains(*number)) {
                self.numbers.remove_mut(&tag);
                self.bytes -= TAG_BYTES + tag.len();
            }
        }
    }

    /// Removes what [`push`](Self::push) added for this slot and these tags, at the next
    /// [`settle`](Self::settle).
    pub(super) fn remove<'a>(&mut self, slot: u32, tags: impl Iterator<Item = &'a str>) {
        let mut is_tagged = false;
        for tag in tags {
            is_tagged = true;
            if let Some((tag, number)) = self.numbers.get_key_value(tag) {
                self.entries.remove(*number, slot);
                self.removed.push(Arc::clone(tag));
            }
        }
        if !is_tagged {
            self.entries.remove(UNTAGGED, slot);
        }
    }

    /// For each of `slots` slots, whether its memory has the tags of a filter that has
    /// some: as `MemoryTagMode::matches`. O(slots + entries of these tags).
    pub(super) fn matching(&self, filter: &MemoryFilter, slots: usize) -> Vec<bool> {
        let (wanted, mode) = (&filter.tags, filter.tag_mode);
        let mut counts = vec![0usize; slots];
        let numbers = wanted
            .iter()
            .filter_map(|tag| self.numbers.get(tag.as_str()));
        for number in numbers {
            self.entries.for_each_part(*number, |slots| {
                slots.iter().for_each(|slot| counts[*slot as usize] += 1);
            });
        }
        let least = if mode.requires_all() { wanted.len() } else { 1 };
        if mode.matches_untagged() {
            self.entries.for_each_part(UNTAGGED, |slots| {
                slots.iter().for_each(|slot| counts[*slot as usize] = least);
            });
        }
        counts.into_iter().map(|count| count >= least).collect()
    }

    /// The same tags with the slots renumbered in their order. Slots without a new
    /// number have no entry.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> Self {
        let entries = self.entries.iter();
        let entries = entries.filter_map(|(number, slot)| Some((number, to(slot)?)));
        Self {
            numbers: self.numbers.clone(),
            last: self.last,
            entries: entries.collect(),
            bytes: self.bytes,
            removed: self.removed.clone(),
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes + self.entries.size_bytes()
    }
}

#[cfg(test)]
mod tests {
    use memory_core::MemoryTagMode::{self, All, AllStrict, Any, AnyStrict};

    use super::*;

    fn matching(index: &TagIndex, tags: &[&str], mode: MemoryTagMode) -> Vec<u32> {
        let filter = MemoryFilter::new().tags(tags.iter().copied(), mode);
        let matching = index.matching(&filter, 5);
        let slots = (0u32..).zip(matching);
        slots
            .filter(|(_, is_matching)| *is_matching)
            .map(|(slot, _)| slot)
            .collect()
    }

    #[test]
    fn a_tag_is_known_while_a_memory_has_it() {
        let mut index = TagIndex::default();
        let memories: [&[&str]; 4] = [&["mill", "river"], &["mill"], &[], &["river"]];
        for (slot, tags) in (0u32..).zip(memories) {
            index.push(slot, tags.iter().copied());
        }
        index.settle();
        let both = ["mill", "river"];
        assert_eq!(matching(&index, &["mill"], AnyStrict), [0, 1]);
        assert_eq!(matching(&index, &["mill"], Any), [0, 1, 2]);
        assert_eq!(matching(&index, &both, All), [0, 2]);
        assert_eq!(matching(&index, &both, AllStrict), [0]);
        assert!(matching(&index, &["mill", "horse"], AllStrict).is_empty());
        let before = index.clone();
        index.remove(0, both.into_iter());
        index.remove(1, ["mill"].into_iter());
        index.remove(2, std::iter::empty());
        index.settle();
        assert_eq!(matching(&index, &both, Any), [3]);
        assert_eq!(index.numbers.size(), 1);
        assert_eq!(index.bytes, TAG_BYTES + "river".len());
        assert_eq!(matching(&before, &both, AnyStrict), [0, 1, 3], "versions");
        let moved = before.remap(|slot| slot.checked_sub(1));
        assert_eq!(matching(&moved, &both, Any), [0, 1, 2]);
    }
}
