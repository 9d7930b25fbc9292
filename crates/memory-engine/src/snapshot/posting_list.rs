//! The entries of an index in order, packed, and changed many at a time.

use std::ops::Range;

use super::block_groups::BlockGroups;
use super::posting_block::{Entry, MAX_BLOCK, PostingBlock, Unit, Unpacked};

/// Sorted entries: a key, and a number of what has it. Most keys are rare, so a list
/// for each would cost many times as much. An entry may be there several times.
///
/// Cloning shares every block; a change packs the blocks again that it updates.
#[derive(Debug, Clone, Default)]
pub(super) struct PostingList {
    blocks: BlockGroups,
    /// Entries that [`settle`](Self::settle) adds.
    added: Vec<Entry>,
    /// Entries that it removes, each once.
    removed: Vec<Entry>,
}

impl PostingList {
    /// Adds an entry, to be found after [`settle`](Self::settle).
    pub(super) fn push(&mut self, key: impl Into<u64>, number: u32) {
        self.added.push((key.into(), number));
    }

    /// Removes an entry that is there or was added, once; it is found until
    /// [`settle`](Self::settle).
    pub(super) fn remove(&mut self, key: impl Into<u64>, number: u32) {
        self.removed.push((key.into(), number));
    }

    /// Adds and removes the entries of this version, all at once. O(groups of blocks).
    pub(super) fn settle(&mut self) {
        let mut added = std::mem::take(&mut self.added);
        let mut removed = std::mem::take(&mut self.removed);
        if added.is_empty() && removed.is_empty() {
            return;
        }
        added.sort_unstable();
        removed.sort_unstable();
        self.blocks.change(&added, &removed);
    }

    /// Calls `each` with the numbers of a key, ascending, in parts. An entry that is there
    /// several times counts as often.
    pub(super) fn for_each_part(&self, key: impl Into<u64>, mut each: impl FnMut(&[u32])) {
        let (key, mut unpacked) = (key.into(), Unpacked::default());
        for unit in self.units_of(key, 0) {
            let part = unit.numbers_of(key, &mut unpacked);
            if !part.is_empty() {
                each(part);
            }
        }
    }

    /// As [`for_each_part`](Self::for_each_part), of the numbers in a range. O(those +
    /// log(entries)).
    pub(super) fn for_each_part_within(
        &self,
        key: impl Into<u64>,
        range: &Range<u32>,
        mut each: impl FnMut(&[u32]),
    ) {
        let (key, mut unpacked) = (key.into(), Unpacked::default());
        let end = (key, range.end);
        let units = self.units_of(key, range.start);
        for unit in units.take_while(|unit| unit.first < end) {
            let part = unit.numbers_of(key, &mut unpacked);
            let before = |end: u32| part.partition_point(|number| *number < end);
            let part = &part[before(range.start)..before(range.end)];
            if !part.is_empty() {
                each(part);
            }
        }
    }

    /// The numbers of a key that few have.
    pub(super) fn numbers_of(&self, key: impl Into<u64>) -> Vec<u32> {
        let mut numbers = Vec::new();
        self.for_each_part(key, |part| numbers.extend_from_slice(part));
        numbers
    }

    /// Whether something has a key.
    pub(super) fn contains(&self, key: impl Into<u64>) -> bool {
        self.cursor(key.into()).next_number(0).is_some()
    }

    /// For each of the ranges, how many of the keys have a number in it.
    /// O(keys · ranges · log(entries)), and keys · log(entries) of a small list.
    pub(super) fn count_keys<K: Into<u64>>(
        &self,
        keys: impl Iterator<Item = K>,
        ranges: &[Range<u32>],
    ) -> Vec<usize> {
        let mut counts = vec![0; ranges.len()];
        let mut ascending: Vec<usize> = (0..ranges.len()).collect();
        ascending.sort_unstable_by_key(|index| ranges[*index].start);
        for key in keys {
            let mut cursor = self.cursor(key.into());
            for &index in &ascending {
                let Range { start, end } = ranges[index];
                let next = cursor.next_number(start);
                counts[index] += usize::from(next.is_some_and(|number| number < end));
            }
        }
        counts
    }

    fn cursor(&self, key: u64) -> Cursor<'_> {
        Cursor {
            list: self,
            key,
            numbers: Vec::new(),
            has_ended: false,
        }
    }

    /// The units that may have entries of a key, with numbers from `least` on.
    fn units_of(&self, key: u64, least: u32) -> impl Iterator<Item = Unit<'_>> {
        let wanted = (key, least);
        let blocks = self.blocks.blocks_from(wanted);
        let blocks = blocks.take_while(move |block| block.first.0 <= key);
        let units = blocks.flat_map(move |block| block.units_from(wanted));
        units.take_while(move |unit| unit.first.0 <= key)
    }

    /// Its entries in order, as of the last [`settle`](Self::settle).
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> {
        self.blocks.iter().flat_map(|block| {
            let mut entries = Vec::with_capacity(MAX_BLOCK);
            block.unpack(&mut entries);
            entries
        })
    }

    /// Whether it has no entry, as of the last [`settle`](Self::settle).
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// O(groups of blocks).
    pub(super) fn size_bytes(&self) -> usize {
        let pending = self.added.capacity() + self.removed.capacity();
        self.blocks.size_bytes() + pending * size_of::<Entry>()
    }
}

