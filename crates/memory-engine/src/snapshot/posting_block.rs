//! Packed blocks of sorted entries.
//!
//! A block is divided into units of at most [`UNIT`] entries, each of them packed by
//! itself: the differences of the keys in as many bits as the largest of them needs, and
//! so the numbers, of which those after the first of a key are differences too. In a
//! list of common keys most units have one key, which then takes no bits.
//!
//! ```text
//! of each unit, in rows of 16 bytes:
//!   key of its first entry: 8 bytes; number of that: 4; count, width of keys, width of
//!     numbers: 1 each; unused: 1
//!   differences of the keys, their lower 32 bits · their upper 32 bits, if one has any
//!   numbers
//! ```

use std::ops::Range;
use std::slice::Chunks;
use std::sync::Arc;

use super::bit_packing::{LANES, Row, add_up, pack, packed_rows, unpack, width_of};

/// A key, and a number of what has it.
pub(super) type Entry = (u64, u32);

/// Maximum number of entries of a unit: a lookup unpacks one or two of them.
const UNIT: usize = 128;

/// Maximum number of entries of a block: a write copies the blocks that it changes.
pub(super) const MAX_BLOCK: usize = 4 * UNIT;

/// At most [`MAX_BLOCK`] entries, of which there is one. Cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct PostingBlock {
    pub(super) first: Entry,
    rows: Arc<[Row]>,
}

/// A number for each entry of a unit.
type Column = [Row; UNIT / LANES];

/// Room for the numbers of a unit.
#[derive(Default)]
pub(super) struct Unpacked(Column);

impl PostingBlock {
    /// Packs entries that are sorted; `None` without any.
    pub(super) fn new(entries: &[Entry]) -> Option<Self> {
        let mut rows = Vec::with_capacity(entries.len());
        pack_entries(entries, &mut rows);
        Self::from_rows(&rows)
    }

    /// Packs entries that are sorted into blocks of about the same size.
    pub(super) fn pack(entries: &[Entry]) -> impl Iterator<Item = Self> {
        even_chunks(entries, MAX_BLOCK).filter_map(Self::new)
    }

    fn from_rows(rows: &[Row]) -> Option<Self> {
        Some(Self {
            first: first_of(rows.first()?),
            rows: rows.into(),
        })
    }

    /// Appends to `blocks` its entries with others added that are before `next`, the first
    /// of the next block, and without the first of `removed`. Takes from both those that
    /// are done. Packs the units again that change.
    pub(super) fn change(
        &self,
        next: Option<Entry>,
        added: &mut &[Entry],
        removed: &mut &[Entry],
        blocks: &mut Vec<Self>,
    ) {
        let mut rows = Vec::with_capacity(self.rows.len() + UNIT);
        let (mut entries, mut units) = (Vec::new(), self.units().peekable());
        // Where the last run that grows ends, in rows.
        let mut run_end = 0;
        while let Some(unit) = units.next() {
            let next = units.peek().map(|unit| unit.first).or(next);
            let Some(own) = own_count(added, removed, next) else {
                rows.extend_from_slice(unit.rows);
                continue;
            };
            let own = added.split_off(..own).unwrap_or_default();
            entries.clear();
            unit.unpack(&mut entries);
            let merged = merged(&entries, own, removed);
            let (run, rest) = merged.split_at(growing_run(&merged, own));
            if merged.len() > UNIT && !run.is_empty() {
                run.chunks(UNIT).for_each(|unit| pack_unit(unit, &mut rows));
                run_end = rows.len();
                pack_entries(rest, &mut rows);
            } else {
                pack_entries(&merged, &mut rows);
                run_end = if run.is_empty() { run_end } else { rows.len() };
            }
        }
        let (run, rest) = rows.split_at(run_end);
        if count(&rows) > MAX_BLOCK && count(run) >= MAX_BLOCK / 2 {
            push_blocks(run, MAX_BLOCK, blocks);
            push_blocks(rest, even_size(count(rest), MAX_BLOCK), blocks);
        } else {
            push_blocks(&rows, even_size(count(&rows), MAX_BLOCK), blocks);
        }
    }

