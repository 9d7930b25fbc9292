//! Vectors in 8 bits per component: a scan reads a quarter of the memory that full
//! precision needs, and its error has a bound.
//!
//! A row is its components divided by a scale, the largest of them over 127, and
//! rounded to codes. The query keeps 16 bits, as products of 8 and 16 bits cost the same
//! as of 8 and 8. With `e` the vector of a row's rounding errors, the dot product
//! differs from the exact one by at most `|query| · |e|` (Cauchy–Schwarz) and the
//! error of the query's own rounding.

use std::iter;

/// Largest absolute value of a row's number.
const ROW_MAX: f32 = 127.0;

/// Largest sum of products, so that 32 bits hold it.
const SUM_MAX: f32 = 2_147_000_000.0;

/// The rounding errors of dot products in single precision, relative to the
/// product of both lengths: far above what rows of a few thousand numbers reach.
const FLOAT_ERROR: f32 = 1e-5;

/// What the codes of a row are multiplied by, and how far that is from the row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    /// A component is about its code times this.
    pub scale: f32,
    /// At least the length of the difference to the row.
    pub error: f32,
}

impl Quantization {
    /// The largest length of a row with this scale and so many dimensions.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a number of dimensions")]
    pub fn max_length(&self, dimensions: usize) -> f32 {
        self.scale * ROW_MAX * (dimensions as f32).sqrt() + self.error
    }
}

/// Appends a row's codes, one byte per component, in two's complement.
#[expect(clippy::cast_possible_truncation, reason = "rounded to -127..=127")]
pub fn quantize(row: &[f32], codes: &mut Vec<u8>) -> Quantization {
    let max = row.iter().fold(0.0f32, |max, number| max.max(number.abs()));
    let scale = max / ROW_MAX;
    if !(scale.is_normal() && max.is_finite()) {
        codes.extend(iter::repeat_n(0, row.len()));
        return Quantization {
            scale: 0.0,
            error: length(row.iter().copied()),
        };
    }
    let start = codes.len();
    let round = |number: &f32| ((number / scale).round() as i8).cast_unsigned();
    codes.extend(row.iter().map(round));
    let errors = codes[start..]
        .iter()
        .zip(row)
        .map(|(code, number)| f32::from(code.cast_signed()) * scale - number);
    let error = length(errors) + FLOAT_ERROR * length(row.iter().copied());
    Quantization { scale, error }
}

/// In double precision, so that squares of tiny numbers are not lost.
#[expect(
    clippy::cast_possible_truncation,
    reason = "f64 to f32 rounds, by design"
)]
fn length(numbers: impl Iterator<Item = f32>) -> f32 {
    let squares = numbers.map(|number| f64::from(number) * f64::from(number));
    squares.sum::<f64>().sqrt() as f32
}

/// A query's vector in 16 bits per component.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedQuery {
    numbers: Vec<i16>,
    scale: f32,
    length: f32,
    error: f32,
}

impl QuantizedQuery {
    /// Rounds a vector of at least one component.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "rounded to 16 bits; dimensions are a few thousand"
    )]
    pub fn new(query: &[f32]) -> Self {
        let largest = (SUM_MAX / (ROW_MAX * query.len().max(1) as f32)).min(f32::from(i16::MAX));
        let max = query
            .iter()
            .fold(0.0f32, |max, number| max.max(number.abs()));
        let scale = max / largest;
        let is_usable = scale.is_normal() && max.is_finite();
        let scale = if is_usable { scale } else { 0.0 };
        let round = |number: &f32| {
            if is_usable {
                (number / scale).trunc() as i16
            } else {
                0
            }
        };
        let numbers: Vec<i16> = query.iter().map(round).collect();
        let errors = numbers.iter().zip(query);
        let errors = errors.map(|(rounded, number)| f32::from(*rounded) * scale - number);
        Self {
            error: length(errors),
            length: length(query.iter().copied()),
            numbers,
            scale,
        }
    }

    /// The number of components.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.numbers.len()
    }

    /// The largest difference between [`dots`](Self::dots) and what
    /// [`cosine`](crate::cosine) returns for rows of this length and this error at
    /// most.
    #[must_use]
    pub fn max_error(&self, row_length: f32, row_error: f32) -> f32 {
        self.length * row_error
            + self.error * (row_length + row_error)
            + FLOAT_ERROR * self.length * row_length
    }

    /// Computes the dot product with each row: `codes` has the codes of as many rows
    /// as there are `scales` and `dots`, one after the other. The result is the same
    /// on every processor. O(rows · dimensions).
    #[expect(
        clippy::cast_precision_loss,
        reason = "the loss, 2^-24 of the sum, is part of FLOAT_ERROR"
    )]
    pub fn dots(&self, codes: &[u8], scales: &[f32], dots: &mut [f32]) {
        /// Rows whose sums are computed at once.
        const ROWS: usize = 64;
        let mut sums = [0i32; ROWS];
        let codes = codes.chunks(ROWS * self.numbers.len());
        let rows = codes.zip(scales.chunks(ROWS));
        for ((codes, scales), dots) in rows.zip(dots.chunks_mut(ROWS)) {
            let sums = &mut sums[..scales.len()];
            integer_dots(&self.numbers, codes, sums);
            for ((dot, sum), scale) in dots.iter_mut().zip(sums).zip(scales) {
                *dot = *sum as f32 * (scale * self.scale);
            }
        }
    }
}

