//! Computation of vectors from tokens: rust-bert's BERT, pooling, normalization.

use std::panic::{AssertUnwindSafe, catch_unwind};

use memory_core::MemoryResult;
use memory_sentence_transformers::{Pooling, Tokens, error as folder_error};
use rust_bert::bert::BertForSentenceEmbeddings;
use tch::nn::VarStore;
use tch::{Device, Kind, TchError, Tensor};

use crate::checkpoint::Checkpoint;
use crate::error::{self, EMBED, OPEN};

/// The network with its weights, in fp32. It can move to another thread, and is used
/// by one at a time.
pub(crate) struct Network {
    transformer: BertForSentenceEmbeddings,
    pooling: Pooling,
    dimensions: usize,
    // The transformer's tensors share the store's memory, so it is dropped after
    // them.
    _store: VarStore,
}

impl Network {
    /// Creates the network and loads its weights, in about 0.5 s for the default
    /// model.
    ///
    /// # Errors
    /// `Corrupt` for weights that do not match the configuration or are not finite.
    pub(crate) fn open(checkpoint: &Checkpoint, pooling: Pooling) -> MemoryResult<Self> {
        let load = || {
            let mut store = VarStore::new(Device::Cpu);
            // The pooler is for sentence-pair classification. It is not used for
            // vectors, and some checkpoints have none.
            let transformer = BertForSentenceEmbeddings::new_with_optional_pooler(
                store.root(),
                &checkpoint.config,
                false,
            );
            store.load(&checkpoint.weights)?;
            // A half-precision checkpoint is computed in single precision.
            store.float();
            store.freeze();
            let mut damaged = None;
            for (name, tensor) in store.variables() {
                if !bool::try_from(tensor.f_isfinite()?.f_all()?)? {
                    damaged = Some(name);
                }
            }
            Ok::<_, TchError>((transformer, store, damaged))
        };
        let corrupt = |why: String| folder_error::corrupt(&checkpoint.weights, why);
        let loaded = guarded(OPEN, load)?.map_err(|error| corrupt(first_line(&error)))?;
        let (transformer, store, damaged) = loaded;
        if let Some(name) = damaged {
            return Err(corrupt(format!(
                "the tensor {name} contains a number that is not finite"
            )));
        }
        Ok(Self {
            transformer,
            pooling,
            dimensions: usize::try_from(checkpoint.config.hidden_size).unwrap_or(0),
            _store: store,
        })
    }

    /// The vectors of a batch of texts, in order. Shorter texts are padded, and the
    /// padding is masked in attention and pooling.
    pub(crate) fn embed(&self, batch: &[&Tokens]) -> MemoryResult<Vec<Vec<f32>>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let flat = guarded(EMBED, || tch::no_grad(|| self.forward(batch)))?;
        let flat = flat.map_err(|why| error::libtorch(EMBED, why))?;
        Ok(flat
            .chunks(self.dimensions.max(1))
            .map(<[f32]>::to_vec)
            .collect())
    }

    fn forward(&self, batch: &[&Tokens]) -> Result<Vec<f32>, String> {
        let input = Input::of(batch)?;
        let output = self.transformer.forward_t(
            Some(&input.ids),
            Some(&input.mask),
            Some(&input.type_ids),
            None,
            None,
            None,
            None,
            false,
        );
        let hidden = output.map_err(|error| error.to_string())?.hidden_state;
        let normal = self
            .pool(&hidden, &input.mask)
            .and_then(|pooled| normalize(&pooled));
        let flat = normal.and_then(|vectors| vectors.f_reshape([-1]));
        let flat = flat.and_then(Vec::<f32>::try_from);
        flat.map_err(|error| first_line(&error))
    }

    /// Pools the token vectors of each text, padding excluded.
    fn pool(&self, hidden: &Tensor, mask: &Tensor) -> Result<Tensor, TchError> {
        match self.pooling {
            Pooling::Cls => hidden.f_select(1, 0),
            Pooling::Mean => {
                let weights = mask.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?;
                let sum = hidden.f_mul(&weights)?.f_sum_dim_intlist(
                    [1i64].as_slice(),
                    false,
                    Kind::Float,
                )?;
                // Special tokens are always counted, so the divisor is never 0.
                sum.f_div(&weights.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?)
            }
        }
    }
}

/// The input of the transformer: three tensors with one row per text.
struct Input {
    ids: Tensor,
    type_ids: Tensor,
    /// 1 for a token, 0 for padding.
    mask: Tensor,
}

impl Input {
    fn of(batch: &[&Tokens]) -> Result<Self, String> {
        let longest = batch.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        let size = batch.len() * longest;
        let (mut ids, mut type_ids, mut mask) = (
            Vec::with_capacity(size),
            Vec::with_capacity(size),
            Vec::with_capacity(size),
        );
        for tokens in batch {
            ids.extend(tokens.ids.iter().copied().map(i64::from));
            type_ids.extend(tokens.type_ids.iter().copied().map(i64::from));
            mask.resize(mask.len() + tokens.len(), 1);
            for row in [&mut ids, &mut type_ids, &mut mask] {
                row.resize(row.len() + longest - tokens.len(), 0);
            }
        }
        let shape = [batch.len(), longest].map(|size| i64::try_from(size).unwrap_or(i64::MAX));
        let table = |row: Vec<i64>| {
            let table = Tensor::f_from_slice(&row).and_then(|row| row.f_reshape(shape));
            table.map_err(|error| first_line(&error))
        };
        Ok(Self {
            ids: table(ids)?,
            type_ids: table(type_ids)?,
            mask: table(mask)?,
        })
    }
}

/// Normalizes vectors to length 1.
fn normalize(vectors: &Tensor) -> Result<Tensor, TchError> {
    let lengths = vectors.f_norm_scalaropt_dim(2, [1i64].as_slice(), true)?;
    vectors.f_div(&lengths.f_clamp_min(1e-12)?)
}

/// Runs a function that calls libtorch. rust-bert panics on C++ exceptions in
/// functions without a result type; the panic becomes an error, and the thread
/// survives.
fn guarded<T>(operation: &'static str, run: impl FnOnce() -> T) -> MemoryResult<T> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|_| error::libtorch(operation, "a computation panicked"))
}

/// The message of libtorch, without its stack trace.
fn first_line(error: &TchError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
