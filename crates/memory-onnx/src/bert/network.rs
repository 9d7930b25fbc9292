//! The layers of a BERT network as an ONNX Runtime graph.
//!
//! A layer consists of attention and a feed-forward part, each followed by a
//! residual addition and a layer normalization (Devlin et al., *BERT*, 2019). It has
//! thirteen nodes of standard operators and of the runtime's fused ones.

use memory_core::MemoryResult;
use ort::editor::{Model, ONNX_DOMAIN, Opset};
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use super::architecture::{Activation, Architecture};
use super::graph_builder::{FUSED, GraphBuilder, attribute, graph_error, int};
use super::quantize::{BLOCK, quantize};
use super::weight_names::{Layer, Part};
use crate::checkpoint::Checkpoint;
use crate::options::Precision;

/// The graph's first input: a vector per token of each text.
pub(crate) const HIDDEN: &str = "hidden";
/// The graph's second input: the number of tokens of each row without padding,
/// which is masked.
pub(crate) const LENGTHS: &str = "lengths";
/// The graph's output: a vector per token of each text.
pub(crate) const OUTPUT: &str = "last_hidden_state";

/// The version of the standard operators.
const OPSET: u32 = 21;

/// A graph that is being built.
pub(crate) struct Network<'a> {
    builder: GraphBuilder,
    checkpoint: &'a mut Checkpoint,
    architecture: &'a Architecture,
    precision: Precision,
}

impl<'a> Network<'a> {
    /// Builds all layers. Each weight is read directly into the runtime's memory.
    ///
    /// # Errors
    /// `Corrupt` or `Unsupported` for a weight, naming it.
    pub(crate) fn new(
        checkpoint: &'a mut Checkpoint,
        architecture: &'a Architecture,
        precision: Precision,
    ) -> MemoryResult<Self> {
        let mut network = Self {
            builder: GraphBuilder::new(architecture.hidden)?,
            checkpoint,
            architecture,
            precision,
        };
        let mut hidden = HIDDEN.to_owned();
        for number in 0..architecture.layers {
            hidden = network.layer(number, &hidden)?;
        }
        network.builder.finish(&hidden)?;
        Ok(network)
    }

    /// Creates a session of the graph. The runtime converts the weights to its
    /// internal layout and frees the original ones.
    pub(crate) fn session(self, options: &SessionBuilder) -> MemoryResult<Session> {
        let opsets = [Opset::new(ONNX_DOMAIN, OPSET), Opset::new(FUSED, 1)];
        let [onnx, fused] = opsets.map(|opset| opset.map_err(graph_error));
        let mut model = Model::new([onnx?, fused?]).map_err(graph_error)?;
        model.set_graph(self.builder.graph).map_err(graph_error)?;
        model.into_session(options).map_err(graph_error)
    }

    fn layer(&mut self, number: usize, input: &str) -> MemoryResult<String> {
        let Architecture {
            hidden,
            intermediate,
            ..
        } = *self.architecture;
        let layer = Layer::new(self.checkpoint, number);
        let attended = self.attention(&layer, input)?;
        let attended = self.product(&layer, &[Part::Attended], &attended, [hidden, hidden])?;
        let attended = self.add_and_norm(&layer, Part::Attended, &attended, input)?;
        let wide = self.product(&layer, &[Part::Wide], &attended, [intermediate, hidden])?;
        let wide = self.activate(&layer, &wide)?;
        let narrow = self.product(&layer, &[Part::Narrow], &wide, [hidden, intermediate])?;
        self.add_and_norm(&layer, Part::Narrow, &narrow, &attended)
    }

    /// Multi-head attention. The operator adds the biases of queries, keys and
    /// values itself.
    fn attention(&mut self, layer: &Layer, input: &str) -> MemoryResult<String> {
        let hidden = self.architecture.hidden;
        let parts = [Part::Query, Part::Key, Part::Value];
        let mut biases = self.builder.tensor::<f32>(&[3 * hidden])?;
        let targets = biases.extract_tensor_mut().1.chunks_exact_mut(hidden);
        for (part, bias) in parts.into_iter().zip(targets) {
            self.checkpoint.read(&layer.bias(part), &[hidden], bias)?;
        }
        let all = self.product(layer, &parts, input, [hidden, hidden])?;
        let split = [
            attribute("axis", 2_i64)?,
            attribute("num_outputs", int(parts.len()))?,
        ];
        let [query, key, value] = self.builder.nodes(ONNX_DOMAIN, "Split", &[all], split)?;
        let bias = layer.biases();
        self.builder.add(&bias, biases)?;
        let inputs = [query, key, value, bias, LENGTHS.to_owned()];
        let heads = attribute("num_heads", int(self.architecture.heads))?;
        self.builder
            .node(FUSED, "MultiHeadAttention", &inputs, [heads])
    }