    fn units(&self) -> impl Iterator<Item = Unit<'_>> {
        units_of(&self.rows)
    }

    /// Its units from that on in which `entry` is or would be.
    pub(super) fn units_from(&self, entry: Entry) -> impl Iterator<Item = Unit<'_>> {
        let mut rows = &*self.rows;
        std::iter::from_fn(move || {
            loop {
                let (unit, rest) = Unit::split_from(rows)?;
                rows = rest;
                // One whose successor begins before the entry has none of what is wanted.
                if rest.first().is_none_or(|next| first_of(next) >= entry) {
                    return Some(unit);
                }
            }
        })
    }

    /// Appends its entries.
    pub(super) fn unpack(&self, entries: &mut Vec<Entry>) {
        self.units().for_each(|unit| unit.unpack(entries));
    }

    #[cfg(test)]
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Bytes of the allocation, with the two reference counts.
    pub(super) fn size_bytes(&self) -> usize {
        2 * size_of::<usize>() + size_of_val(&*self.rows)
    }
}

/// Divides entries into as few parts of at most `most` as there can be, of about the same
/// size.
fn even_chunks(entries: &[Entry], most: usize) -> Chunks<'_, Entry> {
    entries.chunks(even_size(entries.len(), most).max(1))
}

/// The size of the parts into which [`even_chunks`] divides.
fn even_size(entries: usize, most: usize) -> usize {
    entries.div_ceil(entries.div_ceil(most).max(1))
}

/// How many entries at the start of a unit are a run that grows at its end: all of them if
/// those that were `added` follow the others, or those of its first key if they are half a
/// unit or more and the last of them was added. Numbers are given in ascending order, so
/// the next entries of the run follow it as well. What is before them is packed full, and
/// would stay half full if the unit were divided evenly.
fn growing_run(merged: &[Entry], added: &[Entry]) -> usize {
    let (Some(first), Some(first_added)) = (merged.first(), added.first()) else {
        return 0;
    };
    let before = merged.partition_point(|entry| entry < first_added);
    if merged.len() - before <= added.len() {
        return merged.len();
    }
    let run = merged.partition_point(|entry| entry.0 == first.0);
    let last = merged[..run].last();
    let is_added = last.is_some_and(|last| added.binary_search(last).is_ok());
    if is_added && run >= UNIT / 2 { run } else { 0 }
}

/// The number of entries in rows.
fn count(rows: &[Row]) -> usize {
    units_of(rows).map(|unit| unit.count).sum()
}

/// Appends blocks of at most `most` entries, of the units in rows.
fn push_blocks(rows: &[Row], most: usize, blocks: &mut Vec<PostingBlock>) {
    let (mut rest, mut count, mut end) = (rows, 0, 0);
    for unit in units_of(rows) {
        if count + unit.count > most && count > 0 {
            blocks.extend(rest.split_off(..end).and_then(PostingBlock::from_rows));
            (count, end) = (0, 0);
        }
        (count, end) = (count + unit.count, end + unit.rows.len());
    }
    blocks.extend(PostingBlock::from_rows(rest));
}

/// How many of `added` are before `next`, the first entry of what follows; `None` where
/// there is none and none of `removed` can be before it.
pub(super) fn own_count(added: &[Entry], removed: &[Entry], next: Option<Entry>) -> Option<usize> {
    // Entries that are equal may be on both sides.
    let may_remove = |entry: &Entry| next.is_none_or(|next| *entry <= next);
    let is_own = |entry: &Entry| next.is_none_or(|next| *entry < next);
    let count = added.partition_point(is_own);
    (count > 0 || removed.first().is_some_and(may_remove)).then_some(count)
}

/// Entries with others added, and without those at the start of `removed`, each of which
/// removes one that is equal. Takes from `removed` what is before the last entry, so that
/// entries that are not in one unit are looked for in the next.
pub(super) fn merged(entries: &[Entry], added: &[Entry], removed: &mut &[Entry]) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(entries.len() + added.len());
    let mut added = added.iter().copied().peekable();
    let mut keep = |entry: Entry| {
        let passed = removed.iter().take_while(|other| **other < entry).count();
        *removed = &removed[passed..];
        if removed.first() == Some(&entry) {
            *removed = &removed[1..];
        } else {
            merged.push(entry);
        }
    };
    for &entry in entries {
        while let Some(before) = added.next_if(|new| *new < entry) {
            keep(before);
        }
        keep(entry);
    }
    added.for_each(keep);
    merged
}

