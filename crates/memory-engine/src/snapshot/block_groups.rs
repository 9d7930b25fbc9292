//! The blocks of a list of postings, in groups that versions share.
//!
//! A hundred thousand memories have eight thousand blocks. If a version copied a pointer to
//! each, it would increment as many reference counts, each in another cache line: that takes
//! longer than the rest of a write.

use std::mem;
use std::sync::Arc;

use super::posting_block::{Entry, PostingBlock, merged, own_count};

/// Maximum number of blocks of a group. A version copies the pointers of all groups, and a write
/// those of the blocks of each group that it changes: some forty, since the words of one
/// memory are in blocks across the whole list.
const MAX_GROUP: usize = 32;

/// Sorted blocks. Cloning shares every group.
#[derive(Debug, Clone, Default)]
pub(super) struct BlockGroups(Vec<Group>);

/// At most [`MAX_GROUP`] blocks; never empty.
#[derive(Debug, Clone)]
struct Group {
    /// The first entry of its first block.
    first: Entry,
    blocks: Arc<[PostingBlock]>,
    /// The size of the blocks, with what they point to.
    bytes: usize,
}

impl Group {
    /// `None` without any block.
    fn new(blocks: &[PostingBlock]) -> Option<Self> {
        /// The two reference counts.
        const COUNTS: usize = 2 * size_of::<usize>();
        let packed = blocks.iter().map(PostingBlock::size_bytes);
        Some(Self {
            first: blocks.first()?.first,
            blocks: blocks.into(),
            bytes: COUNTS + size_of_val(blocks) + packed.sum::<usize>(),
        })
    }
}

impl BlockGroups {
    /// Adds and removes entries that are sorted, each of `removed` once. O(groups) and what
    /// changes.
    pub(super) fn change(&mut self, mut added: &[Entry], mut removed: &[Entry]) {
        if self.is_empty() {
            let entries = merged(&[], added, &mut removed);
            *self = PostingBlock::pack(&entries).collect();
            return;
        }
        let mut groups = mem::take(&mut self.0).into_iter().peekable();
        let mut changed = Vec::new();
        while let Some(group) = groups.next() {
            let next_group = groups.peek().map(|next| next.first);
            if own_count(added, removed, next_group).is_none() {
                self.0.push(group);
                continue;
            }
            let mut blocks = group.blocks.iter().peekable();
            while let Some(block) = blocks.next() {
                let next = blocks.peek().map(|next| next.first).or(next_group);
                if own_count(added, removed, next).is_some() {
                    block.change(next, &mut added, &mut removed, &mut changed);
                } else {
                    changed.push(block.clone());
                }
            }
            self.append(&changed);
            changed.clear();
        }
        self.0.shrink_to_fit();
    }

    /// Appends blocks in groups of about the same size.
    fn append(&mut self, blocks: &[PostingBlock]) {
        let groups = blocks.len().div_ceil(MAX_GROUP).max(1);
        let parts = blocks.chunks(blocks.len().div_ceil(groups).max(1));
        self.0.extend(parts.filter_map(Group::new));
    }

    /// The blocks that may have entries from `wanted` on: the one that it is or would be in,
    /// and those after it.
    pub(super) fn blocks_from(&self, wanted: Entry) -> impl Iterator<Item = &PostingBlock> {
        // Entries that are equal may be in two blocks.
        let group = self.0.partition_point(|group| group.first < wanted);
        let mut groups = self.0[group.saturating_sub(1)..].iter();
        let own = groups.next().map_or(&[][..], |group| &group.blocks);
        let block = own.partition_point(|block| block.first < wanted);
        let own = own[block.saturating_sub(1)..].iter();
        own.chain(groups.flat_map(|group| group.blocks.iter()))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PostingBlock> {
        self.0.iter().flat_map(|group| group.blocks.iter())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// O(groups).
    pub(super) fn size_bytes(&self) -> usize {
        let groups = self.0.iter().map(|group| group.bytes);
        self.0.capacity() * size_of::<Group>() + groups.sum::<usize>()
    }
}

impl FromIterator<PostingBlock> for BlockGroups {
    fn from_iter<I: IntoIterator<Item = PostingBlock>>(blocks: I) -> Self {
        let blocks: Vec<PostingBlock> = blocks.into_iter().collect();
        let mut groups = Self::default();
        groups.append(&blocks);
        groups.0.shrink_to_fit();
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::super::posting_block::MAX_BLOCK;
    use super::*;

    /// So many full blocks, of the even keys.
    fn groups(blocks: u32) -> BlockGroups {
        let entries = blocks * u32::try_from(MAX_BLOCK).unwrap();
        let entries: Vec<Entry> = (0..entries).map(|n| (2 * u64::from(n), 7)).collect();
        PostingBlock::pack(&entries).collect()
    }

    #[test]
    fn a_change_copies_the_groups_that_it_changes() {
        let first = groups(160);
        assert_eq!(first.0.len(), 5);
        let mut second = first.clone();
        let (start, middle, end) = (first.0[0].first, first.0[3].first, u64::MAX);
        second.change(&[(middle.0 + 1, 1), (end, 1)], &[start]);
        let is_shared = |group: &Group| {
            let mut others = second.0.iter();
            others.any(|other| Arc::ptr_eq(&group.blocks, &other.blocks))
        };
        let shared: Vec<bool> = first.0.iter().map(is_shared).collect();
        assert_eq!(shared, [false, true, true, false, false]);
        assert_eq!(second.0[0].first, (2, 7));
    }

    /// One block more than there is room for, at each place.
    #[test]
    fn groups_have_few_blocks_and_no_group_is_empty() {
        let mut list = groups(64);
        for key in [1, 32_769, 65_535] {
            let added: Vec<Entry> = (0..600).map(|number| (key, number)).collect();
            list.change(&added, &[]);
            let sizes: Vec<usize> = list.0.iter().map(|group| group.blocks.len()).collect();
            assert!(
                sizes.iter().all(|size| (1..=MAX_GROUP).contains(size)),
                "{sizes:?}"
            );
            let bytes = |group: &Group| Group::new(&group.blocks).map(|group| group.bytes);
            assert!(list.0.iter().all(|group| bytes(group) == Some(group.bytes)));
        }
        let mut all = Vec::new();
        list.iter().for_each(|block| block.unpack(&mut all));
        assert!(all.is_sorted());
        list.change(&[], &all[..20_000]);
        assert_eq!(list.0[0].first, all[20_000]);
        list.change(&[], &all[20_000..]);
        assert!(list.is_empty());
    }

    #[test]
    fn a_search_begins_at_the_block_that_an_entry_would_be_in() {
        let list = groups(70);
        let firsts: Vec<Entry> = list.iter().map(|block| block.first).collect();
        for (index, first) in firsts.iter().enumerate() {
            let from = |entry| {
                list.blocks_from(entry)
                    .map(|block| block.first)
                    .collect::<Vec<_>>()
            };
            assert_eq!(from((first.0 + 1, 0)), firsts[index..]);
            assert_eq!(
                from(*first),
                firsts[index.saturating_sub(1)..],
                "an equal one before"
            );
        }
        assert_eq!(BlockGroups::default().blocks_from((7, 7)).count(), 0);
    }
}
