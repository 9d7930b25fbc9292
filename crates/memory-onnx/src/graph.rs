//! The model's graph in a session of ONNX Runtime: tokens in, vectors out.

use std::borrow::Cow;
use std::path::Path;

use memory_core::MemoryResult;
use ort::ErrorCode;
use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, Tensor, TensorElementType};

use crate::error::{self, EMBED};
use crate::model::{Model, Pooling};
use crate::tokenize::Tokens;

/// A session and what is to be asked of it.
#[derive(Debug)]
pub(crate) struct Graph {
    session: Session,
    inputs: Vec<Input>,
    /// The name of the output that holds a vector for each token.
    output: String,
    pooling: Pooling,
    dimensions: usize,
}

/// What a graph may ask for.
#[derive(Debug, Clone, Copy)]
enum Input {
    Ids,
    Mask,
    TypeIds,
}

impl Input {
    const ALL: [Self; 3] = [Self::Ids, Self::Mask, Self::TypeIds];

    const fn name(self) -> &'static str {
        match self {
            Self::Ids => "input_ids",
            Self::Mask => "attention_mask",
            Self::TypeIds => "token_type_ids",
        }
    }

    /// The rows of a batch, each padded to `length` with zeros: with the mask
    /// at zero the graph takes no notice of what else stands there.
    fn fill(self, batch: &[&Tokens], length: usize) -> Vec<i64> {
        let mut rows = vec![0; batch.len() * length];
        for (row, tokens) in rows.chunks_exact_mut(length).zip(batch) {
            let ones = std::iter::repeat_n(&1, tokens.len());
            match self {
                Self::Ids => copy(row, tokens.ids.iter()),
                Self::Mask => copy(row, ones),
                Self::TypeIds => copy(row, tokens.type_ids.iter()),
            }
        }
        rows
    }
}

impl Graph {
    /// Loads a model's graph into a session whose batches are computed by
    /// `threads` threads. Takes about 0.2 s.
    ///
    /// # Errors
    /// `Corrupt` for a graph that does not load, `Unsupported` for one with
    /// other inputs or outputs.
    pub(crate) fn open(
        environment: &Environment,
        model: &Model,
        threads: usize,
    ) -> MemoryResult<Self> {
        let session = session(environment, &model.graph, threads)
            .map_err(|error| does_not_load(&model.graph, error))?;
        let inputs = inputs(&model.graph, session.inputs())?;
        let output = output(&model.graph, session.outputs())?;
        Ok(Self {
            session,
            inputs,
            output,
            pooling: model.pooling,
            dimensions: model.profile.dimensions,
        })
    }

    /// The L2-normalised vectors of a batch, one for each text.
    pub(crate) fn run(&mut self, batch: &[&Tokens]) -> MemoryResult<Vec<Vec<f32>>> {
        let length = batch.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        let failed = |error: ort::Error| {
            error::failed(EMBED, format!("the graph did not run: {error}")).with_source(error)
        };
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
        for input in &self.inputs {
            let rows = input.fill(batch, length);
            let tensor = Tensor::from_array(([batch.len(), length], rows)).map_err(failed)?;
            inputs.push((input.name().into(), tensor.into()));
        }
        let outputs = self.session.run(inputs).map_err(failed)?;
        let Some(output) = outputs.get(&self.output) else {
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
        values
            .chunks_exact(length * self.dimensions)
            .zip(batch)
            .map(|(text, tokens)| {
                let real = &text[..tokens.len() * self.dimensions];
                pool(self.pooling, real, self.dimensions)
            })
            .collect()
    }
}

/// One normalised vector from those of a text's tokens, padding left out.
fn pool(pooling: Pooling, tokens: &[f32], dimensions: usize) -> MemoryResult<Vec<f32>> {
    let mut vector = vec![0.0; dimensions];
    match pooling {
        // The mean is not divided by the number of tokens: normalisation
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

fn copy<'a>(row: &mut [i64], values: impl Iterator<Item = &'a u32>) {
    for (cell, value) in row.iter_mut().zip(values) {
        *cell = i64::from(*value);
    }
}

fn session(environment: &Environment, graph: &Path, threads: usize) -> Result<Session, ort::Error> {
    Session::builder(environment)?
        .with_intra_threads(threads)?
        // Threads that spin while they wait would take cores from the program
        // whose memory this is.
        .with_intra_op_spinning(false)?
        // A plan of memory is kept for every shape ever seen, and each batch
        // is a new shape.
        .with_memory_pattern(false)?
        .commit_from_file(graph)
}

fn does_not_load(graph: &Path, error: ort::Error) -> memory_core::MemoryError {
    let said = match error.code() {
        ErrorCode::NotImplemented => error::unsupported(graph, &error),
        _ => error::corrupt(graph, &error),
    };
    said.with_source(error)
}

/// What the graph asks for, all of which must be known here.
fn inputs(graph: &Path, outlets: &[Outlet]) -> MemoryResult<Vec<Input>> {
    let known = |outlet: &Outlet| {
        let named = Input::ALL
            .into_iter()
            .find(|input| input.name() == outlet.name());
        named.filter(|_| outlet.dtype().tensor_type() == Some(TensorElementType::Int64))
    };
    let input = |outlet| {
        known(outlet).ok_or_else(|| {
            let what = format!("the input {} is not supported", outlet.name());
            error::unsupported(graph, what)
        })
    };
    outlets.iter().map(input).collect()
}

/// The output with a vector for each token: the one that exporters call so,
/// or else the first of three axes.
fn output(graph: &Path, outlets: &[Outlet]) -> MemoryResult<String> {
    const NAMES: [&str; 2] = ["last_hidden_state", "token_embeddings"];
    let has_three_axes = |outlet: &&Outlet| {
        outlet.dtype().tensor_type() == Some(TensorElementType::Float32)
            && outlet
                .dtype()
                .tensor_shape()
                .is_some_and(|shape| shape.len() == 3)
    };
    let mut fitting = outlets.iter().filter(has_three_axes);
    let named = fitting
        .clone()
        .find(|outlet| NAMES.contains(&outlet.name()));
    match named.or_else(|| fitting.next()) {
        Some(outlet) => Ok(outlet.name().to_owned()),
        None => Err(error::unsupported(
            graph,
            "no output holds a 32-bit vector for each token",
        )),
    }
}
