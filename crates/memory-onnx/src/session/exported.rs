//! Exported graphs: their inputs and outputs.

use std::path::Path;

use memory_core::MemoryResult;
use memory_sentence_transformers::Tokens;
use ort::ErrorCode;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::{Outlet, Tensor, TensorElementType};

use super::Inputs;
use crate::error;

/// The known inputs of a graph.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GraphInput {
    Ids,
    Mask,
    TypeIds,
}

impl GraphInput {
    const ALL: [Self; 3] = [Self::Ids, Self::Mask, Self::TypeIds];

    const fn name(self) -> &'static str {
        match self {
            Self::Ids => "input_ids",
            Self::Mask => "attention_mask",
            Self::TypeIds => "token_type_ids",
        }
    }

    /// The rows of a batch, each padded to `length` with zeros; the mask is zero
    /// for padding, so that the graph ignores it.
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

fn copy<'a>(row: &mut [i64], values: impl Iterator<Item = &'a u32>) {
    for (cell, value) in row.iter_mut().zip(values) {
        *cell = i64::from(*value);
    }
}

/// The input values of a batch.
pub(crate) fn inputs_of(
    asked: &[GraphInput],
    batch: &[&Tokens],
    length: usize,
) -> Result<Inputs, ort::Error> {
    let input = |input: &GraphInput| {
        let rows = input.fill(batch, length);
        let tensor = Tensor::from_array(([batch.len(), length], rows))?;
        Ok((input.name().into(), tensor.into()))
    };
    asked.iter().map(input).collect()
}

/// Loads the graph from its file.
pub(crate) fn load(builder: &mut SessionBuilder, graph: &Path) -> MemoryResult<Session> {
    builder.commit_from_file(graph).map_err(|error| {
        let typed = match error.code() {
            ErrorCode::NotImplemented => error::unsupported(graph, &error),
            _ => error::corrupt(graph, &error),
        };
        typed.with_source(error)
    })
}

/// The inputs of the graph, all of which must be known.
pub(crate) fn graph_inputs(graph: &Path, outlets: &[Outlet]) -> MemoryResult<Vec<GraphInput>> {
    let known = |outlet: &Outlet| {
        let named = GraphInput::ALL
            .into_iter()
            .find(|input| input.name() == outlet.name());
        named.filter(|_| outlet.dtype().tensor_type() == Some(TensorElementType::Int64))
    };
    let input = |outlet| {
        known(outlet).ok_or_else(|| {
            let what = format!(
                "the graph's input {} is not supported; input_ids, attention_mask and \
                 token_type_ids of 64-bit integers are",
                outlet.name()
            );
            error::unsupported(graph, what)
        })
    };
    outlets.iter().map(input).collect()
}

/// The name of the output with a vector per token: a name that exporters use, or
/// else the first output with three axes.
pub(crate) fn output_name(graph: &Path, outlets: &[Outlet]) -> MemoryResult<String> {
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
            "the graph has no output with a 32-bit float vector per token",
        )),
    }
}
