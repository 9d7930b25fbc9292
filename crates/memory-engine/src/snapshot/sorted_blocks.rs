//! A sorted list in blocks that versions share.

use std::sync::Arc;

use super::block_vec::block_bytes;

/// Maximum number of entries of a block: a full one is divided in two. A write copies the
/// blocks that it changes, and a version the pointers of all blocks.
const MAX_BLOCK: usize = 512;

/// A sorted list of which cloning shares every block, and a change copies the
/// block that it updates.
#[derive(Debug, Clone)]
pub(super) struct SortedBlocks<T> {
    /// None is empty.
    blocks: Vec<Arc<Vec<T>>>,
    len: usize,
    /// Bytes of the blocks.
    bytes: usize,
}

impl<T> Default for SortedBlocks<T> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            len: 0,
            bytes: 0,
        }
    }
}

/// The position of an entry: its block, and its index there.
type Position = (usize, usize);

impl<T: Ord + Copy> SortedBlocks<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn insert(&mut self, entry: T) {
        self.len += 1;
        let index = self.block_of(&entry);
        let Some(shared) = self.blocks.get_mut(index) else {
            // Most lists have one entry: no room for more.
            let block = Arc::new(vec![entry]);
            self.bytes += block_bytes(&block);
            self.blocks.reserve_exact(1);
            self.blocks.push(block);
            return;
        };
        self.bytes -= block_bytes(shared);
        let mut rest = None;
        let position = shared.partition_point(|other| *other < entry);
        if shared.len() < MAX_BLOCK {
            insert_entry(Arc::make_mut(shared), position, entry);
        } else if position == MAX_BLOCK {
            // An appended entry begins a block, so that blocks of lists that grow
            // at the end are full.
            rest = Some(vec![entry]);
        } else {
            // Divided before it is inserted, so that no block grows beyond its limit.
            let block = Arc::make_mut(shared);
            let mut upper = block.split_off(MAX_BLOCK / 2);
            block.shrink_to_fit();
            match position.checked_sub(MAX_BLOCK / 2) {
                Some(position) => insert_entry(&mut upper, position, entry),
                None => insert_entry(block, position, entry),
            }
            rest = Some(upper);
        }
        self.bytes += block_bytes(shared);
        if let Some(rest) = rest {
            let rest = Arc::new(rest);
            self.bytes += block_bytes(&rest);
            self.blocks.insert(index + 1, rest);
        }
    }

    /// Inserts entries that are sorted. Many at once are merged into new blocks,
    /// which takes a fraction of the time.
    pub(super) fn insert_all(&mut self, entries: &[T]) {
        /// Many, as a share of what is there.
        const MANY: usize = 8;
        if entries.len() * MANY < self.len {
            entries.iter().for_each(|entry| self.insert(*entry));
            return;
        }
        let mut new = entries.iter().copied().peekable();
        let mut merged = Vec::with_capacity(self.len + entries.len());
        for &entry in self.iter() {
            while let Some(before) = new.next_if(|new| *new < entry) {
                merged.push(before);
            }
            merged.push(entry);
        }
        merged.extend(new);
        *self = Self::from_sorted(&merged);
    }

    /// From entries that are sorted.
    pub(super) fn from_sorted(entries: &[T]) -> Self {
        let mut list = Self::default();
        let blocks = entries.chunks(MAX_BLOCK);
        list.blocks.reserve_exact(blocks.len());
        blocks.for_each(|block| list.push_block(block.to_vec()));
        list
    }

    fn push_block(&mut self, mut block: Vec<T>) {
        block.shrink_to_fit();
        self.len += block.len();
        let block = Arc::new(block);
        self.bytes += block_bytes(&block);
        self.blocks.push(block);
    }

    /// Removes the entries from `first` on for as long as `is_removed`.
    pub(super) fn remove_run(&mut self, first: &T, is_removed: impl Fn(&T) -> bool) {
        let mut index = self.blocks.partition_point(|block| is_before(block, first));
        while let Some(shared) = self.blocks.get_mut(index) {
            let start = shared.partition_point(|entry| entry < first);
            let run = shared[start..].iter().take_while(|entry| is_removed(entry));
            let count = run.count();
            let reaches_end = start + count == shared.len();
            self.len -= count;
            if count == shared.len() {
                self.bytes -= block_bytes(shared);
                self.blocks.remove(index);
                continue;
            }
            if count > 0 {
                self.bytes -= block_bytes(shared);
                let block = Arc::make_mut(shared);
                block.drain(start..start + count);
                block.shrink_to(block.len() * 2);
                self.bytes += block_bytes(shared);
            }
            if !reaches_end {
                return;
            }
            index += 1;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    /// The entries at and after `first`, in order.
    pub(super) fn from(&self, first: &T) -> impl Iterator<Item = T> {
        let (block, index) = self.position(first);
        let own = self.blocks.get(block).map_or(&[][..], |it| &it[index..]);
        let later = self.blocks.iter().skip(block + 1);
        own.iter()
            .chain(later.flat_map(|block| block.iter()))
            .copied()
    }

    /// The last entry before `entry`, and the first one after it.
    pub(super) fn adjacent(&self, entry: &T) -> (Option<T>, Option<T>) {
        let (block, index) = self.position(entry);
        let previous = match index.checked_sub(1) {
            Some(index) => self.blocks.get(block).and_then(|own| own.get(index)),
            None => self.blocks[..block].last().and_then(|own| own.last()),
        };
        let next = self.from(entry).find(|other| other > entry);
        (previous.copied(), next)
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Arc<Vec<T>>>() + self.bytes
    }

    /// Where an entry is, or would be.
    fn position(&self, entry: &T) -> Position {
        let block = self.blocks.partition_point(|block| is_before(block, entry));
        let index = self
            .blocks
            .get(block)
            .map_or(0, |block| block.partition_point(|other| other < entry));
        (block, index)
    }

    /// The block that an entry belongs in.
    fn block_of(&self, entry: &T) -> usize {
        let block = self.blocks.partition_point(|block| is_before(block, entry));
        block.min(self.blocks.len().saturating_sub(1))
    }
}

impl<T: Ord + Copy> FromIterator<T> for SortedBlocks<T> {
    /// From entries that are sorted. All blocks except the last are full.
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut list = Self::default();
        let mut block = Vec::new();
        for entry in entries {
            block.push(entry);
            if block.len() == MAX_BLOCK {
                list.push_block(std::mem::take(&mut block));
            }
        }
        if !block.is_empty() {
            list.push_block(block);
        }
        list.blocks.shrink_to_fit();
        list
    }
}

