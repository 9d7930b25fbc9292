//! Vectors in two bits per component: a scan reads a quarter of what codes of 8 bits take,
//! and finds an estimate of each dot product.
//!
//! A row is rotated, and each component is rounded to one of four levels, -3, -1, 1 or 3
//! times a step. A rotation changes no dot product; after one that mixes many components,
//! each of them says as much as another, also where most were 0. The query is rotated
//! likewise and rounded to 4 bits a component. With `s` the levels of a row `r`, the
//! estimate is `query · s · |r|² / (r · s)`: without a bias where the rest of the row,
//! which has no part in the direction of `s`, is as likely to lie in one direction as in
//! another (Gao and others, "Practical and asymptotically optimal quantization of
//! high-dimensional vectors", 2024). It has no bound on its error. Measure the error on
//! some rows, by [`quantized`](crate::quantized) or exactly.

mod rotation;

use rotation::{PART, Rotation, part_length};

/// Rows whose words lie side by side, so that one instruction counts bits of all.
const LANES: usize = 8;

/// Components of one word.
const BITS: usize = u64::BITS as usize;

/// Bits of a query's component, in two's complement.
const PLANES: usize = 4;

/// The largest component of a query.
const QUERY_MAX: f32 = 7.0;

/// From what size on a component has an outer level, in standard deviations: with the least
/// error where components are normally distributed (Max, "Quantizing for minimum
/// distortion", 1960, table II).
const OUTER: f32 = 0.9957;

/// The words of so many components: a bit of [`LANES`] rows' levels each.
type Group = [[u64; LANES]; 2];

/// Rows as levels.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelRows {
    /// By group of [`LANES`] rows: for every [`BITS`] components, the higher bits of each
    /// row's levels, then the lower ones.
    words: Vec<Group>,
    /// What the sum of a query's components times a row's levels is multiplied by.
    factors: Vec<f32>,
}

impl LevelRows {
    /// The levels of rows that [`quantize`](crate::quantized::quantize) made: `codes` has
    /// the codes of as many rows as there are `scales`, each of `dimensions` components.
    #[must_use]
    pub fn new(codes: &[u8], scales: &[f32], dimensions: usize) -> Self {
        let words = word_count(dimensions);
        let mut levels = Self {
            words: vec![Group::default(); scales.len().div_ceil(LANES) * words],
            factors: Vec::with_capacity(scales.len()),
        };
        let rotation = Rotation::new(dimensions);
        let mut rotated = vec![0; words * BITS];
        let rows = codes.chunks_exact(dimensions.max(1)).zip(scales);
        for (row, (codes, scale)) in rows.enumerate() {
            let numbers = codes.iter().map(|code| i16::from(code.cast_signed()));
            rotation.apply(numbers, &mut rotated);
            let outer = outer_size(codes, rotated.len());
            let group = &mut levels.words[row / LANES * words..][..words];
            let mut product = 0;
            for (group, numbers) in group.iter_mut().zip(rotated.as_chunks().0) {
                let (bits, own) = levels_of(numbers, outer);
                group[0][row % LANES] = bits[0];
                group[1][row % LANES] = bits[1];
                product += own;
            }
            levels.factors.push(scale * factor(codes, product));
        }
        levels
    }

    /// Bytes of so many rows.
    #[must_use]
    pub fn size_bytes(rows: usize, dimensions: usize) -> usize {
        let groups = rows.div_ceil(LANES) * word_count(dimensions);
        groups * size_of::<Group>() + rows * size_of::<f32>()
    }
}

fn word_count(dimensions: usize) -> usize {
    dimensions.div_ceil(PART) * PART / BITS
}

/// From what size on a row's rotated components have an outer level.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "at most what 128 codes add up to; a few thousand components"
)]
fn outer_size(codes: &[u8], components: usize) -> u16 {
    let deviation = (squares(codes) / components.max(1) as f32).sqrt() * part_length();
    (OUTER * deviation).ceil() as u16
}

#[expect(clippy::cast_precision_loss, reason = "the level needs no more")]
fn squares(codes: &[u8]) -> f32 {
    let squares = codes
        .iter()
        .map(|code| i32::from(code.cast_signed()).pow(2));
    squares.sum::<i32>() as f32
}

