//! Construction of an ONNX graph: nodes, weights, inputs and outputs.

use std::array;
use std::fmt::Debug;

use memory_core::{MemoryError, MemoryResult};
use ort::editor::{Graph, Node, ONNX_DOMAIN};
use ort::memory::Allocator;
use ort::operator::{Attribute, ToAttribute};
use ort::value::{
    Outlet, PrimitiveTensorElementType, Shape, SymbolicDimensions, Tensor, TensorElementType,
    ValueType,
};

use super::network::{HIDDEN, LENGTHS, OUTPUT};
use crate::error::{self, OPEN};

/// The domain of ONNX Runtime's fused operators, which every CPU build contains.
pub(super) const FUSED: &str = "com.microsoft";

/// Weights of fewer bytes are copied into the graph, as the runtime requires.
const MIN_EXTERNAL_BYTES: usize = 128;

/// A graph that is being built.
pub(super) struct GraphBuilder {
    pub(super) graph: Graph,
    /// The dimensions of a token's vector.
    width: usize,
    allocator: Allocator,
    /// The number of nodes so far, for their names.
    nodes: usize,
}

impl GraphBuilder {
    pub(super) fn new(width: usize) -> MemoryResult<Self> {
        Ok(Self {
            graph: Graph::new().map_err(graph_error)?,
            width,
            allocator: Allocator::default(),
            nodes: 0,
        })
    }

    /// Allocates a weight in the runtime's memory.
    pub(super) fn tensor<T>(&self, shape: &[usize]) -> MemoryResult<Tensor<T>>
    where
        T: PrimitiveTensorElementType + Debug,
    {
        let shape: Vec<i64> = shape.iter().map(|n| int(*n)).collect();
        Tensor::new(&self.allocator, shape).map_err(graph_error)
    }

    /// Adds a weight to the graph.
    pub(super) fn add<T>(&mut self, name: &str, weight: Tensor<T>) -> MemoryResult<()>
    where
        T: PrimitiveTensorElementType + Debug,
    {
        let bytes = weight.shape().num_elements() * size_of::<T>();
        self.graph
            .add_initializer(name, weight, bytes >= MIN_EXTERNAL_BYTES)
            .map_err(graph_error)
    }

    /// Adds a node and returns the name of its output.
    pub(super) fn node(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[String],
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> MemoryResult<String> {
        let [output] = self.nodes(domain, operator, inputs, attributes)?;
        Ok(output)
    }

    /// Adds a node and returns the names of its outputs.
    pub(super) fn nodes<const OUTPUTS: usize>(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[String],
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> MemoryResult<[String; OUTPUTS]> {
        self.nodes += 1;
        let name = format!("{operator}.{}", self.nodes);
        let outputs = array::from_fn(|n| format!("{name}.{n}"));
        let node = Node::new(operator, domain, &name, inputs, &outputs, attributes);
        self.graph
            .add_node(node.map_err(graph_error)?)
            .map_err(graph_error)?;
        Ok(outputs)
    }

    /// Declares the inputs, and `hidden` as the output.
    pub(super) fn finish(&mut self, hidden: &str) -> MemoryResult<()> {
        let node = Node::new("Identity", ONNX_DOMAIN, OUTPUT, [hidden], [OUTPUT], []);
        self.graph
            .add_node(node.map_err(graph_error)?)
            .map_err(graph_error)?;
        let vectors = |name| outlet(name, TensorElementType::Float32, &[-1, -1, int(self.width)]);
        let lengths = outlet(LENGTHS, TensorElementType::Int32, &[-1]);
        self.graph
            .set_inputs([vectors(HIDDEN), lengths])
            .map_err(graph_error)?;
        self.graph
            .set_outputs([vectors(OUTPUT)])
            .map_err(graph_error)
    }
}

fn outlet(name: &str, ty: TensorElementType, shape: &[i64]) -> Outlet {
    let names = ["batch", "length", ""];
    let symbols = shape.iter().zip(names).map(|(_, name)| name.to_owned());
    let dtype = ValueType::Tensor {
        ty,
        shape: Shape::new(shape.iter().copied()),
        dimension_symbols: SymbolicDimensions::new(symbols),
    };
    Outlet::new(name, dtype)
}

pub(super) fn attribute(name: &str, value: impl ToAttribute) -> MemoryResult<Attribute> {
    Attribute::new(name, value).map_err(graph_error)
}

pub(super) fn int(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn graph_error(error: ort::Error) -> MemoryError {
    let message = format!("ONNX Runtime rejected the network: {error}");
    error::failed(OPEN, message).with_source(error)
}