/// Inserts an entry in a block that grows by an eighth where it is full: doubling
/// would leave a quarter of all blocks empty.
fn insert_entry<T>(block: &mut Vec<T>, position: usize, entry: T) {
    if block.len() == block.capacity() {
        let more = (block.len() / 8).clamp(1, MAX_BLOCK - block.len());
        block.reserve_exact(more);
    }
    block.insert(position, entry);
}

/// Whether all entries of a block are before `entry`.
fn is_before<T: Ord>(block: &Arc<Vec<T>>, entry: &T) -> bool {
    block.last().is_none_or(|last| last < entry)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn appended_entries_fill_blocks_and_versions_share_them() {
        let first: SortedBlocks<u32> = (0..2_000).collect();
        assert_eq!(first.blocks.len(), 4);
        let mut second = first.clone();
        second.insert(2_000);
        assert!(Arc::ptr_eq(&first.blocks[0], &second.blocks[0]));
        assert!(!Arc::ptr_eq(&first.blocks[3], &second.blocks[3]));
        assert_eq!((first.len(), second.len()), (2_000, 2_001));
    }

    proptest! {
        #[test]
        fn many_inserted_at_once_are_as_one_by_one(
            old in prop::collection::btree_set(0u32..3_000, 0..1_800),
            new in prop::collection::btree_set(0u32..3_000, 0..1_800),
        ) {
            let new: Vec<u32> = new.difference(&old).copied().collect();
            let mut list: SortedBlocks<u32> = old.iter().copied().collect();
            list.insert_all(&new);
            let all: BTreeSet<u32> = old.into_iter().chain(new).collect();
            prop_assert!(list.iter().eq(&all));
            prop_assert_eq!(list.len(), all.len());
            let bytes: usize = list.blocks.iter().map(block_bytes).sum();
            prop_assert_eq!(list.bytes, bytes);
        }

        #[test]
        fn it_is_a_sorted_set(
            operations in prop::collection::vec((0u32..2_000, 0u32..4, prop::bool::weighted(0.8)), 1..1_000),
        ) {
            let mut list = SortedBlocks::default();
            let mut model = BTreeSet::new();
            for (entry, run, is_insert) in operations {
                if is_insert {
                    if model.insert(entry) {
                        list.insert(entry);
                    }
                } else {
                    list.remove_run(&entry, |other| (entry..=entry + run).contains(other));
                    model.retain(|other| !(entry..=entry + run).contains(other));
                }
                prop_assert_eq!(list.len(), model.len());
                let next: Vec<u32> = list.from(&entry).take(20).collect();
                let expected: Vec<u32> = model.range(entry..).take(20).copied().collect();
                prop_assert_eq!(next, expected);
                let before = model.range(..entry).next_back().copied();
                let after = model.range(entry + 1..).next().copied();
                prop_assert_eq!(list.adjacent(&entry), (before, after));
            }
            prop_assert!(list.iter().eq(&model));
            let bytes: usize = list.blocks.iter().map(block_bytes).sum();
            prop_assert_eq!(list.bytes, bytes);
            prop_assert!(list.blocks.iter().all(|block| (1..=MAX_BLOCK).contains(&block.len())));
        }
    }
}