/// The bits of the levels of numbers, the higher ones first, and the sum of the numbers
/// times their levels.
fn levels_of(numbers: &[i16; BITS], outer: u16) -> ([u64; 2], i32) {
    let (mut higher, mut lower) = ([0u8; BITS], [0u8; BITS]);
    let mut product = 0;
    for ((number, higher), lower) in numbers.iter().zip(&mut higher).zip(&mut lower) {
        let size = number.unsigned_abs();
        let is_outer = u8::from(size >= outer);
        *higher = u8::from(*number > 0);
        *lower = 1 ^ *higher ^ is_outer;
        product += i32::from(size) * (1 + 2 * i32::from(is_outer));
    }
    ([packed(&higher), packed(&lower)], product)
}

/// Numbers of one bit, the first as the lowest.
fn packed(bits: &[u8; BITS]) -> u64 {
    /// Moves the lowest bits of eight bytes to the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let bytes = bits.as_chunks().0.iter();
    let bytes = bytes.map(|bits| u64::from_le_bytes(*bits).wrapping_mul(GATHER) >> 56);
    bytes.rev().fold(0, |word, byte| word << 8 | byte)
}

/// `|r|² / (r · s)` of a row in steps of its codes, given the product of the rotated codes
/// and their levels.
#[expect(clippy::cast_precision_loss, reason = "the estimate needs no more")]
fn factor(codes: &[u8], product: i32) -> f32 {
    if product == 0 {
        return 0.0;
    }
    squares(codes) * part_length() / product as f32
}

/// A query's vector, rotated, in 4 bits per component.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelQuery {
    /// By word: the lowest bits of its components, the next, and so on.
    planes: Vec<[u64; PLANES]>,
    /// The sum of the components.
    sum: i32,
    /// What a component is multiplied by.
    step: f32,
}

impl LevelQuery {
    /// Rotates and rounds a vector.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "rounded to -7..=7")]
    pub fn new(query: &[f32]) -> Self {
        let mut rotated = vec![0.0; word_count(query.len()) * BITS];
        Rotation::new(query.len()).apply(query.iter().copied(), &mut rotated);
        let max = rotated
            .iter()
            .fold(0.0f32, |max, number| max.max(number.abs()));
        let step = max / QUERY_MAX;
        let is_usable = step.is_normal() && max.is_finite();
        let round = |number: &f32| {
            if is_usable {
                (number / step).round() as i8
            } else {
                0
            }
        };
        let numbers: Vec<i8> = rotated.iter().map(round).collect();
        Self {
            planes: numbers.chunks(BITS).map(planes).collect(),
            sum: numbers.iter().map(|number| i32::from(*number)).sum(),
            step: if is_usable { step / part_length() } else { 0.0 },
        }
    }

    /// Estimates the dot product with each row. `estimates` has room for as many as there
    /// are rows, which have the dimensions of the query. The result is the same on every
    /// processor. O(rows · dimensions).
    #[expect(
        clippy::cast_precision_loss,
        reason = "sums of a few thousand times 21"
    )]
    pub fn estimate(&self, rows: &LevelRows, estimates: &mut [f32]) {
        let groups = rows.words.chunks_exact(self.planes.len().max(1));
        let outputs = estimates.chunks_mut(LANES).zip(rows.factors.chunks(LANES));
        for (group, (estimates, factors)) in groups.zip(outputs) {
            let sums = group_sums(&self.planes, group);
            for ((estimate, factor), sum) in estimates.iter_mut().zip(factors).zip(sums) {
                // A level is twice the number of its bits, less 3.
                *estimate = (2 * sum - 3 * self.sum) as f32 * (factor * self.step);
            }
        }
    }
}

fn planes(numbers: &[i8]) -> [u64; PLANES] {
    let mut planes = [0; PLANES];
    for (number, bit) in numbers.iter().zip(0..) {
        for (plane, own) in planes.iter_mut().zip(0..) {
            *plane |= u64::from(number.cast_unsigned() >> own & 1) << bit;
        }
    }
    planes
}

/// For each row of a group, the sum of the query's components times the numbers of the row's
/// bits, by the widest instructions of this processor.
fn group_sums(planes: &[[u64; PLANES]], group: &[Group]) -> [i32; LANES] {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vpopcntdq") {
            #[expect(unsafe_code, reason = "instructions that were detected")]
            // SAFETY: the processor has the features.
            return unsafe { x86::avx512(planes, group) };
        }
        if is_x86_feature_detected!("avx2") {
            #[expect(unsafe_code, reason = "instructions that were detected")]
            // SAFETY: the processor has the feature.
            return unsafe { x86::avx2(planes, group) };
        }
    }
    portable(planes, group)
}

