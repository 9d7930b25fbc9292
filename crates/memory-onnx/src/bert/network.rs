//! The layers of a BERT as a graph of ONNX Runtime.
//!
//! A layer is attention and a feed-forward part, each followed by an addition
//! of what it began with and a layer normalization (Devlin et al., 2019). It
//! becomes thirteen nodes of the standard's operators and the runtime's fused ones.

pub(super) mod names;
mod parts;

use memory_core::MemoryResult;
use ort::editor::{Model, ONNX_DOMAIN, Opset};
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use super::architecture::{Activation, Architecture};
use super::blocks::{self, BLOCK};
use crate::checkpoint::Checkpoint;
use crate::options::Precision;
use names::{Layer, Part};
use parts::{FUSED, Parts, attribute, int, not_built};

/// The graph's first input: a vector for each token of each text.
pub(crate) const HIDDEN: &str = "hidden";
/// The graph's second input: how many tokens of each row are the text's own;
/// the others are not attended to.
pub(crate) const LENGTHS: &str = "lengths";
/// The graph's output: a vector for each token of each text.
pub(crate) const OUTPUT: &str = "last_hidden_state";

/// The version of the standard operators that is built on.
const OPSET: u32 = 21;

/// A graph in the making.
pub(crate) struct Network<'a> {
    parts: Parts,
    checkpoint: &'a mut Checkpoint,
    architecture: &'a Architecture,
    precision: Precision,
}

impl<'a> Network<'a> {
    /// Builds all layers. Each weight goes from the file to where the runtime
    /// holds it, and is held nowhere else.
    ///
    /// # Errors
    /// `Corrupt` or `Unsupported` for a weight, naming it.
    pub(crate) fn new(
        checkpoint: &'a mut Checkpoint,
        architecture: &'a Architecture,
        precision: Precision,
    ) -> MemoryResult<Self> {
        let mut network = Self {
            parts: Parts::new(architecture.hidden)?,
            checkpoint,
            architecture,
            precision,
        };
        let mut hidden = HIDDEN.to_owned();
        for number in 0..architecture.layers {
            hidden = network.layer(number, &hidden)?;
        }
        network.parts.finish(&hidden)?;
        Ok(network)
    }

    /// Makes a session of the graph. The runtime gives the weights the form in
    /// which it multiplies them and lets go of the form in which they came.
    pub(crate) fn session(self, options: &SessionBuilder) -> MemoryResult<Session> {
        let opsets = [Opset::new(ONNX_DOMAIN, OPSET), Opset::new(FUSED, 1)];
        let [onnx, fused] = opsets.map(|opset| opset.map_err(not_built));
        let mut model = Model::new([onnx?, fused?]).map_err(not_built)?;
        model.set_graph(self.parts.graph).map_err(not_built)?;
        model.into_session(options).map_err(not_built)
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

    /// Queries, keys and values, and what the heads make of them. The operator
    /// adds the three biases itself.
    fn attention(&mut self, layer: &Layer, input: &str) -> MemoryResult<String> {
        let hidden = self.architecture.hidden;
        let parts = [Part::Query, Part::Key, Part::Value];
        let mut biases = self.parts.tensor::<f32>(&[3 * hidden])?;
        let places = biases.extract_tensor_mut().1.chunks_exact_mut(hidden);
        for (part, bias) in parts.into_iter().zip(places) {
            self.checkpoint.read(&layer.bias(part), &[hidden], bias)?;
        }
        let all = self.product(layer, &parts, input, [hidden, hidden])?;
        let split = [
            attribute("axis", 2_i64)?,
            attribute("num_outputs", int(parts.len()))?,
        ];
        let [query, key, value] = self.parts.nodes(ONNX_DOMAIN, "Split", &[all], split)?;
        let bias = layer.biases();
        self.parts.add(&bias, biases)?;
        let inputs = [query, key, value, bias, LENGTHS.to_owned()];
        let heads = attribute("num_heads", int(self.architecture.heads))?;
        self.parts
            .node(FUSED, "MultiHeadAttention", &inputs, [heads])
    }

    /// The product with the weights of some parts side by side, each of
    /// `[rows, columns]`, as checkpoints hold them: outputs by inputs. The bias
    /// is added by what comes next.
    fn product(
        &mut self,
        layer: &Layer,
        parts: &[Part],
        input: &str,
        shape: [usize; 2],
    ) -> MemoryResult<String> {
        match self.precision {
            Precision::Full => self.product_in_full(layer, parts, input, shape),
            Precision::Int8 => self.product_in_blocks(layer, parts, input, shape),
        }
    }

    fn product_in_full(
        &mut self,
        layer: &Layer,
        parts: &[Part],
        input: &str,
        shape: [usize; 2],
    ) -> MemoryResult<String> {
        let [rows, columns] = shape;
        let mut weight = self.parts.tensor::<f32>(&[parts.len() * rows, columns])?;
        let places = weight
            .extract_tensor_mut()
            .1
            .chunks_exact_mut(rows * columns);
        for (part, place) in parts.iter().zip(places) {
            self.checkpoint.read(&layer.weight(*part), &shape, place)?;
        }
        let name = layer.weights(parts);
        self.parts.add(&name, weight)?;
        let transposed = attribute("transB", 1_i64)?;
        let inputs = [input.to_owned(), name];
        self.parts.node(FUSED, "FusedMatMul", &inputs, [transposed])
    }

    fn product_in_blocks(
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
        let mut weight = self.parts.tensor::<u8>(&[rows, blocks, BLOCK])?;
        let mut scales = self.parts.tensor::<f32>(&[rows, blocks])?;
        blocks::quantize(
            &values,
            columns,
            weight.extract_tensor_mut().1,
            scales.extract_tensor_mut().1,
        );
        let name = layer.weights(parts);
        let scale = format!("{name}.scales");
        self.parts.add(&name, weight)?;
        self.parts.add(&scale, scales)?;
        let attributes = [
            attribute("K", int(columns))?,
            attribute("N", int(rows))?,
            attribute("bits", 8_i64)?,
            attribute("block_size", int(BLOCK))?,
            // The operator's name for arithmetic in 8 bits.
            attribute("accuracy_level", 4_i64)?,
        ];
        let inputs = [input.to_owned(), name, scale];
        self.parts.node(FUSED, "MatMulNBits", &inputs, attributes)
    }

    fn activate(&mut self, layer: &Layer, input: &str) -> MemoryResult<String> {
        let bias = layer.bias(Part::Wide);
        self.vector(&bias, self.architecture.intermediate)?;
        let operator = match self.architecture.activation {
            Activation::Gelu => "BiasGelu",
            Activation::GeluTanh => "FastGelu",
        };
        self.parts
            .node(FUSED, operator, &[input.to_owned(), bias], [])
    }

    /// Adds a part's bias and `skip`, and normalizes. In three nodes: the
    /// runtime's `SkipLayerNormalization` is one, and takes five times as long,
    /// number by number.
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
            sum = self.parts.node(ONNX_DOMAIN, "Add", &[sum, term], [])?;
        }
        let attributes = [
            attribute("axis", -1_i64)?,
            attribute("epsilon", self.architecture.epsilon)?,
        ];
        let inputs = [sum, weight, norm_bias];
        self.parts
            .node(ONNX_DOMAIN, "LayerNormalization", &inputs, attributes)
    }

    fn vector(&mut self, name: &str, length: usize) -> MemoryResult<()> {
        let mut vector = self.parts.tensor::<f32>(&[length])?;
        let values = vector.extract_tensor_mut().1;
        self.checkpoint.read(name, &[length], values)?;
        self.parts.add(name, vector)
    }
}