fn units_of(mut rows: &[Row]) -> impl Iterator<Item = Unit<'_>> {
    std::iter::from_fn(move || {
        let (unit, rest) = Unit::split_from(rows)?;
        rows = rest;
        Some(unit)
    })
}

fn pack_entries(entries: &[Entry], rows: &mut Vec<Row>) {
    even_chunks(entries, UNIT).for_each(|unit| pack_unit(unit, rows));
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of 64 bits")]
fn halves(key: u64) -> (u32, u32) {
    (key as u32, (key >> u32::BITS) as u32)
}

fn pack_unit(entries: &[Entry], rows: &mut Vec<Row>) {
    let Some(&first) = entries.first() else {
        return;
    };
    let mut columns = [Column::default(); 3];
    let [low_keys, high_keys, numbers] = columns.each_mut().map(|it| it.as_flattened_mut());
    let (mut previous, mut all_high) = (first, 0);
    for (index, &entry) in entries.iter().enumerate() {
        let difference = entry.0 - previous.0;
        let (low, high) = halves(difference);
        (low_keys[index], high_keys[index]) = (low, high);
        all_high |= high;
        numbers[index] = entry.1 - if difference == 0 { previous.1 } else { 0 };
        previous = entry;
    }
    let count = entries.len().div_ceil(LANES);
    let [low_keys, high_keys, numbers] = columns.each_ref().map(|it| &it[..count]);
    let high_width = u32::BITS - all_high.leading_zeros();
    let low_width = if high_width == 0 {
        width_of(low_keys)
    } else {
        u32::BITS
    };
    let number_width = width_of(numbers);
    let (low, high) = halves(first.0);
    let count = u32::try_from(entries.len()).unwrap_or(0);
    let sizes = count | (low_width + high_width) << 8 | number_width << 16;
    rows.push([low, high, first.1, sizes]);
    pack(low_keys, low_width, rows);
    pack(high_keys, high_width, rows);
    pack(numbers, number_width, rows);
}

/// The first entry of a unit, from its first row.
fn first_of(&[low, high, number, _]: &Row) -> Entry {
    (u64::from(high) << u32::BITS | u64::from(low), number)
}

/// A unit of a block: its first entry, and all of them packed.
pub(super) struct Unit<'a> {
    pub(super) first: Entry,
    count: usize,
    key_width: u32,
    number_width: u32,
    keys: &'a [Row],
    numbers: &'a [Row],
    /// All of them.
    rows: &'a [Row],
}

impl<'a> Unit<'a> {
    /// The unit at the start of rows, and the rows after it; `None` where there are none.
    fn split_from(rows: &'a [Row]) -> Option<(Self, &'a [Row])> {
        let (header, packed) = rows.split_first()?;
        let [count, key_width, number_width, _] = header[3].to_le_bytes();
        let count = usize::from(count);
        let (key_width, number_width) = (u32::from(key_width), u32::from(number_width));
        let groups = count.div_ceil(LANES);
        let low = packed_rows(groups, key_width.min(u32::BITS));
        let high = packed_rows(groups, key_width.saturating_sub(u32::BITS));
        let (keys, packed) = packed.split_at_checked(low + high)?;
        let (numbers, rest) = packed.split_at_checked(packed_rows(groups, number_width))?;
        let unit = Self {
            first: first_of(header),
            count,
            key_width,
            number_width,
            keys,
            numbers,
            rows: &rows[..rows.len() - rest.len()],
        };
        Some((unit, rest))
    }

