//! The packed memories of a snapshot, in blocks that versions share.

use std::ops::Range;
use std::sync::Arc;

use super::packed_memory::PackedMemory;

/// Memories of a block: few enough to copy on a write (15 KB of memories of 20 words),
/// many enough that a version copies few pointers.
const BLOCK: usize = 64;

/// The bytes of each slot's memory; none where it was removed. Cloning shares every
/// block; a change copies the block that it updates.
#[derive(Clone, Default)]
pub(super) struct MemoryBlocks {
    /// All full except the last.
    blocks: Vec<Arc<Block>>,
    /// Bytes of the blocks.
    bytes: usize,
}

#[derive(Clone, Default)]
struct Block {
    /// Where each memory ends.
    ends: Vec<u32>,
    memories: Vec<u8>,
}

impl MemoryBlocks {
    /// The memory of a slot.
    pub(super) fn get(&self, slot: u32) -> PackedMemory<'_> {
        let (block, index) = position(slot);
        let block = self.blocks.get(block);
        PackedMemory(block.map_or(&[], |block| &block.memories[block.range(index)]))
    }

    /// Puts a memory in a slot that has one, or in the next one.
    pub(super) fn put(&mut self, slot: u32, memory: &[u8]) {
        let (block, index) = position(slot);
        if block == self.blocks.len() {
            let new = Arc::<Block>::default();
            self.bytes += new.size_bytes();
            self.blocks.push(new);
        }
        let Some(shared) = self.blocks.get_mut(block) else {
            return;
        };
        self.bytes -= shared.size_bytes();
        Arc::make_mut(shared).put(index, memory);
        self.bytes += shared.size_bytes();
    }

    /// Removes the memory of a slot.
    pub(super) fn remove(&mut self, slot: u32) {
        self.put(slot, &[]);
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Arc<Block>>() + self.bytes
    }
}

fn position(slot: u32) -> (usize, usize) {
    (slot as usize / BLOCK, slot as usize % BLOCK)
}

impl Block {
    fn range(&self, index: usize) -> Range<usize> {
        let end = |index: usize| self.ends.get(index).map(|end| *end as usize);
        let start = index.checked_sub(1).and_then(end).unwrap_or(0);
        start..end(index).unwrap_or(start)
    }

    fn put(&mut self, index: usize, memory: &[u8]) {
        if index >= self.ends.len() {
            if self.ends.capacity() == self.ends.len() {
                let more = (self.ends.len() / 4).clamp(1, BLOCK - index);
                self.ends.reserve_exact(more);
            }
            reserve(&mut self.memories, memory.len());
            self.memories.extend_from_slice(memory);
            self.ends.push(to_u32(self.memories.len()));
            if self.ends.len() == BLOCK {
                self.memories.shrink_to_fit();
            }
            return;
        }
        let old = self.range(index);
        reserve(&mut self.memories, memory.len().saturating_sub(old.len()));
        let (removed, added) = (to_u32(old.len()), to_u32(memory.len()));
        self.memories.splice(old, memory.iter().copied());
        for end in &mut self.ends[index..] {
            *end = *end - removed + added;
        }
        if removed > added {
            // Nothing of the old memory stays behind the end.
            let length = self.memories.len();
            let behind = (removed - added) as usize;
            self.memories.resize(length + behind, 0);
            self.memories.truncate(length);
        }
        self.memories.shrink_to(self.memories.len() * 9 / 8);
    }

    /// With the two reference counts before it.
    fn size_bytes(&self) -> usize {
        2 * size_of::<usize>()
            + size_of::<Self>()
            + self.ends.capacity() * size_of::<u32>()
            + self.memories.capacity()
    }
}

/// Grows by a quarter: a block that grows in every version is copied each time.
fn reserve(bytes: &mut Vec<u8>, more: usize) {
    if bytes.capacity() - bytes.len() < more {
        bytes.reserve_exact(more.max(bytes.len() / 4));
    }
}

fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_list_of_which_versions_are_independent(
            start in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..200),
            changes in prop::collection::vec(
                (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..300)),
                0..60,
            ),
        ) {
            let (mut blocks, mut model) = (MemoryBlocks::default(), Vec::new());
            let put = |blocks: &mut MemoryBlocks, model: &mut Vec<Vec<u8>>, slot: usize, memory: Vec<u8>| {
                blocks.put(to_u32(slot), &memory);
                if slot == model.len() {
                    model.push(memory);
                } else {
                    model[slot] = memory;
                }
            };
            for (slot, memory) in start.into_iter().enumerate() {
                put(&mut blocks, &mut model, slot, memory);
            }
            let before = (blocks.clone(), model.clone());
            for (slot, memory) in changes {
                let slot = slot.index(model.len() + 1);
                put(&mut blocks, &mut model, slot, memory);
            }
            for (blocks, model) in [before, (blocks, model)] {
                for (slot, memory) in (0u32..).zip(&model) {
                    prop_assert_eq!(blocks.get(slot).0, &memory[..]);
                }
                prop_assert!(blocks.get(to_u32(model.len())).0.is_empty());
                let bytes: usize = blocks.blocks.iter().map(|block| block.size_bytes()).sum();
                prop_assert_eq!(blocks.bytes, bytes);
                let used: usize = model.iter().map(Vec::len).sum();
                prop_assert!(bytes <= used * 5 / 4 + 800 + 12 * model.len());
            }
        }
    }
}
