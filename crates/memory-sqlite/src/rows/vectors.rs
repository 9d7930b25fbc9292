//! Encoding of vectors: little-endian `f32`, one vector after the other.

use memory_core::cosine;

use crate::error::Failure;

/// Bytes of one component.
const COMPONENT_BYTES: usize = size_of::<f32>();

/// Appends the encoding of vectors.
pub(crate) fn encode(vectors: &[Vec<f32>], bytes: &mut Vec<u8>) {
    for component in vectors.iter().flatten() {
        bytes.extend_from_slice(&component.to_le_bytes());
    }
}

/// Decodes the vectors of one memory.
pub(crate) fn decode(bytes: &[u8], dimensions: usize) -> Result<Vec<Vec<f32>>, Failure> {
    split(bytes, dimensions)?
        .map(|bytes| {
            let mut vector = Vec::with_capacity(dimensions);
            vector.extend(components(bytes));
            Ok(vector)
        })
        .collect()
}

/// The best of a memory's vectors, and how many there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BestChunk {
    pub(crate) similarity: f32,
    pub(crate) chunks: u32,
}

/// The highest cosine between `query` and the vectors in `bytes`, all of the
/// query's length; `buffer` is reused between calls.
pub(crate) fn best_chunk(
    bytes: &[u8],
    query: &[f32],
    buffer: &mut Vec<f32>,
) -> Result<BestChunk, Failure> {
    let (mut similarity, mut chunks) = (f32::NEG_INFINITY, 0);
    for bytes in split(bytes, query.len())? {
        buffer.clear();
        buffer.extend(components(bytes));
        similarity = similarity.max(cosine(buffer, query));
        chunks += 1;
    }
    Ok(BestChunk { similarity, chunks })
}

/// The bytes of each of a memory's vectors.
pub(crate) fn split(
    bytes: &[u8],
    dimensions: usize,
) -> Result<impl Iterator<Item = &[u8]>, Failure> {
    let length = dimensions * COMPONENT_BYTES;
    if length == 0 || bytes.is_empty() || !bytes.len().is_multiple_of(length) {
        return Err(Failure::Damaged("a stored embedding has an invalid length"));
    }
    Ok(bytes.chunks_exact(length))
}

/// The components of a vector.
pub(crate) fn components(bytes: &[u8]) -> impl Iterator<Item = f32> + Clone + '_ {
    let (components, _) = bytes.as_chunks::<COMPONENT_BYTES>();
    components.iter().copied().map(f32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn encoding_and_decoding_keeps_every_bit(
            vectors in (1usize..40).prop_flat_map(|dimensions| {
                let vector = prop::collection::vec(prop::num::f32::ANY, dimensions);
                prop::collection::vec(vector, 1..5)
            })
        ) {
            let mut bytes = Vec::new();
            encode(&vectors, &mut bytes);
            let decoded = decode(&bytes, vectors[0].len()).unwrap();
            let bits = |vectors: &[Vec<f32>]| -> Vec<u32> {
                vectors.iter().flatten().map(|x| x.to_bits()).collect()
            };
            prop_assert_eq!(bits(&decoded), bits(&vectors));
        }
    }

    #[test]
    fn an_invalid_length_is_damage() {
        for (bytes, dimensions) in [(7, 1), (0, 1), (12, 2), (4, 0)] {
            let result = decode(&vec![0; bytes], dimensions);
            assert!(
                matches!(result, Err(Failure::Damaged(_))),
                "{bytes} {dimensions}"
            );
        }
    }

    #[test]
    fn the_highest_cosine_of_several_chunks_is_returned() {
        let mut bytes = Vec::new();
        encode(
            &[vec![0.0, 1.0], vec![0.6, 0.8], vec![-1.0, 0.0]],
            &mut bytes,
        );
        let best = best_chunk(&bytes, &[1.0, 0.0], &mut Vec::new()).unwrap();
        assert_eq!((best.similarity, best.chunks), (0.6, 3));
    }
}
