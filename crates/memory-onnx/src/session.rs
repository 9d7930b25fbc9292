//! A session of ONNX Runtime that computes vectors from tokens.

pub(crate) mod exported;

use std::borrow::Cow;
use std::sync::Arc;

use memory_core::MemoryResult;
use memory_sentence_transformers::{Pooling, Tokens};
use ort::environment::Environment;
use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;

use crate::batcher;
use crate::bert::{self, Embeddings, Network};
use crate::checkpoint::Checkpoint;
use crate::error::{self, EMBED, OPEN};
use crate::model::{Model, Weights};
use exported::GraphInput;

/// A session with the model's inputs, output and pooling.
#[derive(Debug)]
pub(crate) struct ModelSession {
    session: Session,
    input: SessionInput,
    /// The name of the output with a vector per token.
    output: Cow<'static, str>,
    pooling: Pooling,
    dimensions: usize,
}

/// The kind of input that the session takes.
#[derive(Debug)]
enum SessionInput {
    /// Token ids: an exported graph contains the embedding tables.
    Tokens(Vec<GraphInput>),
    /// Token embeddings, which are looked up here.
    Embedded(Arc<Embeddings>),
}

/// The embedding tables that all sessions of a model share.
#[derive(Debug, Clone)]
pub(crate) enum SharedEmbeddings {
    /// An exported graph contains its own tables.
    None,
    Tables(Arc<Embeddings>),
}

impl SharedEmbeddings {
    /// Reads the tables of a checkpoint.
    pub(crate) fn read(model: &Model) -> MemoryResult<Self> {
        match &model.weights {
            Weights::Graph(_) => Ok(Self::None),
            Weights::Checkpoint {
                files,
                architecture,
                ..
            } => {
                let embeddings = Embeddings::read(&mut Checkpoint::open(files)?, architecture)?;
                Ok(Self::Tables(Arc::new(embeddings)))
            }
        }
    }
}

/// The values of a session's inputs by name.
pub(crate) type Inputs = Vec<(Cow<'static, str>, SessionInputValue<'static>)>;

impl ModelSession {
    /// Loads a model into a session that computes each batch with `threads`
    /// threads. Takes about 0.2 s.
    ///
    /// # Errors
    /// `Corrupt` for weights that cannot be loaded, `Unsupported` for a graph with
    /// unknown inputs or outputs.
    pub(crate) fn open(
        environment: &Environment,
        model: &Model,
        shared: &SharedEmbeddings,
        threads: usize,
    ) -> MemoryResult<Self> {
        let mut builder = session_builder(environment, threads).map_err(|error| {
            error::failed(
                OPEN,
                format!("cannot create an ONNX Runtime session: {error}"),
            )
            .with_source(error)
        })?;
        let (session, input, output) = match (&model.weights, shared) {
            (
                Weights::Checkpoint {
                    files,
                    architecture,
                    precision,
                },
                SharedEmbeddings::Tables(embeddings),
            ) => {
                let mut checkpoint = Checkpoint::open(files)?;
                let network = Network::new(&mut checkpoint, architecture, *precision)?;
                let input = SessionInput::Embedded(Arc::clone(embeddings));
                (network.session(&builder)?, input, bert::OUTPUT.into())
            }
            (Weights::Checkpoint { .. }, SharedEmbeddings::None) => {
                let what = "the embedding tables of the checkpoint were not read";
                return Err(error::failed(OPEN, what));
            }
            (Weights::Graph(file), _) => {
                let session = exported::load(&mut builder, file)?;
                let input = SessionInput::Tokens(exported::graph_inputs(file, session.inputs())?);
                let output = exported::output_name(file, session.outputs())?;
                (session, input, output.into())
            }
        };
        Ok(Self {
            session,
            input,
            output,
            pooling: model.folder.pooling,
            dimensions: model.profile.dimensions,
        })
    }