/// Has codes that are read soon fetched into the caches, where the processor can do so: it
/// then fetches those of many rows at once.
pub fn fetch(codes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in codes.chunks(x86::LINE) {
        x86::fetch(line.as_ptr());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = codes;
}

/// The exact dot product of each row, by the widest instructions of this
/// processor. Integers, so that all have the same results.
fn integer_dots(query: &[i16], rows: &[u8], dots: &mut [i32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            #[expect(unsafe_code, reason = "instructions that were detected")]
            // SAFETY: the processor has the features.
            return unsafe { x86::avx512(query, rows, dots) };
        }
        if is_x86_feature_detected!("avx2") {
            #[expect(unsafe_code, reason = "instructions that were detected")]
            // SAFETY: the processor has the feature.
            return unsafe { x86::avx2(query, rows, dots) };
        }
    }
    portable(query, rows, dots);
}

fn portable(query: &[i16], rows: &[u8], dots: &mut [i32]) {
    for (row, dot) in rows.chunks_exact(query.len()).zip(dots) {
        *dot = portable_dot(query, row);
    }
}

/// Compiled to the instructions that its caller may use.
#[inline(always)]
#[expect(clippy::inline_always, reason = "target features are the caller's")]
fn portable_dot(query: &[i16], row: &[u8]) -> i32 {
    let products = row.iter().zip(query);
    products
        .map(|(row, query)| i32::from(i16::from(row.cast_signed())) * i32::from(*query))
        .sum()
}

