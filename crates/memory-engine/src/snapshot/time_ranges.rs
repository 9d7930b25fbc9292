//! Between which times the memories of each block of slots are.

use std::ops::RangeInclusive;

use super::block_vec::{BLOCK, BlockVec};

/// The earliest and the latest time, in microseconds, of the memories that each block of
/// slots has had. Memories are mostly added in the order of their times, so that most
/// blocks are short in time. Cloning shares everything; a change copies what it updates.
#[derive(Clone, Default)]
pub(super) struct TimeRanges(BlockVec<(i64, i64)>);

impl TimeRanges {
    /// Takes in a memory of a slot, which is one of the blocks there are or of the next.
    pub(super) fn add(&mut self, slot: u32, time: i64) {
        let block = slot as usize / BLOCK;
        match self.0.get(block) {
            None => self.0.push((time, time)),
            // Nothing is copied where nothing changes.
            Some((earliest, latest)) if (*earliest..=*latest).contains(&time) => {}
            Some(_) => {
                if let Some((earliest, latest)) = self.0.get_mut(block) {
                    *earliest = time.min(*earliest);
                    *latest = time.max(*latest);
                }
            }
        }
    }

    /// Of each block.
    pub(super) fn iter(&self) -> impl Iterator<Item = RangeInclusive<i64>> {
        let ranges = self.0.iter();
        ranges.map(|(earliest, latest)| *earliest..=*latest)
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.0.size_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_all_times_of_its_block() {
        let mut ranges = TimeRanges::default();
        for slot in 0..600 {
            ranges.add(slot, 1_000 - i64::from(slot));
        }
        let before = ranges.clone();
        ranges.add(300, 9);
        ranges.add(301, 5_000);
        let first = [745..=1_000, 489..=744, 401..=488];
        assert!(before.iter().eq(first.clone()));
        assert!(
            ranges
                .iter()
                .eq([first[0].clone(), 9..=5_000, first[2].clone()])
        );
    }
}