    /// The L2-normalized vectors of a batch, one result per text. An error in one
    /// text does not affect the others.
    ///
    /// # Errors
    /// If the whole batch failed.
    pub(crate) fn run(&mut self, batch: &[&Tokens]) -> MemoryResult<Vec<MemoryResult<Vec<f32>>>> {
        let longest = batch.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        let failed = |error: ort::Error| {
            error::failed(
                EMBED,
                format!("ONNX Runtime could not compute a batch: {error}"),
            )
            .with_source(error)
        };
        let mut lookups: Vec<MemoryResult<()>> = Vec::new();
        let (length, inputs) = match &self.input {
            // The graph may have no positions for padding.
            SessionInput::Tokens(asked) => (longest, exported::inputs_of(asked, batch, longest)),
            SessionInput::Embedded(embeddings) => {
                let length = batcher::padded(longest);
                (
                    length,
                    embedding_inputs(embeddings, batch, length, &mut lookups),
                )
            }
        };
        let outputs = self.session.run(inputs.map_err(failed)?).map_err(failed)?;
        let Some(output) = outputs.get(&*self.output) else {
            return Err(error::failed(
                EMBED,
                "the graph has no output with token vectors",
            ));
        };
        let (shape, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        let expected = [batch.len(), length, self.dimensions];
        if !shape
            .iter()
            .copied()
            .eq(expected.map(|n| i64::try_from(n).unwrap_or(i64::MAX)))
        {
            let message = format!(
                "the graph returned a tensor of shape {shape:?}; {expected:?} was expected"
            );
            return Err(error::failed(EMBED, message));
        }
        let mut lookups = lookups.into_iter();
        let vectors = values
            .chunks_exact(length * self.dimensions)
            .zip(batch)
            .map(|(text, tokens)| {
                lookups.next().unwrap_or(Ok(()))?;
                let real = &text[..tokens.len() * self.dimensions];
                pool(self.pooling, real, self.dimensions)
            })
            .collect();
        Ok(vectors)
    }
}

/// The inputs of a network built from a checkpoint: token embeddings, each row
/// padded to `length` with zeros, and the lengths of the rows. `lookups` receives
/// for each text whether all its tokens are in the tables.
fn embedding_inputs(
    embeddings: &Embeddings,
    batch: &[&Tokens],
    length: usize,
    lookups: &mut Vec<MemoryResult<()>>,
) -> Result<Inputs, ort::Error> {
    let width = embeddings.hidden();
    let mut rows = vec![0.0; batch.len() * length * width];
    for (row, tokens) in rows.chunks_exact_mut(length * width).zip(batch) {
        lookups.push(embeddings.embed(tokens, row));
    }
    let lengths: Vec<i32> = batch
        .iter()
        .map(|tokens| i32::try_from(tokens.len()).unwrap_or(i32::MAX))
        .collect();
    let hidden = Tensor::from_array(([batch.len(), length, width], rows))?;
    let lengths = Tensor::from_array(([batch.len()], lengths))?;
    Ok(vec![
        (bert::HIDDEN.into(), hidden.into()),
        (bert::LENGTHS.into(), lengths.into()),
    ])
}

/// Pools a text's token vectors, padding excluded, to one L2-normalized vector.
fn pool(pooling: Pooling, tokens: &[f32], dimensions: usize) -> MemoryResult<Vec<f32>> {
    let mut vector = vec![0.0; dimensions];
    match pooling {
        // The sum is not divided by the number of tokens, because normalization
        // would undo it.
        Pooling::Mean => {
            for token in tokens.chunks_exact(dimensions) {
                vector.iter_mut().zip(token).for_each(|(sum, x)| *sum += x);
            }
        }
        Pooling::Cls => vector.copy_from_slice(&tokens[..dimensions]),
    }
    memory_core::normalize(&mut vector).map_err(|problem| {
        error::failed(
            EMBED,
            format!("the model returned an unusable vector: {problem}"),
        )
    })?;
    Ok(vector)
}

pub(crate) fn session_builder(
    environment: &Environment,
    threads: usize,
) -> Result<SessionBuilder, ort::Error> {
    /// The configuration key of ONNX Runtime that stops spinning after a call.
    const STOP_SPINNING: &str = "session.force_spinning_stop";
    Ok(Session::builder(environment)?
        .with_intra_threads(threads)?
        // A graph has some dozens of operators of tens of microseconds each, and
        // waking a thread takes longer than many of them. Spinning stops after
        // each call, because it would take cores from the application.
        .with_intra_op_spinning(true)?
        .with_config_entry(STOP_SPINNING, "1")?
        // The fused operator takes longer than an addition and a normalization.
        .with_disabled_optimizers("SkipLayerNormFusion")?
        // A memory pattern is kept for every shape, and batches have many shapes.
        .with_memory_pattern(false)?)
}
