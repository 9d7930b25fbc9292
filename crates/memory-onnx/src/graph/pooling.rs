//! From the vectors of a text's tokens to the text's one vector.

use memory_core::MemoryResult;
use memory_sentence_transformers::Pooling;

use crate::error::{self, EMBED};

/// One L2-normalized vector from those of a text's tokens, padding left out.
pub(super) fn pool(pooling: Pooling, tokens: &[f32], dimensions: usize) -> MemoryResult<Vec<f32>> {
    let mut vector = vec![0.0; dimensions];
    match pooling {
        // The mean is not divided by the number of tokens: normalization
        // would undo it.
        Pooling::Mean => {
            for token in tokens.chunks_exact(dimensions) {
                vector.iter_mut().zip(token).for_each(|(sum, x)| *sum += x);
            }
        }
        Pooling::Cls => vector.copy_from_slice(&tokens[..dimensions]),
    }
    memory_core::normalize(&mut vector).map_err(|problem| {
        error::failed(EMBED, format!("the model gave no direction: {problem}"))
    })?;
    Ok(vector)
}
