//! Numbers in as few bits as the largest of them needs.

/// Numbers that are packed and unpacked at once.
pub(super) const LANES: usize = 4;

/// 32 bits of each lane. Number `i` is in lane `i % LANES`, after the earlier ones there:
/// a processor shifts all lanes at once.
pub(super) type Row = [u32; LANES];

/// The bits that each of these numbers needs.
pub(super) fn width_of(numbers: &[Row]) -> u32 {
    let mut all = Row::default();
    for group in numbers {
        for lane in 0..LANES {
            all[lane] |= group[lane];
        }
    }
    u32::BITS
        - all
            .into_iter()
            .fold(0, |all, lane| all | lane)
            .leading_zeros()
}

/// The rows that so many rows of numbers of `width` bits take.
pub(super) fn packed_rows(rows: usize, width: u32) -> usize {
    (rows * width as usize).div_ceil(u32::BITS as usize)
}

/// Appends numbers of at most `width` bits.
pub(super) fn pack(numbers: &[Row], width: u32, packed: &mut Vec<Row>) {
    if width == 0 {
        return;
    }
    let (mut row, mut shift) = (Row::default(), 0);
    for group in numbers {
        for lane in 0..LANES {
            row[lane] |= group[lane] << shift;
        }
        shift += width;
        if shift >= u32::BITS {
            packed.push(row);
            shift -= u32::BITS;
            // Of the bits that did not fit, there are `shift`.
            row = group.map(|number| number.checked_shr(width - shift).unwrap_or(0));
        }
    }
    if shift > 0 {
        packed.push(row);
    }
}

/// Unpacks rows of numbers from that with index `first` on.
#[expect(clippy::cast_possible_truncation, reason = "below 32")]
pub(super) fn unpack(packed: &[Row], width: u32, first: usize, numbers: &mut [Row]) {
    if width == 0 {
        numbers.fill(Row::default());
        return;
    }
    let mask = u32::MAX >> (u32::BITS - width);
    let bit = first * width as usize;
    let mut rows = packed.iter().skip(bit / u32::BITS as usize).copied();
    let mut row = rows.next().unwrap_or_default();
    let mut shift = (bit % u32::BITS as usize) as u32;
    for group in numbers {
        let low = row.map(|lane| lane >> shift);
        let mut high = Row::default();
        shift += width;
        if shift >= u32::BITS {
            shift -= u32::BITS;
            row = rows.next().unwrap_or_default();
            if shift > 0 {
                high = row.map(|lane| lane << (width - shift));
            }
        }
        for lane in 0..LANES {
            group[lane] = (low[lane] | high[lane]) & mask;
        }
    }
}

/// Replaces each number by its sum with those before it and `start`.
pub(super) fn add_up(numbers: &mut [u32], mut start: u32) {
    let (groups, rest) = numbers.as_chunks_mut::<LANES>();
    for group in groups {
        // As few additions after one another as can be.
        let [a, b, c, d] = *group;
        let (ab, cd) = (a.wrapping_add(b), c.wrapping_add(d));
        let sums = [a, ab, ab.wrapping_add(c), ab.wrapping_add(cd)];
        *group = sums.map(|sum| sum.wrapping_add(start));
        start = group[LANES - 1];
    }
    for number in rest {
        start = start.wrapping_add(*number);
        *number = start;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_those_that_were_packed(
            numbers in prop::collection::vec(any::<Row>(), 0..40),
            width in 0u32..=32,
            before in 0usize..3,
        ) {
            let shorten = |number: u32| number.checked_shr(32 - width).unwrap_or(0);
            let numbers: Vec<Row> = numbers.into_iter().map(|row| row.map(shorten)).collect();
            prop_assert!(width_of(&numbers) <= width);
            let mut packed = vec![Row::default(); before];
            pack(&numbers, width, &mut packed);
            prop_assert_eq!(packed.len() - before, packed_rows(numbers.len(), width));
            packed.push([u32::MAX; LANES]);
            let mut unpacked = vec![[7; LANES]; numbers.len()];
            unpack(&packed[before..], width, 0, &mut unpacked);
            prop_assert_eq!(&unpacked, &numbers);
            let first = numbers.len() / 3;
            unpack(&packed[before..], width, first, &mut unpacked[first..]);
            prop_assert_eq!(unpacked, numbers);
        }

        #[test]
        fn numbers_are_added_up(
            mut numbers in prop::collection::vec(any::<u32>(), 0..40),
            start in any::<u32>(),
        ) {
            let sums = numbers.iter().scan(start, |sum, number| {
                *sum = sum.wrapping_add(*number);
                Some(*sum)
            });
            let sums: Vec<u32> = sums.collect();
            add_up(&mut numbers, start);
            prop_assert_eq!(numbers, sums);
        }
    }
}
