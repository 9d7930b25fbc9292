//! Embeddings and the arithmetic on vectors.

use crate::embedder::Fingerprint;
use crate::error::{InvalidInput, MemoryResult};
use crate::limits;
use crate::store::DenseQuery;

/// The embedding of one memory: one vector per chunk of its content, all made
/// by the same model in the same way.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// What made the vectors; only equal fingerprints may be compared.
    pub fingerprint: Fingerprint,
    /// One L2-normalized vector per chunk, in the order of the text; at least one.
    pub vectors: Vec<Vec<f32>>,
}

impl Embedding {
    /// Vectors that a model of this fingerprint made.
    pub fn new(fingerprint: impl Into<Fingerprint>, vectors: Vec<Vec<f32>>) -> Self {
        Self {
            fingerprint: fingerprint.into(),
            vectors,
        }
    }

    /// Checks that there is at least one vector and that all are of one
    /// length, at most `max_dimensions`, finite and not zero.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] naming what is wrong.
    pub fn validate(&self, max_dimensions: usize) -> MemoryResult<()> {
        let first = self.vectors.first().ok_or(InvalidInput::NoVector)?;
        let dimensions = first.len().max(1).min(max_dimensions);
        for vector in &self.vectors {
            limits::check_vector(vector, dimensions)?;
        }
        Ok(())
    }

    /// The best cosine between `query` and one of the vectors; `None` where the
    /// fingerprints differ or no vector has the query's length.
    #[must_use]
    pub fn similarity(&self, query: &DenseQuery) -> Option<f32> {
        self.best_chunk(query).map(|(similarity, _)| similarity)
    }

    /// The best cosine between `query` and one of the vectors, and the number of
    /// vectors that it was compared with; `None` where the fingerprints differ or
    /// no vector has the query's length.
    #[must_use]
    pub fn best_chunk(&self, query: &DenseQuery) -> Option<(f32, u32)> {
        if self.fingerprint != query.fingerprint {
            return None;
        }
        let vectors = self.vectors.iter();
        let comparable = vectors.filter(|vector| vector.len() == query.vector.len());
        let cosines = comparable.map(|vector| (cosine(vector, &query.vector), 1));
        cosines.reduce(|(a, n), (b, m)| (f32::max(a, b), n + m))
    }

    /// Components of each vector.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.vectors.first().map_or(0, Vec::len)
    }
}

/// Scales `vector` to length 1.
///
/// # Errors
/// [`InvalidInput::VectorNotFinite`] or [`InvalidInput::VectorZero`] when it
/// has no direction; the vector is then unchanged.
pub fn normalize(vector: &mut [f32]) -> Result<(), InvalidInput> {
    limits::check_vector(vector, vector.len())?;
    let norm = vector
        .iter()
        .map(|x| f64::from(*x) * f64::from(*x))
        .sum::<f64>()
        .sqrt();
    for x in vector {
        #[expect(clippy::cast_possible_truncation, reason = "a quotient of at most 1")]
        {
            *x = (f64::from(*x) / norm) as f32;
        }
    }
    Ok(())
}

/// The cosine of two L2-normalized vectors: their dot product.
///
/// Sixteen running sums let the compiler use vector instructions; the order of
/// additions is fixed, so equal inputs give equal results everywhere. Over
/// unequal lengths the shorter decides.
#[must_use]
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normalised_vector_has_length_1_and_cosine_1_with_itself() {
        let mut vector: Vec<f32> = (1..=37u8).map(f32::from).collect();
        normalize(&mut vector).unwrap();
        assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-6);
        let mut huge = vec![3e38f32, 3e38];
        normalize(&mut huge).unwrap();
        assert!((huge[0] - 0.5f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn an_embedding_without_vectors_or_with_odd_ones_is_refused() {
        let embedding = |vectors| Embedding {
            fingerprint: "test".into(),
            vectors,
        };
        assert!(embedding(vec![]).validate(8).is_err());
        assert!(embedding(vec![vec![]]).validate(8).is_err());
        assert!(embedding(vec![vec![]]).validate(0).is_err());
        assert!(embedding(vec![vec![1.0]]).validate(0).is_err());
        assert!(
            embedding(vec![vec![1.0], vec![1.0, 0.0]])
                .validate(8)
                .is_err()
        );
        assert!(embedding(vec![vec![f32::INFINITY]]).validate(8).is_err());
        assert!(
            embedding(vec![vec![1.0, 0.0], vec![0.0, 1.0]])
                .validate(8)
                .is_ok()
        );
    }
}
