//! A session of ONNX Runtime that computes one number per pair.

use std::path::Path;

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use memory_sentence_transformers::Tokens;
use ort::environment::Environment;
use ort::session::Session;
use ort::value::{Outlet, TensorElementType};

use super::error::{OPEN, SCORE, failed, in_folder};
use crate::session::exported::{self, GraphInput};
use crate::session::session_builder;

/// A session with the graph's inputs and its output.
#[derive(Debug)]
pub(super) struct PairSession {
    session: Session,
    inputs: Vec<GraphInput>,
    output: String,
}

impl PairSession {
    /// Loads a graph into a session that computes each batch with `threads`
    /// threads.
    ///
    /// # Errors
    /// `Corrupt` for a graph that cannot be loaded, `Unsupported` for one with
    /// unknown inputs or without an output of a number per pair.
    pub(super) fn open(
        environment: &Environment,
        graph: &Path,
        threads: usize,
    ) -> MemoryResult<Self> {
        let mut builder = session_builder(environment, threads).map_err(|error| {
            let message = format!("cannot create an ONNX Runtime session: {error}");
            failed(OPEN, message).with_source(error)
        })?;
        let session = exported::load(&mut builder, graph).map_err(in_folder)?;
        let inputs = exported::graph_inputs(graph, session.inputs()).map_err(in_folder)?;
        let output = output_name(graph, session.outputs())?;
        Ok(Self {
            session,
            inputs,
            output,
        })
    }

    /// The outputs of a batch, one per pair.
    ///
    /// # Errors
    /// If the batch failed, or the graph has more than one output per pair.
    pub(super) fn run(&mut self, batch: &[&Tokens]) -> MemoryResult<Vec<f32>> {
        let longest = batch.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        let runtime_failed = |error: ort::Error| {
            let message = format!("ONNX Runtime could not compute a batch: {error}");
            failed(SCORE, message).with_source(error)
        };
        let inputs = exported::inputs_of(&self.inputs, batch, longest).map_err(runtime_failed)?;
        let outputs = self.session.run(inputs).map_err(runtime_failed)?;
        let Some(output) = outputs.get(&self.output) else {
            return Err(failed(SCORE, "the graph returned no scores"));
        };
        let (shape, values) = output.try_extract_tensor::<f32>().map_err(runtime_failed)?;
        if values.len() != batch.len() {
            let message = format!(
                "the graph returned a tensor of shape {shape:?} for {} pairs; one number per \
                 pair is required",
                batch.len()
            );
            return Err(MemoryError::reranker(
                ErrorKind::Unsupported,
                SCORE,
                message,
            ));
        }
        Ok(values.to_vec())
    }
}

/// The name of the output with a number per pair: the one that exporters use, or
/// else the only one with at most two axes.
fn output_name(graph: &Path, outlets: &[Outlet]) -> MemoryResult<String> {
    const NAME: &str = "logits";
    let is_flat = |outlet: &&Outlet| {
        let shape = outlet.dtype().tensor_shape();
        outlet.dtype().tensor_type() == Some(TensorElementType::Float32)
            && shape.is_some_and(|shape| shape.len() <= 2)
    };
    let flat: Vec<&Outlet> = outlets.iter().filter(is_flat).collect();
    let named = flat.iter().find(|outlet| outlet.name() == NAME);
    match (named, flat.as_slice()) {
        (Some(outlet), _) => Ok(outlet.name().to_owned()),
        (None, [outlet]) => Ok(outlet.name().to_owned()),
        _ => Err(MemoryError::reranker(
            ErrorKind::Unsupported,
            OPEN,
            format!(
                "{}: the graph has no output {NAME} of 32-bit floats with one number per pair",
                graph.display()
            ),
        )),
    }
}
