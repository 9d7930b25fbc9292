//! A graph that somebody exported: what it asks for and what it gives.

use std::path::Path;

use memory_core::MemoryResult;
use memory_sentence_transformers::Tokens;
use ort::ErrorCode;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::{Outlet, Tensor, TensorElementType};

use super::Inputs;
use crate::error;

/// What a graph may ask for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input {
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

fn copy<'a>(row: &mut [i64], values: impl Iterator<Item = &'a u32>) {
    for (cell, value) in row.iter_mut().zip(values) {
        *cell = i64::from(*value);
    }
}

/// A batch as the graph asks for it.
pub(super) fn feed(
    asked: &[Input],
    batch: &[&Tokens],
    length: usize,
) -> Result<Inputs, ort::Error> {
    let input = |input: &Input| {
        let rows = input.fill(batch, length);
        let tensor = Tensor::from_array(([batch.len(), length], rows))?;
        Ok((input.name().into(), tensor.into()))
    };
    asked.iter().map(input).collect()
}

/// Loads the graph's file.
pub(super) fn load(builder: &mut SessionBuilder, graph: &Path) -> MemoryResult<Session> {
    builder.commit_from_file(graph).map_err(|error| {
        let said = match error.code() {
            ErrorCode::NotImplemented => error::unsupported(graph, &error),
            _ => error::corrupt(graph, &error),
        };
        said.with_source(error)
    })
}

/// What the graph asks for, all of which must be known here.
pub(super) fn inputs(graph: &Path, outlets: &[Outlet]) -> MemoryResult<Vec<Input>> {
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
pub(super) fn output(graph: &Path, outlets: &[Outlet]) -> MemoryResult<String> {
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