/// Compiled to the instructions that its caller may use.
#[inline(always)]
#[expect(clippy::inline_always, reason = "target features are the caller's")]
fn portable(planes: &[[u64; PLANES]], group: &[Group]) -> [i32; LANES] {
    let mut sums = [0; LANES];
    for (planes, [higher, lower]) in planes.iter().zip(group) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            for (plane, weight) in planes.iter().zip(WEIGHTS) {
                let count = |word: u64| (word & plane).count_ones().cast_signed();
                *sum += weight * (2 * count(higher[lane]) + count(lower[lane]));
            }
        }
    }
    sums
}

/// What a bit of each plane is worth, in two's complement.
const WEIGHTS: [i32; PLANES] = [1, 2, 4, -8];

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_loadu_si512, _mm512_popcnt_epi64,
        _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_storeu_si512,
        _mm512_sub_epi64,
    };

    use super::{Group, LANES, PLANES, portable};
    use crate::quantized::x86::fetch;

    /// How far ahead words are fetched, in bytes: some groups of rows.
    const AHEAD: usize = 4_096;

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(planes: &[[u64; PLANES]], group: &[Group]) -> [i32; LANES] {
        portable(planes, group)
    }

    /// A lane for each row; a count for each plane and bit, which are weighed at the end.
    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    pub(super) fn avx512(planes: &[[u64; PLANES]], group: &[Group]) -> [i32; LANES] {
        let mut counts = [[_mm512_setzero_si512(); PLANES]; 2];
        for (planes, words) in planes.iter().zip(group) {
            for (counts, words) in counts.iter_mut().zip(words) {
                fetch(words.as_ptr().wrapping_byte_add(AHEAD).cast());
                let words = load(words);
                for (count, plane) in counts.iter_mut().zip(planes) {
                    let plane = _mm512_set1_epi64(plane.cast_signed());
                    let found = _mm512_popcnt_epi64(_mm512_and_si512(words, plane));
                    *count = _mm512_add_epi64(*count, found);
                }
            }
        }
        let [higher, lower] = counts.map(|[ones, twos, fours, eights]| {
            let ones = _mm512_add_epi64(ones, _mm512_slli_epi64::<1>(twos));
            let ones = _mm512_add_epi64(ones, _mm512_slli_epi64::<2>(fours));
            _mm512_sub_epi64(ones, _mm512_slli_epi64::<3>(eights))
        });
        store(_mm512_add_epi64(_mm512_slli_epi64::<1>(higher), lower))
    }

    #[target_feature(enable = "avx512f")]
    fn load(words: &[u64; LANES]) -> __m512i {
        #[expect(unsafe_code, reason = "an instruction that reads from a pointer")]
        // SAFETY: the array has the 64 bytes that are read, which need no alignment.
        unsafe {
            _mm512_loadu_si512(words.as_ptr().cast())
        }
    }

    #[target_feature(enable = "avx512f")]
    fn store(sums: __m512i) -> [i32; LANES] {
        let mut stored = [0i64; LANES];
        #[expect(unsafe_code, reason = "an instruction that writes to a pointer")]
        // SAFETY: the array has room for the 64 bytes that are written.
        unsafe {
            _mm512_storeu_si512(stored.as_mut_ptr().cast(), sums);
        }
        #[expect(clippy::cast_possible_truncation, reason = "a few thousand times 24")]
        stored.map(|sum| sum as i32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quantized::quantize;
    use crate::{cosine, normalize};

    fn rows(rows: &[Vec<f32>]) -> LevelRows {
        let mut codes = Vec::new();
        let scales = rows.iter().map(|row| quantize(row, &mut codes).scale);
        let scales: Vec<f32> = scales.collect();
        LevelRows::new(&codes, &scales, rows[0].len())
    }

    fn estimates(query: &[f32], all: &[Vec<f32>]) -> Vec<f32> {
        let mut estimates = vec![f32::NAN; all.len()];
        LevelQuery::new(query).estimate(&rows(all), &mut estimates);
        estimates
    }

    /// Normalized vectors whose components are a sum of three of a generator's numbers,
    /// all but every `nth` of them 0.
    fn random(count: usize, dimensions: usize, nth: usize) -> Vec<Vec<f32>> {
        let mut state = 1u32;
        let mut number = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut component = move |_| number() + number() + number();
        let row = |row: usize| {
            let all = (0..dimensions).map(&mut component);
            let mut row: Vec<f32> = all
                .enumerate()
                .map(|(index, number)| {
                    if (index + row).is_multiple_of(nth) {
                        number
                    } else {
                        0.0
                    }
                })
                .collect();
            normalize(&mut row).unwrap();
            row
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn estimates_are_close_without_a_bias() {
        // Also vectors that are nearly empty, and lengths that are no multiple of a part.
        for (dimensions, nth) in [(384, 1), (384, 10), (768, 1), (100, 1), (129, 3)] {
            let all = random(500, dimensions, nth);
            let found = estimates(&all[0], &all);
            assert!((found[0] - 1.0).abs() < 0.1, "{}", found[0]);
            let errors = found.iter().zip(&all).skip(1);
            let errors = errors.map(|(found, row)| found - cosine(&all[0], row));
            let errors: Vec<f32> = errors.collect();
            let mean = errors.iter().sum::<f32>() / errors.len() as f32;
            let square = errors.iter().map(|it| it * it).sum::<f32>() / errors.len() as f32;
            // √(0.119 / 0.881) is the deviation for rows of normal components.
            let expected = 0.37 / (dimensions as f32).sqrt();
            assert!(
                square.sqrt() < 1.3 * expected,
                "{dimensions} {nth} {square}"
            );
            assert!(mean.abs() < 0.2 * expected, "{dimensions} {nth} {mean}");
        }
    }

    #[test]
    fn a_row_is_estimated_alike_wherever_it_is() {
        let all = random(21, 100, 1);
        let query = &all[5];
        let one_by_one = all
            .iter()
            .map(|row| estimates(query, std::slice::from_ref(row))[0]);
        let one_by_one: Vec<f32> = one_by_one.collect();
        assert_eq!(estimates(query, &all), one_by_one);
    }

    #[test]
    fn the_length_of_a_row_counts() {
        let all = random(2, 384, 1);
        let longer: Vec<f32> = all[1].iter().map(|number| number * 3.0).collect();
        let found = estimates(&all[0], &[all[1].clone(), longer]);
        assert!((found[1] - 3.0 * found[0]).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn nothing_is_similar_to_zeros() {
        let zeros = vec![0.0; 384];
        let all = [random(1, 384, 1).remove(0), zeros.clone()];
        assert_eq!(estimates(&zeros, &all), [0.0, 0.0]);
        assert_eq!(estimates(&all[0], &all)[1], 0.0);
    }

    #[test]
    fn all_instructions_have_the_same_results() {
        let all = random(LANES, 384, 1);
        let (levels, query) = (rows(&all), LevelQuery::new(&all[0]));
        let plain = portable(&query.planes, &levels.words);
        assert_eq!(plain, group_sums(&query.planes, &levels.words));
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            #[expect(unsafe_code, reason = "instructions that were detected")]
            // SAFETY: the processor has the feature.
            let other = unsafe { x86::avx2(&query.planes, &levels.words) };
            assert_eq!(plain, other);
        }
    }

    #[test]
    fn sizes_are_those_of_what_is_allocated() {
        for (count, dimensions) in [(1, 1), (8, 64), (128, 384), (129, 400)] {
            let levels = rows(&random(count, dimensions, 1));
            let words = levels.words.capacity() * size_of::<Group>();
            let bytes = words + levels.factors.capacity() * size_of::<f32>();
            assert_eq!(LevelRows::size_bytes(count, dimensions), bytes);
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_components(
            numbers in prop::collection::vec(-7i8..=7, 2 * BITS),
            words in prop::collection::vec(any::<Group>(), 2),
        ) {
            let planes: Vec<[u64; PLANES]> = numbers.chunks(BITS).map(planes).collect();
            let sums = group_sums(&planes, &words);
            for lane in 0..LANES {
                let bit = |word: u64, bit: usize| (word >> (bit % BITS) & 1) as i32;
                let level = |number: usize| {
                    let [higher, lower] = words[number / BITS];
                    2 * bit(higher[lane], number) + bit(lower[lane], number)
                };
                let products = numbers.iter().enumerate();
                let products = products.map(|(index, number)| i32::from(*number) * level(index));
                prop_assert_eq!(sums[lane], products.sum::<i32>());
            }
        }

        #[test]
        fn levels_are_those_of_the_numbers(
            numbers in prop::collection::vec(-16_256i16..=16_256, BITS),
            outer in 0u16..17_000,
        ) {
            let (bits, product) = levels_of(numbers.as_chunks().0.first().unwrap(), outer);
            let mut expected = 0;
            for (index, number) in numbers.iter().enumerate() {
                let size = if number.unsigned_abs() >= outer { 3 } else { 1 };
                let level = if *number > 0 { size } else { -size };
                let bit = |word: u64| (word >> index & 1) as i32;
                prop_assert_eq!(2 * (2 * bit(bits[0]) + bit(bits[1])) - 3, level);
                expected += i32::from(*number) * level;
            }
            prop_assert_eq!(product, expected);
        }

    }
}
