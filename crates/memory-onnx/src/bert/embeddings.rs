//! Token embeddings: the normalized sum of word, position and segment embeddings.

use half::f16;
use half::slice::HalfFloatSliceExt as _;
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
    words: Table,
    /// From the first token's position.
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
        let words = Table::read(
            checkpoint,
            &format!("{prefix}embeddings.word_embeddings.weight"),
            [architecture.vocabulary, hidden],
        )?;
        let mut read = |name: &str, shape: &[usize]| {
            checkpoint.tensor(&format!("{prefix}embeddings.{name}"), shape)
        };
        Ok(Self {
            hidden,
            words,
            positions: {
                let shape = [architecture.positions, hidden];
                let mut rows = read("position_embeddings.weight", &shape)?;
                rows.drain(..architecture.first_position * hidden);
                rows
            },
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
            self.words.copy_row(*id, vector)?;
            let kind = row(&self.types, *type_id, self.hidden)?;
            for ((x, position), kind) in vector.iter_mut().zip(position).zip(kind) {
                *x = *x + position + kind;
            }
            self.norm.apply(vector);
        }
        Ok(())
    }
}

/// The word embeddings, in 16 bits if the checkpoint has them so: a multilingual
/// vocabulary has 250,000 rows, hundreds of megabytes.
#[derive(Debug)]
enum Table {
    Full(Vec<f32>),
    Half(Vec<f16>),
}

impl Table {
    fn read(checkpoint: &mut Checkpoint, name: &str, shape: [usize; 2]) -> MemoryResult<Self> {
        if checkpoint.is_half(name) {
            checkpoint.half_tensor(name, &shape).map(Self::Half)
        } else {
            checkpoint.tensor(name, &shape).map(Self::Full)
        }
    }

    /// Copies a row to `target`, which has its length.
    fn copy_row(&self, number: u32, target: &mut [f32]) -> MemoryResult<()> {
        match self {
            Self::Full(table) => target.copy_from_slice(row(table, number, target.len())?),
            Self::Half(table) => row(table, number, target.len())?.convert_to_f32_slice(target),
        }
        Ok(())
    }
}

fn row<T>(table: &[T], row: u32, width: usize) -> MemoryResult<&[T]> {
    let start = usize::try_from(row)
        .unwrap_or(usize::MAX)
        .saturating_mul(width);
    table
        .get(start..start.saturating_add(width))
        .ok_or_else(|| {
            let rows = table.len() / width;
            let what =
                format!("the tokenizer returned token {row}; the model's table has {rows} rows");
            error::failed(EMBED, what)
        })
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