/// A scan of more rows than the caches hold waits for memory. The processor fetches less
/// ahead by itself than it can: where the scan asks for the bytes to come, 100,000 rows
/// take a quarter less time.
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use std::arch::x86_64::{
        _MM_HINT_T0, _mm_prefetch, _mm256_loadu_si256, _mm512_add_epi32, _mm512_cvtepi8_epi16,
        _mm512_loadu_si512, _mm512_madd_epi16, _mm512_reduce_add_epi32, _mm512_setzero_si512,
    };

    use super::portable_dot;

    /// How far ahead, in bytes: some rows. Twice and half of it are as good.
    const AHEAD: usize = 2_048;

    /// Bytes of a cache line.
    pub(super) const LINE: usize = 64;

    /// Numbers that are multiplied at once.
    const LANES: usize = 32;

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(query: &[i16], rows: &[u8], dots: &mut [i32]) {
        for (row, dot) in rows.chunks_exact(query.len()).zip(dots) {
            row.chunks(LINE).for_each(fetch_ahead);
            *dot = portable_dot(query, row);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn avx512(query: &[i16], rows: &[u8], dots: &mut [i32]) {
        let (numbers, last_numbers) = query.as_chunks::<LANES>();
        for (row, dot) in rows.chunks_exact(query.len()).zip(dots) {
            let (codes, last_codes) = row.as_chunks::<LANES>();
            let mut sums = _mm512_setzero_si512();
            for (codes, numbers) in codes.iter().zip(numbers) {
                fetch_ahead(codes);
                #[expect(unsafe_code, reason = "instructions that read from a pointer")]
                // SAFETY: the arrays have as many bytes as are read, 32 and 64, and
                // they need no alignment.
                let (codes, numbers) = unsafe {
                    let codes = _mm256_loadu_si256(codes.as_ptr().cast());
                    (codes, _mm512_loadu_si512(numbers.as_ptr().cast()))
                };
                let products = _mm512_madd_epi16(_mm512_cvtepi8_epi16(codes), numbers);
                sums = _mm512_add_epi32(sums, products);
            }
            *dot = _mm512_reduce_add_epi32(sums) + portable_dot(last_numbers, last_codes);
        }
    }

    /// Has the line that is so far ahead fetched into the caches.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "target features are the caller's")]
    fn fetch_ahead(bytes: &[u8]) {
        fetch(bytes.as_ptr().wrapping_add(AHEAD));
    }

    /// Has a line fetched into the caches.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "one instruction")]
    pub(crate) fn fetch(line: *const u8) {
        #[expect(unsafe_code, reason = "an instruction that takes a pointer")]
        // SAFETY: a hint, which reads nothing, and no fault for any address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.cast());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cosine;

    #[test]
    fn all_instructions_have_the_same_results() {
        // Also lengths of which no register is a part.
        for dimensions in [1, 31, 32, 63, 100, 384] {
            let numbers = (0..384i16).map(|n| n.wrapping_mul(7_919) % 30_000);
            let query: Vec<i16> = numbers.take(dimensions).collect();
            let codes = (0..=255u8).cycle().step_by(31);
            let rows: Vec<u8> = codes.take(dimensions * 9).collect();
            let (mut fast, mut plain) = ([0; 9], [0; 9]);
            integer_dots(&query, &rows, &mut fast);
            portable(&query, &rows, &mut plain);
            assert_eq!(fast, plain);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                #[expect(unsafe_code, reason = "instructions that were detected")]
                // SAFETY: the processor has the feature.
                unsafe {
                    x86::avx2(&query, &rows, &mut fast);
                };
                assert_eq!(fast, plain);
            }
        }
    }

    #[test]
    fn each_row_has_its_own_product() {
        let query = [0.5, -1.0, 2.0];
        let quantized = QuantizedQuery::new(&query);
        let (mut codes, mut scales, mut bounds) = (Vec::new(), Vec::new(), Vec::new());
        let rows: Vec<[f32; 3]> = (0..150u8).map(|n| [f32::from(n), 1.0, -2.0]).collect();
        for row in &rows {
            let row_length = length(row.iter().copied());
            let Quantization { scale, error } = quantize(row, &mut codes);
            scales.push(scale);
            bounds.push(quantized.max_error(row_length, error));
        }
        let mut dots = vec![0.0; rows.len()];
        quantized.dots(&codes, &scales, &mut dots);
        for ((row, dot), bound) in rows.iter().zip(dots).zip(bounds) {
            assert!((dot - cosine(&query, row)).abs() <= bound, "{row:?}: {dot}");
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        for dimensions in [1, 384, 4_096] {
            let (query, mut numbers) = (vec![1.0; dimensions], Vec::new());
            let row = quantize(&query, &mut numbers);
            let mut dot = [0.0];
            QuantizedQuery::new(&query).dots(&numbers, &[row.scale], &mut dot);
            let exact = cosine(&query, &query);
            assert!((dot[0] - exact).abs() < 0.001 * exact, "{dot:?}");
        }
    }

    proptest! {
        #[test]
        fn the_error_is_within_its_bound(
            (query, row) in (1usize..300).prop_flat_map(|dimensions| {
                let vector = || prop::collection::vec(
                    prop_oneof![-1.0f32..1.0, Just(0.0), -1e-30f32..1e-30, -300.0f32..300.0],
                    dimensions,
                );
                (vector(), vector())
            }),
        ) {
            let mut numbers = Vec::new();
            let Quantization { scale, error } = quantize(&row, &mut numbers);
            let quantized = QuantizedQuery::new(&query);
            let mut dot = [0.0];
            quantized.dots(&numbers, &[scale], &mut dot);
            let bound = quantized.max_error(length(row.iter().copied()), error);
            let difference = (dot[0] - cosine(&query, &row)).abs();
            prop_assert!(difference <= bound, "{difference} > {bound}");
        }
    }
}