/// Finds the numbers of a key in ascending order: what is near the last one was unpacked
/// with it.
struct Cursor<'a> {
    list: &'a PostingList,
    key: u64,
    /// Those of the unit that the last one was in.
    numbers: Vec<u32>,
    has_ended: bool,
}

impl Cursor<'_> {
    /// The first number from `least` on, which is at least that of the call before.
    fn next_number(&mut self, least: u32) -> Option<u32> {
        let reaches = |numbers: &[u32]| numbers.last().is_some_and(|last| *last >= least);
        if !self.has_ended && !reaches(&self.numbers) {
            let mut unpacked = Unpacked::default();
            self.numbers.clear();
            self.has_ended = !self.list.units_of(self.key, least).any(|unit| {
                let numbers = unit.numbers_of(self.key, &mut unpacked);
                let is_found = reaches(numbers);
                if is_found {
                    self.numbers.extend_from_slice(numbers);
                }
                is_found
            });
        }
        let index = self.numbers.partition_point(|number| *number < least);
        self.numbers.get(index).copied()
    }
}

/// The share of a query's terms that were found, 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a few thousand terms at most")]
pub(super) fn share(found: usize, all: usize) -> f32 {
    found as f32 / all.max(1) as f32
}

impl<K: Into<u64>> FromIterator<(K, u32)> for PostingList {
    /// From entries that are sorted. All blocks except the last are full.
    fn from_iter<I: IntoIterator<Item = (K, u32)>>(entries: I) -> Self {
        let (mut blocks, mut block) = (Vec::new(), Vec::with_capacity(MAX_BLOCK));
        for (key, number) in entries {
            block.push((key.into(), number));
            if block.len() == MAX_BLOCK {
                blocks.extend(PostingBlock::new(&block));
                block.clear();
            }
        }
        blocks.extend(PostingBlock::new(&block));
        Self {
            blocks: blocks.into_iter().collect(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// How often each entry is there.
    type Model = BTreeMap<Entry, usize>;

    fn entries_of(model: &Model) -> Vec<Entry> {
        let entries = model.iter();
        entries
            .flat_map(|(entry, count)| std::iter::repeat_n(*entry, *count))
            .collect()
    }

    fn assert_equal(list: &PostingList, model: &Model) {
        let entries = entries_of(model);
        assert_eq!(list.iter().collect::<Vec<_>>(), entries);
        assert_eq!(list.is_empty(), entries.is_empty());
        for block in list.blocks.iter() {
            let mut own = Vec::new();
            block.unpack(&mut own);
            assert!((1..=MAX_BLOCK).contains(&own.len()));
            assert_eq!(own.first(), Some(&block.first));
        }
        // Some of them: in a debug build, each takes microseconds.
        let some = entries.iter().step_by(1 + entries.len() / 40);
        for key in some.flat_map(|(key, _)| [*key, key.wrapping_add(1)]) {
            let range = (key, 0)..=(key, u32::MAX);
            let own = model
                .range(range)
                .flat_map(|((_, number), count)| std::iter::repeat_n(*number, *count));
            let own: Vec<u32> = own.collect();
            assert_eq!(list.numbers_of(key), own);
            let middle = own.get(own.len() / 2).copied().unwrap_or(7);
            for range in [
                0..middle,
                middle..u32::MAX,
                middle..middle.saturating_add(1),
            ] {
                let mut found = vec![];
                list.for_each_part_within(key, &range, |part| found.extend_from_slice(part));
                let expected = own.iter().filter(|number| range.contains(number));
                assert_eq!(found, expected.copied().collect::<Vec<u32>>());
            }
            let mut cursor = list.cursor(key);
            for least in [0, middle, middle.saturating_add(1), u32::MAX] {
                let expected = own.iter().copied().find(|number| *number >= least);
                assert_eq!(list.cursor(key).next_number(least), expected);
                assert_eq!(cursor.next_number(least), expected);
            }
            assert_eq!(list.contains(key), !own.is_empty());
        }
    }

    /// Few that are common, or many that are rare, of up to 64 bits.
    fn key() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => 0u64..4,
            4 => (0u64..500).prop_map(|n| n * 77_777),
            1 => any::<u64>(),
            1 => Just(u64::MAX),
        ]
    }

    fn number() -> impl Strategy<Value = u32> {
        prop_oneof![
            8 => 0u32..3_000,
            1 => any::<u32>(),
            1 => Just(u32::MAX),
        ]
    }

    #[test]
    fn versions_share_what_did_not_change() {
        let mut first: PostingList = (0u32..2_000).map(|key| (key, 7)).collect();
        first.settle();
        assert_eq!(first.blocks.iter().count(), 4);
        let mut second = first.clone();
        second.push(2_000u32, 9);
        second.remove(0u32, 7);
        assert_eq!(second.iter().count(), 2_000, "nothing until it is settled");
        second.settle();
        let rows = |list: &PostingList| -> Vec<_> {
            let blocks = list.blocks.iter();
            blocks.map(|block| block.rows().as_ptr()).collect()
        };
        let shared = rows(&first)
            .into_iter()
            .zip(rows(&second))
            .map(|(a, b)| a == b);
        assert_eq!(shared.collect::<Vec<_>>(), [false, true, true, false]);
        assert_eq!(second.numbers_of(2_000u32), [9]);
        assert_eq!(
            (first.numbers_of(0u32), second.numbers_of(0u32)),
            (vec![7], vec![])
        );
    }

    #[test]
    fn an_entry_in_two_blocks_is_removed_as_often_as_asked() {
        let mut list: PostingList = (0..3 * MAX_BLOCK).map(|_| (5u32, 1)).collect();
        for _ in 0..2 * MAX_BLOCK + 1 {
            list.remove(5u32, 1);
        }
        list.settle();
        assert_eq!(list.numbers_of(5u32).len(), MAX_BLOCK - 1);
    }

    /// The size of a list that got its entries in so many versions, as a share of one that
    /// was made of all of them, which is packed as tightly as can be.
    fn relative_size(versions: &[Vec<Entry>]) -> f64 {
        let (grown, made) = grow(versions);
        assert!(grown.iter().eq(made.iter()));
        let size = |list: &PostingList| f64::from(u32::try_from(list.size_bytes()).unwrap());
        size(&grown) / size(&made)
    }

    /// A list that got its entries in versions, and one that was made of all of them.
    fn grow(versions: &[Vec<Entry>]) -> (PostingList, PostingList) {
        let mut grown = PostingList::default();
        for version in versions {
            version
                .iter()
                .for_each(|(key, number)| grown.push(*key, *number));
            grown.settle();
        }
        let mut all: Vec<Entry> = versions.concat();
        all.sort_unstable();
        (grown, all.into_iter().collect())
    }

    /// Words of memories that are added one by one, and keys that ascend.
    #[test]
    fn what_grows_at_its_end_is_packed_full() {
        let ascending: Vec<Vec<Entry>> = (0u32..6_000)
            .map(|number| vec![(u64::from(number) * 77, number)])
            .collect();
        // Three common keys between rare ones.
        let common: Vec<Vec<Entry>> = (0u32..3_000)
            .map(|number| {
                let rare = u64::from(number.wrapping_mul(2_654_435_761));
                let keys = [1 << 30, 2 << 30, 3 << 30].map(|key| (key, number));
                keys.into_iter().chain([(rare, number)]).collect()
            })
            .collect();
        let batches: Vec<Vec<Entry>> = common.chunks(50).map(<[_]>::concat).collect();
        let sizes = [&ascending, &common, &batches].map(|it| relative_size(it));
        assert!(sizes.iter().all(|size| *size <= 1.1), "{sizes:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn it_is_a_sorted_list(
            start in prop::collection::vec((key(), number()), 0..2_500),
            changes in prop::collection::vec(
                prop::collection::vec((key(), number(), prop::bool::weighted(0.7), any::<prop::sample::Index>()), 0..400),
                0..5,
            ),
        ) {
            let mut model = Model::new();
            let mut sorted = start;
            sorted.sort_unstable();
            sorted.iter().for_each(|entry| *model.entry(*entry).or_default() += 1);
            let mut list: PostingList = sorted.into_iter().collect();
            assert_equal(&list, &model);
            for change in changes {
                let before = (list.clone(), model.clone());
                let present = entries_of(&model);
                for (key, number, is_added, index) in change {
                    let entry = (key, number);
                    if is_added || present.is_empty() {
                        list.push(key, number);
                        *model.entry(entry).or_default() += 1;
                        continue;
                    }
                    // One that is there, if it was not removed before.
                    let entry = present[index.index(present.len())];
                    if let Some(count) = model.get_mut(&entry) {
                        list.remove(entry.0, entry.1);
                        *count -= 1;
                        if *count == 0 {
                            model.remove(&entry);
                        }
                    }
                }
                list.settle();
                assert_equal(&list, &model);
                assert_equal(&before.0, &before.1);
            }
        }
    }
}
