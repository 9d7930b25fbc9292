//! Pages of vectors: 8 bits a component, with the error that they make.
//!
//! A page has the count of its vectors, then for each vector the number of its
//! memory (16 bits), its scale and its error (`f32`), then the codes of all. Little
//! endian. Several vectors of one memory are next to each other.

use crate::error::Failure;
use crate::vectors;

/// The largest code of a component, and its negation the smallest.
const MAX_CODE: f32 = 127.0;

/// A vector as codes: component = code · scale.
struct Quantized {
    scale: f32,
    /// At least the length of the difference to the vector.
    error: f32,
    codes: Vec<i8>,
}

fn quantize(vector: impl Iterator<Item = f32> + Clone) -> Quantized {
    let largest = vector.clone().fold(0.0f32, |max, x| max.max(x.abs()));
    let scale = largest / MAX_CODE;
    let inverse = if scale > 0.0 { scale.recip() } else { 0.0 };
    let mut squares = 0.0f64;
    let codes = vector.map(|x| {
        let code = (x * inverse).round().clamp(-MAX_CODE, MAX_CODE);
        let difference = f64::from(x) - f64::from(code) * f64::from(scale);
        squares += difference * difference;
        #[expect(clippy::cast_possible_truncation, reason = "clamped to 8 bits")]
        {
            code as i8
        }
    });
    let codes = codes.collect();
    #[expect(clippy::cast_possible_truncation, reason = "rounded up below")]
    let error = squares.sqrt() as f32;
    Quantized {
        scale,
        error: error.next_up(),
        codes,
    }
}

/// Encodes the vectors of memories, by their numbers within the page.
pub(crate) fn encode(rows: &[(u16, Vec<u8>)], dimensions: usize) -> Result<Vec<u8>, Failure> {
    let (mut numbers, mut scales, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    let (mut codes, mut count) = (Vec::new(), 0u32);
    for (number, bytes) in rows {
        for vector in vectors::split(bytes, dimensions)? {
            let quantized = quantize(vectors::components(vector));
            count += 1;
            numbers.extend(number.to_le_bytes());
            scales.extend(quantized.scale.to_le_bytes());
            errors.extend(quantized.error.to_le_bytes());
            codes.extend(quantized.codes.iter().map(|code| code.cast_unsigned()));
        }
    }
    let parts = [&count.to_le_bytes()[..], &numbers, &scales, &errors, &codes];
    Ok(parts.concat())
}

/// The approximate cosine of a memory's best vector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Approximation {
    pub(crate) similarity: f32,
    /// At least the difference to what [`cosine`](memory_core::cosine) returns.
    pub(crate) error: f32,
    pub(crate) chunks: u32,
}

impl Approximation {
    fn best(self, other: Self) -> Self {
        Self {
            similarity: self.similarity.max(other.similarity),
            error: self.error.max(other.error),
            chunks: self.chunks + other.chunks,
        }
    }
}

/// A query's vector, to compare with codes.
pub(crate) struct QuantizedQuery {
    codes: Vec<i16>,
    scale: f64,
    length: f64,
    /// The length of the difference to the query's vector, and what both products
    /// lose by rounding.
    error: f64,
}

impl QuantizedQuery {
    pub(crate) fn new(vector: &[f32]) -> Self {
        let dimensions = u32::try_from(vector.len().max(1)).unwrap_or(u32::MAX);
        // A sum of products stays within 32 bits.
        let max_code = f64::from(i32::MAX) / (f64::from(MAX_CODE) * f64::from(dimensions));
        let max_code = max_code.floor().min(f64::from(i16::MAX));
        let largest = vector.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        let scale = f64::from(largest) / max_code;
        let inverse = if scale > 0.0 { scale.recip() } else { 0.0 };
        let (mut difference, mut squares) = (0.0, 0.0);
        let codes = vector.iter().map(|x| {
            let x = f64::from(*x);
            let code = (x * inverse).round().clamp(-max_code, max_code);
            difference += (x - code * scale) * (x - code * scale);
            squares += x * x;
            #[expect(clippy::cast_possible_truncation, reason = "clamped to 16 bits")]
            {
                code as i16
            }
        });
        let codes = codes.collect();
        /// Single precision keeps 24 bits; sums of thousands of products lose less
        /// than this share of the product of the lengths.
        const ROUNDING: f64 = 1e-5;
        let length = f64::sqrt(squares);
        Self {
            codes,
            scale,
            length,
            error: f64::sqrt(difference) + ROUNDING * length,
        }
    }

    /// Compares a memory's vectors, as the page with them would.
    pub(crate) fn compare_row(&self, bytes: &[u8]) -> Result<Approximation, Failure> {
        let vectors = vectors::split(bytes, self.codes.len())?;
        let compared = vectors.map(|vector| {
            let quantized = quantize(vectors::components(vector));
            let codes = quantized.codes.iter().copied();
            self.compare(quantized.scale, quantized.error, codes)
        });
        compared.reduce(Approximation::best).ok_or(DAMAGED)
    }

    /// Compares every memory of a page that is wanted, by its number within it.
    pub(crate) fn compare_page(
        &self,
        content: &[u8],
        is_wanted: impl Fn(u16) -> bool,
        mut each: impl FnMut(u16, Approximation),
    ) -> Result<(), Failure> {
        let page = Page::decode(content, self.codes.len()).ok_or(DAMAGED)?;
        let mut last: Option<(u16, Approximation)> = None;
        for (index, number) in page.numbers.iter().enumerate() {
            let number = u16::from_le_bytes(*number);
            if !is_wanted(number) {
                continue;
            }
            let scale = f32::from_le_bytes(page.scales[index]);
            let error = f32::from_le_bytes(page.errors[index]);
            let codes = &page.codes[index * self.codes.len()..][..self.codes.len()];
            let codes = codes.iter().map(|code| code.cast_signed());
            let one = self.compare(scale, error, codes);
            last = match last {
                Some((same, best)) if same == number => Some((same, best.best(one))),
                Some((other, best)) => {
                    each(other, best);
                    Some((number, one))
                }
                None => Some((number, one)),
            };
        }
        if let Some((number, best)) = last {
            each(number, best);
        }
        Ok(())
    }

