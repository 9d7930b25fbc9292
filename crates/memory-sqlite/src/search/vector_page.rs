//! Pages of vectors: 8 bits a component (`memory_core::quantized`), with the error that
//! they make.
//!
//! A page has the count of its vectors, then for each vector the number of its
//! memory (16 bits), its scale and its error (`f32`), then the codes of all. Little
//! endian. Several vectors of one memory are next to each other.

use memory_core::quantized::{self, Quantization};

use crate::error::Failure;
use crate::rows::vectors;

/// Encodes the vectors of memories, by their numbers within the page.
pub(crate) fn encode(rows: &[(u16, Vec<u8>)], dimensions: usize) -> Result<Vec<u8>, Failure> {
    let (mut numbers, mut scales, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    let (mut codes, mut count) = (Vec::new(), 0u32);
    for (number, bytes) in rows {
        for vector in vectors::split(bytes, dimensions)? {
            let row: Vec<f32> = vectors::components(vector).collect();
            let Quantization { scale, error } = quantized::quantize(&row, &mut codes);
            count += 1;
            numbers.extend(number.to_le_bytes());
            scales.extend(scale.to_le_bytes());
            errors.extend(error.to_le_bytes());
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
pub(crate) struct QuantizedQuery(quantized::QuantizedQuery);

impl QuantizedQuery {
    pub(crate) fn new(vector: &[f32]) -> Self {
        Self(quantized::QuantizedQuery::new(vector))
    }

    /// Compares a memory's vectors, as the page with them would.
    pub(crate) fn compare_row(&self, bytes: &[u8]) -> Result<Approximation, Failure> {
        let dimensions = self.0.dimensions();
        let compared = vectors::split(bytes, dimensions)?.map(|vector| {
            let row: Vec<f32> = vectors::components(vector).collect();
            let (mut codes, mut dot) = (Vec::with_capacity(dimensions), [0.0]);
            let row = quantized::quantize(&row, &mut codes);
            self.0.dots(&codes, &[row.scale], &mut dot);
            self.approximation(dot[0], row)
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
        let page = Page::decode(content, self.0.dimensions()).ok_or(DAMAGED)?;
        let scales: Vec<f32> = page
            .scales
            .iter()
            .copied()
            .map(f32::from_le_bytes)
            .collect();
        let mut dots = vec![0.0; scales.len()];
        self.0.dots(page.codes, &scales, &mut dots);
        let mut last: Option<(u16, Approximation)> = None;
        for (index, number) in page.numbers.iter().enumerate() {
            let number = u16::from_le_bytes(*number);
            if !is_wanted(number) {
                continue;
            }
            let (scale, error) = (scales[index], f32::from_le_bytes(page.errors[index]));
            let one = self.approximation(dots[index], Quantization { scale, error });
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

    fn approximation(&self, similarity: f32, row: Quantization) -> Approximation {
        let length = row.max_length(self.0.dimensions());
        Approximation {
            similarity,
            error: self.0.max_error(length, row.error),
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
