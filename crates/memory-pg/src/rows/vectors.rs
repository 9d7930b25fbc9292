//! Encoding and decoding vectors in the two stored precisions.

use memory_core::InvalidInput;
use pgvector::{HalfVector, Vector};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::options::Precision;

/// Vectors for the columns `half` and `single`; exactly one of them is set per row.
#[derive(Default)]
pub(crate) struct VectorColumns {
    pub(crate) half: Vec<Option<HalfVector>>,
    pub(crate) single: Vec<Option<Vector>>,
}

impl VectorColumns {
    /// Adds a row's vector.
    ///
    /// # Errors
    /// If half precision cannot represent it: a component is beyond 65,504, or
    /// all of them round to 0. A normalized vector is never refused.
    pub(crate) fn push(
        &mut self,
        vector: &[f32],
        precision: Precision,
    ) -> Result<(), InvalidInput> {
        let (half, single) = match precision {
            Precision::Half => (Some(to_half(vector)?), None),
            Precision::Single => (None, Some(Vector::from(vector.to_vec()))),
        };
        self.half.push(half);
        self.single.push(single);
        Ok(())
    }
}

/// Converts a vector to half precision.
pub(crate) fn to_half(vector: &[f32]) -> Result<HalfVector, InvalidInput> {
    let half = HalfVector::from_f32_slice(vector);
    if let Some(index) = half.as_slice().iter().position(|x| !x.is_finite()) {
        return Err(InvalidInput::VectorNotFinite { index });
    }
    if half.as_slice().iter().all(|x| x.to_f32() == 0.0) {
        return Err(InvalidInput::VectorZero);
    }
    Ok(half)
}

/// Decodes the vectors of a memory: the columns `halves` and `singles` are arrays
/// in the order of the chunks, with a NULL where the other has the vector.
pub(crate) fn decode(row: &PgRow) -> Result<Vec<Vec<f32>>, sqlx::Error> {
    let halves: Option<Vec<Option<HalfVector>>> = row.try_get("halves")?;
    let singles: Option<Vec<Option<Vector>>> = row.try_get("singles")?;
    let pairs = halves
        .into_iter()
        .flatten()
        .zip(singles.into_iter().flatten());
    let vectors = pairs.filter_map(|pair| match pair {
        (Some(half), _) => Some(half.as_slice().iter().map(|x| x.to_f32()).collect()),
        (None, Some(single)) => Some(single.to_vec()),
        (None, None) => None,
    });
    Ok(vectors.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_beyond_half_precision_are_refused() {
        assert!(to_half(&[0.6, 0.8]).is_ok());
        let huge = to_half(&[0.0, 1e6]);
        assert_eq!(huge, Err(InvalidInput::VectorNotFinite { index: 1 }));
        assert_eq!(to_half(&[1e-9, 0.0]), Err(InvalidInput::VectorZero));
    }
}