    /// The numbers of a key, ascending, each as often as it is there.
    pub(super) fn numbers_of<'b>(&self, key: u64, unpacked: &'b mut Unpacked) -> &'b [u32] {
        let run = self.run_of(key);
        if run.is_empty() {
            return &[];
        }
        let groups = run.start / LANES..run.end.div_ceil(LANES);
        let numbers = &mut unpacked.0[groups.clone()];
        unpack(self.numbers, self.number_width, groups.start, numbers);
        let skipped = groups.start * LANES;
        let numbers = &mut numbers.as_flattened_mut()[run.start - skipped..run.end - skipped];
        // They are differences except for the first, unless that is the first of the unit.
        add_up(numbers, if run.start == 0 { self.first.1 } else { 0 });
        numbers
    }

    /// Where the entries of a key are.
    fn run_of(&self, key: u64) -> Range<usize> {
        let is_single = self.key_width == 0;
        match key.checked_sub(self.first.0) {
            Some(0) if is_single => 0..self.count,
            None => 0..0,
            Some(_) if is_single => 0..0,
            Some(wanted) => {
                let mut low = Column::default();
                let low = self.unpack_keys(&mut low);
                if self.key_width <= u32::BITS {
                    return run_of(low, |low| u64::from(*low), wanted);
                }
                let mut high = Column::default();
                let high = self.unpack_high_keys(&mut high);
                let mut both = [0; UNIT];
                let both = &mut both[..low.len()];
                for (index, both) in both.iter_mut().enumerate() {
                    *both = difference(low, high, index);
                }
                run_of(both, |both| *both, wanted)
            }
        }
    }

    /// The lower halves of the differences of the keys.
    fn unpack_keys<'b>(&self, keys: &'b mut Column) -> &'b [u32] {
        let keys = &mut keys[..self.count.div_ceil(LANES)];
        unpack(self.keys, self.key_width.min(u32::BITS), 0, keys);
        &keys.as_flattened()[..self.count]
    }

    /// The upper halves, if one is not 0.
    fn unpack_high_keys<'b>(&self, keys: &'b mut Column) -> &'b [u32] {
        let groups = self.count.div_ceil(LANES);
        let width = self.key_width.saturating_sub(u32::BITS);
        if width == 0 {
            return &[];
        }
        // The lower halves take 32 bits each.
        unpack(&self.keys[groups..], width, 0, &mut keys[..groups]);
        &keys.as_flattened()[..self.count]
    }

    /// Appends its entries.
    fn unpack(&self, entries: &mut Vec<Entry>) {
        let [mut low, mut high, mut numbers] = [Column::default(); 3];
        let (low, high) = (self.unpack_keys(&mut low), self.unpack_high_keys(&mut high));
        let groups = self.count.div_ceil(LANES);
        unpack(self.numbers, self.number_width, 0, &mut numbers[..groups]);
        let numbers = numbers.as_flattened();
        let mut last = self.first;
        entries.extend((0..self.count).map(|index| {
            let difference = difference(low, high, index);
            let base = if difference == 0 { last.1 } else { 0 };
            last.0 = last.0.wrapping_add(difference);
            last.1 = base.wrapping_add(numbers[index]);
            last
        }));
    }
}

/// Where the keys are whose difference from the first is `wanted`, from the differences
/// between one and the next.
fn run_of<T>(differences: &[T], value: impl Fn(&T) -> u64, wanted: u64) -> Range<usize> {
    let (groups, mut start, mut sum) = (differences.chunks_exact(LANES), 0, 0u64);
    for group in groups {
        let next = group.iter().map(&value).fold(sum, u64::wrapping_add);
        if next >= wanted {
            break;
        }
        (start, sum) = (start + LANES, next);
    }
    while let Some(difference) = differences.get(start) {
        sum = sum.wrapping_add(value(difference));
        if sum >= wanted {
            break;
        }
        start += 1;
    }
    if sum != wanted {
        return 0..0;
    }
    let equal = differences[start + 1..].iter();
    let equal = equal.take_while(|difference| value(difference) == 0);
    start..start + 1 + equal.count()
}

/// The difference of a key from the one before, from its halves.
fn difference(low: &[u32], high: &[u32], index: usize) -> u64 {
    let high = high.get(index).copied().unwrap_or(0);
    u64::from(high) << u32::BITS | u64::from(low[index])
}