    /// The product with the concatenated weights of some parts, each of the shape
    /// `[rows, columns]`, outputs by inputs, as in checkpoints. The next operator
    /// adds the bias.
    fn product(
        &mut self,
        layer: &Layer,
        parts: &[Part],
        input: &str,
        shape: [usize; 2],
    ) -> MemoryResult<String> {
        match self.precision {
            Precision::Full => self.full_product(layer, parts, input, shape),
            Precision::Int8 => self.int8_product(layer, parts, input, shape),
        }
    }

    fn full_product(
        &mut self,
        layer: &Layer,
        parts: &[Part],
        input: &str,
        shape: [usize; 2],
    ) -> MemoryResult<String> {
        let [rows, columns] = shape;
        let mut weight = self.builder.tensor::<f32>(&[parts.len() * rows, columns])?;
        let targets = weight
            .extract_tensor_mut()
            .1
            .chunks_exact_mut(rows * columns);
        for (part, target) in parts.iter().zip(targets) {
            self.checkpoint.read(&layer.weight(*part), &shape, target)?;
        }
        let name = layer.weights(parts);
        self.builder.add(&name, weight)?;
        let transposed = attribute("transB", 1_i64)?;
        let inputs = [input.to_owned(), name];
        self.builder
            .node(FUSED, "FusedMatMul", &inputs, [transposed])
    }

    fn int8_product(
        &mut self,
        layer: &Layer,
        parts: &[Part],
        input: &str,
        shape: [usize; 2],
    ) -> MemoryResult<String> {
        let [rows, columns] = shape;
        let (rows, blocks) = (parts.len() * rows, columns.div_ceil(BLOCK));
        let mut values = Vec::with_capacity(rows * columns);
        for part in parts {
            values.extend(self.checkpoint.tensor(&layer.weight(*part), &shape)?);
        }
        let mut weight = self.builder.tensor::<u8>(&[rows, blocks, BLOCK])?;
        let mut scales = self.builder.tensor::<f32>(&[rows, blocks])?;
        quantize(
            &values,
            columns,
            weight.extract_tensor_mut().1,
            scales.extract_tensor_mut().1,
        );
        let name = layer.weights(parts);
        let scale = format!("{name}.scales");
        self.builder.add(&name, weight)?;
        self.builder.add(&scale, scales)?;
        let attributes = [
            attribute("K", int(columns))?,
            attribute("N", int(rows))?,
            attribute("bits", 8_i64)?,
            attribute("block_size", int(BLOCK))?,
            // The operator's value for 8-bit arithmetic.
            attribute("accuracy_level", 4_i64)?,
        ];
        let inputs = [input.to_owned(), name, scale];
        self.builder.node(FUSED, "MatMulNBits", &inputs, attributes)
    }

    fn activate(&mut self, layer: &Layer, input: &str) -> MemoryResult<String> {
        let bias = layer.bias(Part::Wide);
        self.vector(&bias, self.architecture.intermediate)?;
        let operator = match self.architecture.activation {
            Activation::Gelu => "BiasGelu",
            Activation::GeluTanh => "FastGelu",
        };
        self.builder
            .node(FUSED, operator, &[input.to_owned(), bias], [])
    }

    /// Adds a part's bias and `skip`, and normalizes. Three nodes, because the
    /// runtime's single `SkipLayerNormalization` is not vectorized and takes five
    /// times as long.
    fn add_and_norm(
        &mut self,
        layer: &Layer,
        part: Part,
        input: &str,
        skip: &str,
    ) -> MemoryResult<String> {
        let [bias, weight, norm_bias] = [
            layer.bias(part),
            layer.norm_weight(part),
            layer.norm_bias(part),
        ];
        for name in [&bias, &weight, &norm_bias] {
            self.vector(name, self.architecture.hidden)?;
        }
        let mut sum = input.to_owned();
        for term in [bias, skip.to_owned()] {
            sum = self.builder.node(ONNX_DOMAIN, "Add", &[sum, term], [])?;
        }
        let attributes = [
            attribute("axis", -1_i64)?,
            attribute("epsilon", self.architecture.epsilon)?,
        ];
        let inputs = [sum, weight, norm_bias];
        self.builder
            .node(ONNX_DOMAIN, "LayerNormalization", &inputs, attributes)
    }

    fn vector(&mut self, name: &str, length: usize) -> MemoryResult<()> {
        let mut vector = self.builder.tensor::<f32>(&[length])?;
        let values = vector.extract_tensor_mut().1;
        self.checkpoint.read(name, &[length], values)?;
        self.builder.add(name, vector)
    }
}
