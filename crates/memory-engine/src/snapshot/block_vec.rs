//! A vector in blocks that versions share.

use std::sync::Arc;

/// Entries of a block: few enough to copy on a write, many enough that a version
/// copies few pointers.
pub(super) const BLOCK: usize = 256;

/// A vector of which cloning shares every block, and a change copies the block
/// that it updates.
#[derive(Debug, Clone)]
pub(super) struct BlockVec<T> {
    /// All full except the last.
    blocks: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T> Default for BlockVec<T> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            len: 0,
        }
    }
}

impl<T: Clone> BlockVec<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.blocks.get(index / BLOCK)?.get(index % BLOCK)
    }

    /// Its blocks of [`BLOCK`] entries, in order; the last one may have fewer.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &[T]> {
        self.blocks.iter().map(|block| &block[..])
    }

    /// The block of an entry, with the number of its first one; empty beyond the last.
    pub(super) fn block_of(&self, index: u32) -> (u32, &[T]) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "less than the size of a block"
        )]
        let first = index - (index as usize % BLOCK) as u32;
        let block = self.blocks.get(index as usize / BLOCK);
        (first, block.map_or(&[], |block| block))
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let block = self.blocks.get_mut(index / BLOCK)?;
        Arc::make_mut(block).get_mut(index % BLOCK)
    }

    pub(super) fn push(&mut self, value: T) {
        if self.len.is_multiple_of(BLOCK) {
            self.blocks.push(Arc::default());
        }
        if let Some(last) = self.blocks.last_mut() {
            Arc::make_mut(last).push(value);
        }
        self.len += 1;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    /// Bytes of the blocks, without what entries point to.
    pub(super) fn size_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Arc<Vec<T>>>()
            + self.blocks.iter().map(block_bytes).sum::<usize>()
    }
}

impl<T: Clone> FromIterator<T> for BlockVec<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut vec = Self::default();
        for value in values {
            vec.push(value);
        }
        vec
    }
}

/// Bytes of a shared block: its entries, its header and the two reference counts.
pub(super) fn block_bytes<T>(block: &Arc<Vec<T>>) -> usize {
    size_of::<Vec<T>>() + 2 * size_of::<usize>() + block.capacity() * size_of::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_copies_one_block() {
        let first: BlockVec<usize> = (0..1_000).collect();
        let mut second = first.clone();
        *second.get_mut(300).unwrap() = 7;
        second.push(1_000);
        assert_eq!((first.get(300), second.get(300)), (Some(&300), Some(&7)));
        assert_eq!((first.len(), second.len()), (1_000, 1_001));
        assert_eq!((first.get(1_000), second.get(1_000)), (None, Some(&1_000)));
        let block: Vec<usize> = (768..1_001).collect();
        assert_eq!(second.block_of(1_000), (768, &block[..]));
        assert_eq!(first.block_of(1_024), (1_024, &[][..]));
        assert!(second.iter().take(300).copied().eq(0..300));
        let is_shared: Vec<bool> = first
            .blocks
            .iter()
            .zip(&second.blocks)
            .map(|(a, b)| Arc::ptr_eq(a, b))
            .collect();
        assert_eq!(is_shared, [true, false, true, false]);
    }
}
