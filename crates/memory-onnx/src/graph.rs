//! The model's graph in a session of ONNX Runtime: tokens in, vectors out.

mod exported;
mod pooling;

use std::borrow::Cow;
use std::sync::Arc;

use memory_core::MemoryResult;
use memory_sentence_transformers::{Pooling, Tokens};
use ort::environment::Environment;
use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;

use crate::bert::{self, Embeddings, Network};
use crate::checkpoint::Checkpoint;
use crate::error::{self, EMBED, OPEN};
use crate::model::{Model, Source};
use crate::pool;
use exported::Input;

/// A session and what is to be asked of it.
#[derive(Debug)]
pub(crate) struct Graph {
    session: Session,
    feed: Feed,
    /// The name of the output that holds a vector for each token.
    output: Cow<'static, str>,
    pooling: Pooling,
    dimensions: usize,
}

/// What the session is fed with.
#[derive(Debug)]
enum Feed {
    /// Numbers of tokens: an exported graph looks its embeddings up itself.
    Tokens(Vec<Input>),
    /// Embedded tokens.
    Embedded(Arc<Embeddings>),
}

/// What the sessions of a model have in common and hold once.
#[derive(Debug, Clone)]
pub(crate) enum Shared {
    Nothing,
    Embeddings(Arc<Embeddings>),
}

impl Shared {
    /// Reads what the model's sessions have in common.
    pub(crate) fn read(model: &Model) -> MemoryResult<Self> {
        match &model.source {
            Source::Graph(_) => Ok(Self::Nothing),
            Source::Checkpoint {
                file, architecture, ..
            } => {
                let embeddings = Embeddings::read(&mut Checkpoint::open(file)?, architecture)?;
                Ok(Self::Embeddings(Arc::new(embeddings)))
            }
        }
    }
}

/// A session's inputs by name.
type Inputs = Vec<(Cow<'static, str>, SessionInputValue<'static>)>;

impl Graph {
    /// Loads a model into a session whose batches are computed by `threads`
    /// threads. Takes about 0.2 s.
    ///
    /// # Errors
    /// `Corrupt` for weights that do not load, `Unsupported` for a graph with
    /// other inputs or outputs.
    pub(crate) fn open(
        environment: &Environment,
        model: &Model,
        shared: &Shared,
        threads: usize,
    ) -> MemoryResult<Self> {
        let mut builder = builder(environment, threads).map_err(|error| {
            error::failed(OPEN, format!("no session could be made: {error}")).with_source(error)
        })?;
        let (session, feed, output) = match (&model.source, shared) {
            (
                Source::Checkpoint {
                    file,
                    architecture,
                    precision,
                },
                Shared::Embeddings(embeddings),
            ) => {
                let mut checkpoint = Checkpoint::open(file)?;
                let network = Network::new(&mut checkpoint, architecture, *precision)?;
                let feed = Feed::Embedded(Arc::clone(embeddings));
                (network.session(&builder)?, feed, bert::OUTPUT.into())
            }
            (Source::Graph(file) | Source::Checkpoint { file, .. }, _) => {
                let session = exported::load(&mut builder, file)?;
                let feed = Feed::Tokens(exported::inputs(file, session.inputs())?);
                let output = exported::output(file, session.outputs())?;
                (session, feed, output.into())
            }
        };
        Ok(Self {
            session,
            feed,
            output,
            pooling: model.folder.pooling,
            dimensions: model.profile.dimensions,
        })
    }

    /// The L2-normalized vectors of a batch, one for each text. What is wrong
    /// with one text does not harm the others.
    ///
    /// # Errors
    /// When the whole batch came to nothing.
    pub(crate) fn run(&mut self, batch: &[&Tokens]) -> MemoryResult<Vec<MemoryResult<Vec<f32>>>> {
        let longest = batch.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        let failed = |error: ort::Error| {
            error::failed(EMBED, format!("the graph did not run: {error}")).with_source(error)
        };
        let mut unknown: Vec<MemoryResult<()>> = Vec::new();
        let (length, inputs) = match &self.feed {
            // It may have no positions for padding.
            Feed::Tokens(asked) => (longest, exported::feed(asked, batch, longest)),
            Feed::Embedded(embeddings) => {
                let length = pool::padded(longest);
                (length, embedded(embeddings, batch, length, &mut unknown))
            }
        };
        let outputs = self.session.run(inputs.map_err(failed)?).map_err(failed)?;
        let Some(output) = outputs.get(&*self.output) else {
            return Err(error::failed(EMBED, "the graph gave no token vectors"));
        };
        let (shape, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        let expected = [batch.len(), length, self.dimensions];
        if !shape
            .iter()
            .copied()
            .eq(expected.map(|n| i64::try_from(n).unwrap_or(i64::MAX)))
        {
            let message = format!("the graph gave a tensor of {shape:?} instead of {expected:?}");
            return Err(error::failed(EMBED, message));
        }
        let mut unknown = unknown.into_iter();
        let vectors = values
            .chunks_exact(length * self.dimensions)
            .zip(batch)
            .map(|(text, tokens)| {
                unknown.next().unwrap_or(Ok(()))?;
                let real = &text[..tokens.len() * self.dimensions];
                pooling::pool(self.pooling, real, self.dimensions)
            })
            .collect();
        Ok(vectors)
    }
}

/// The inputs of a network that is built here: embedded tokens, each row
/// padded to `length` with zeros, and the rows' lengths. Notes for each text
/// whether all its tokens are known.
fn embedded(
    embeddings: &Embeddings,
    batch: &[&Tokens],
    length: usize,
    unknown: &mut Vec<MemoryResult<()>>,
) -> Result<Inputs, ort::Error> {
    let width = embeddings.hidden();
    let mut rows = vec![0.0; batch.len() * length * width];
    for (row, tokens) in rows.chunks_exact_mut(length * width).zip(batch) {
        unknown.push(embeddings.embed(tokens, row));
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

fn builder(environment: &Environment, threads: usize) -> Result<SessionBuilder, ort::Error> {
    /// The key of ONNX Runtime that ends spinning with the call.
    const STOP_SPINNING: &str = "session.force_spinning_stop";
    Ok(Session::builder(environment)?
        .with_intra_threads(threads)?
        // A graph is some dozens of operators of tens of microseconds: to be
        // woken for each would take longer than many of them. Threads that
        // went on between calls would take cores from the program whose memory
        // this is.
        .with_intra_op_spinning(true)?
        .with_config_entry(STOP_SPINNING, "1")?
        // What it makes of an addition and a normalization takes longer than
        // both.
        .with_disabled_optimizers("SkipLayerNormFusion")?
        // A plan of memory is kept for every shape ever seen, and each batch
        // is a new shape.
        .with_memory_pattern(false)?)
}