    /// The bound: with query q and vector v, and q' and v' for what their codes
    /// are, |q·v − q'·v'| ≤ |q|·|v − v'| + |q − q'|·|v'| (Cauchy and Schwarz).
    fn compare(&self, scale: f32, error: f32, codes: impl Iterator<Item = i8>) -> Approximation {
        let products = codes.zip(&self.codes);
        let sum: i32 = products.map(|(a, b)| i32::from(a) * i32::from(*b)).sum();
        let (scale, error) = (f64::from(scale), f64::from(error));
        #[expect(clippy::cast_precision_loss, reason = "a number of dimensions")]
        let longest = scale * f64::from(MAX_CODE) * (self.codes.len() as f64).sqrt();
        let error = self.length * error + self.error * (longest + error);
        #[expect(clippy::cast_possible_truncation, reason = "within the error")]
        Approximation {
            similarity: (f64::from(sum) * self.scale * scale) as f32,
            error: error as f32,
            chunks: 1,
        }
    }
}

const DAMAGED: Failure = Failure::Damaged("a page of vectors has an invalid length");

/// The parts of a page.
struct Page<'a> {
    numbers: &'a [[u8; 2]],
    scales: &'a [[u8; 4]],
    errors: &'a [[u8; 4]],
    codes: &'a [u8],
}

impl<'a> Page<'a> {
    fn decode(content: &'a [u8], dimensions: usize) -> Option<Self> {
        let (count, rest) = content.split_first_chunk()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (numbers, rest) = rest.split_at_checked(count * 2)?;
        let (scales, rest) = rest.split_at_checked(count * 4)?;
        let (errors, codes) = rest.split_at_checked(count * 4)?;
        (codes.len() == count * dimensions).then_some(Self {
            numbers: numbers.as_chunks().0,
            scales: scales.as_chunks().0,
            errors: errors.as_chunks().0,
            codes,
        })
    }
}

#[cfg(test)]
mod tests {
    use memory_core::cosine;
    use proptest::prelude::*;

    use super::*;

    fn vector(dimensions: usize) -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(-1.0f32..1.0, dimensions)
    }

    proptest! {
        #[test]
        fn a_cosine_is_within_the_error_of_its_approximation(
            (query, rows) in (1usize..80).prop_flat_map(|dimensions| {
                let row = prop::collection::vec(vector(dimensions), 1..4);
                (vector(dimensions), prop::collection::vec(row, 0..6))
            })
        ) {
            let quantized = QuantizedQuery::new(&query);
            let encoded: Vec<(u16, Vec<u8>)> = rows.iter().zip(3u16..).map(|(row, number)| {
                let mut bytes = Vec::new();
                vectors::encode(row, &mut bytes);
                (number, bytes)
            }).collect();
            let page = encode(&encoded, query.len()).unwrap();
            let mut compared = Vec::new();
            quantized.compare_page(&page, |_| true, |number, one| compared.push((number, one)))
                .unwrap();
            prop_assert_eq!(compared.len(), rows.len());
            for ((row, (_, bytes)), (number, one)) in rows.iter().zip(&encoded).zip(compared) {
                let exact = row.iter().map(|v| cosine(v, &query)).fold(f32::MIN, f32::max);
                prop_assert!((exact - one.similarity).abs() <= one.error, "{} {:?}", exact, one);
                prop_assert!(one.error < 0.05 * (1.0 + exact.abs()) * 8.0);
                prop_assert_eq!(one.chunks as usize, row.len());
                // Whether there is a page makes no difference.
                let of_row = quantized.compare_row(bytes).unwrap();
                prop_assert_eq!(of_row.similarity.to_bits(), one.similarity.to_bits());
                prop_assert_eq!(of_row.error.to_bits(), one.error.to_bits());
                prop_assert!((3..9).contains(&number));
            }
        }
    }

    #[test]
    fn long_vectors_do_not_overflow_and_zeros_are_zero() {
        let ones = vec![1.0; 4_096];
        let mut bytes = Vec::new();
        vectors::encode(std::slice::from_ref(&ones), &mut bytes);
        let compared = QuantizedQuery::new(&ones).compare_row(&bytes).unwrap();
        assert!((compared.similarity - 4_096.0).abs() <= compared.error);
        let zeros = QuantizedQuery::new(&[0.0; 8]);
        let mut bytes = Vec::new();
        vectors::encode(&[vec![0.0; 8]], &mut bytes);
        assert_eq!(zeros.compare_row(&bytes).unwrap().similarity, 0.0);
    }

    #[test]
    fn only_wanted_memories_are_compared_and_odd_pages_are_damaged() {
        let mut bytes = Vec::new();
        vectors::encode(&[vec![1.0, 0.0]], &mut bytes);
        let page = encode(&[(1, bytes.clone()), (2, bytes)], 2).unwrap();
        let query = QuantizedQuery::new(&[1.0, 0.0]);
        let mut compared = Vec::new();
        let each = |number, _| compared.push(number);
        query
            .compare_page(&page, |number| number == 2, each)
            .unwrap();
        assert_eq!(compared, [2]);
        for length in [0, 3, page.len() - 1] {
            let result = query.compare_page(&page[..length], |_| true, |_, _| {});
            assert!(matches!(result, Err(Failure::Damaged(_))), "{length}");
        }
    }
}
