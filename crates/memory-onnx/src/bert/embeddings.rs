//! Token embeddings: the normalized sum of word, position and segment embeddings.

use memory_core::MemoryResult;
use memory_sentence_transformers::Tokens;

use super::Architecture;
use super::weight_names;
use crate::checkpoint::Checkpoint;
use crate::error::{self, EMBED};

/// The embedding tables. All sessions share them, because they are half of a small
/// model's weights.
#[derive(Debug)]
pub(crate) struct Embeddings {
    hidden: usize,
    words: Vec<f32>,
    positions: Vec<f32>,
    types: Vec<f32>,
    norm: LayerNorm,
}

impl Embeddings {
    /// Reads the tables of a checkpoint.
    pub(crate) fn read(
        checkpoint: &mut Checkpoint,
        architecture: &Architecture,
    ) -> MemoryResult<Self> {
        let hidden = architecture.hidden;
        let prefix = weight_names::prefix(checkpoint);
        let mut read = |name: &str, shape: &[usize]| {
            checkpoint.tensor(&format!("{prefix}embeddings.{name}"), shape)
        };
        Ok(Self {
            hidden,
            words: read("word_embeddings.weight", &[architecture.vocabulary, hidden])?,
            positions: read(
                "position_embeddings.weight",
                &[architecture.positions, hidden],
            )?,
            types: read(
                "token_type_embeddings.weight",
                &[architecture.types, hidden],
            )?,
            norm: LayerNorm {
                weight: read("LayerNorm.weight", &[hidden])?,
                bias: read("LayerNorm.bias", &[hidden])?,
                epsilon: architecture.epsilon,
            },
        })
    }

    /// The dimensions of a token's vector.
    pub(crate) const fn hidden(&self) -> usize {
        self.hidden
    }

    /// Writes the vectors of a text's tokens to `target`, which has space for them.
    ///
    /// # Errors
    /// If a token is not in the checkpoint's table.
    pub(crate) fn embed(&self, tokens: &Tokens, target: &mut [f32]) -> MemoryResult<()> {
        let targets = target
            .chunks_exact_mut(self.hidden)
            .zip(self.positions.chunks_exact(self.hidden));
        let tokens = tokens.ids.iter().zip(&tokens.type_ids);
        for ((id, type_id), (vector, position)) in tokens.zip(targets) {
            let word = self.row(&self.words, *id)?;
            let kind = self.row(&self.types, *type_id)?;
            for (((x, word), position), kind) in vector.iter_mut().zip(word).zip(position).zip(kind)
            {
                *x = word + position + kind;
            }
            self.norm.apply(vector);
        }
        Ok(())
    }

    fn row<'a>(&self, table: &'a [f32], row: u32) -> MemoryResult<&'a [f32]> {
        let start = usize::try_from(row)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.hidden);
        table
            .get(start..start.saturating_add(self.hidden))
            .ok_or_else(|| {
                let rows = table.len() / self.hidden;
                let what = format!(
                    "the tokenizer returned token {row}; the model's table has {rows} rows"
                );
                error::failed(EMBED, what)
            })
    }
}

/// Layer normalization (Ba, Kiros and Hinton, *Layer Normalization*, 2016):
/// `(x - mean) / sqrt(variance + epsilon) · weight + bias`.
#[derive(Debug)]
struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl LayerNorm {
    #[expect(clippy::cast_precision_loss, reason = "some hundreds of components")]
    fn apply(&self, vector: &mut [f32]) {
        let count = vector.len() as f32;
        let mean = sum(vector, |x| x) / count;
        let variance = sum(vector, |x| (x - mean) * (x - mean)) / count;
        let scale = 1.0 / (variance + self.epsilon).sqrt();
        for ((x, weight), bias) in vector.iter_mut().zip(&self.weight).zip(&self.bias) {
            *x = (*x - mean) * scale * weight + bias;
        }
    }
}

/// The sum of `term` over `values`, with several accumulators so that it can be
/// vectorized.
fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for part in whole {
        for (sum, x) in sums.iter_mut().zip(part) {
            *sum += term(*x);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|x| term(*x)).sum::<f32>()
}
