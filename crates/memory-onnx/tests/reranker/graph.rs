//! A small cross-encoder as an ONNX graph, written for the tests.
//!
//! Its score is the dot product of the sums of the word vectors of both segments,
//! so that pairs that share words score higher. It depends on every input: ids,
//! mask and segment indices.

/// The graph's words: ids modulo this number.
const VOCABULARY: usize = 997;
/// The components of a word vector.
const WIDTH: usize = 24;

/// What the graph returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// `logits` with one number per pair.
    OneLabel,
    /// `logits` with two numbers per pair, as of a classifier.
    TwoLabels,
    /// A number per pair that is not finite.
    Infinite,
    /// An output of another name, with a vector per token.
    Vectors,
}

/// The content of a `model.onnx`.
pub(crate) fn model(output: Output) -> Vec<u8> {
    // Each sum is divided, so that scores stay small.
    let scale = match output {
        Output::Infinite => f32::INFINITY,
        _ => 1.0,
    };
    let nodes = [
        node("Mod", &["input_ids", "vocabulary"], "word", &[]),
        node("Gather", &["table", "word"], "embedded", &[]),
        node("Cast", &["attention_mask"], "mask", &[("to", 1)]),
        node("Cast", &["token_type_ids"], "second", &[("to", 1)]),
        node("Sub", &["one", "second"], "first", &[]),
        node("Mul", &["mask", "first"], "first_mask", &[]),
        node("Mul", &["mask", "second"], "second_mask", &[]),
        node("Unsqueeze", &["first_mask", "axis_2"], "first_column", &[]),
        node(
            "Unsqueeze",
            &["second_mask", "axis_2"],
            "second_column",
            &[],
        ),
        node("Mul", &["embedded", "first_column"], "first_words", &[]),
        node("Mul", &["embedded", "second_column"], "second_words", &[]),
        node(
            "ReduceSum",
            &["first_words", "axis_1"],
            "question",
            &[("keepdims", 0)],
        ),
        node(
            "ReduceSum",
            &["second_words", "axis_1"],
            "text",
            &[("keepdims", 0)],
        ),
        node("Mul", &["question", "text"], "products", &[]),
        node(
            "ReduceSum",
            &["products", "axis_1"],
            "sum",
            &[("keepdims", 1)],
        ),
        node("Mul", &["sum", "scale"], "score", &[]),
        node("Concat", &["score", "score"], "scores", &[("axis", 1)]),
    ];
    let (result, name, shape): (_, _, &[&str]) = match output {
        Output::OneLabel | Output::Infinite => ("score", "logits", &["batch", "1"]),
        Output::TwoLabels => ("scores", "logits", &["batch", "2"]),
        Output::Vectors => ("embedded", "last_hidden_state", &["batch", "length", "24"]),
    };
    let mut graph = Vec::new();
    for node in &nodes {
        message(&mut graph, 1, node);
    }
    message(&mut graph, 1, &node("Identity", &[result], name, &[]));
    text(&mut graph, 2, "cross-encoder");
    let mut rng = SeededRng(11);
    let table: Vec<f32> = (0..VOCABULARY * WIDTH).map(|_| rng.next()).collect();
    message(
        &mut graph,
        5,
        &floats("table", &[VOCABULARY, WIDTH], &table),
    );
    message(&mut graph, 5, &floats("one", &[], &[1.0]));
    message(&mut graph, 5, &floats("scale", &[], &[scale]));
    message(&mut graph, 5, &integers("vocabulary", &[], &[997]));
    message(&mut graph, 5, &integers("axis_1", &[1], &[1]));
    message(&mut graph, 5, &integers("axis_2", &[1], &[2]));
    for input in ["input_ids", "attention_mask", "token_type_ids"] {
        message(&mut graph, 11, &value(input, INT64, &["batch", "length"]));
    }
    message(&mut graph, 12, &value(name, FLOAT, shape));
    let mut opset = Vec::new();
    text(&mut opset, 1, "");
    number(&mut opset, 2, 13);
    let mut model = Vec::new();
    number(&mut model, 1, 8);
    message(&mut model, 8, &opset);
    message(&mut model, 7, &graph);
    model
}

// The protocol buffer of a graph. Field numbers by `onnx.proto3` of ONNX 1.17.

/// The element types of tensors.
const FLOAT: u64 = 1;
const INT64: u64 = 7;
/// The type of an attribute that is an integer.
const INT_ATTRIBUTE: u64 = 2;

fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, u64)]) -> Vec<u8> {
    let mut node = Vec::new();
    for input in inputs {
        text(&mut node, 1, input);
    }
    text(&mut node, 2, output);
    text(&mut node, 3, &format!("{operator}.{output}"));
    text(&mut node, 4, operator);
    for (name, value) in attributes {
        let mut attribute = Vec::new();
        text(&mut attribute, 1, name);
        number(&mut attribute, 3, *value);
        number(&mut attribute, 20, INT_ATTRIBUTE);
        message(&mut node, 5, &attribute);
    }
    node
}

fn floats(name: &str, shape: &[usize], values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    tensor(name, FLOAT, shape, &bytes)
}

fn integers(name: &str, shape: &[usize], values: &[i64]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    tensor(name, INT64, shape, &bytes)
}

fn tensor(name: &str, element: u64, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    let mut tensor = Vec::new();
    for axis in shape {
        number(&mut tensor, 1, *axis as u64);
    }
    number(&mut tensor, 2, element);
    text(&mut tensor, 8, name);
    message(&mut tensor, 9, bytes);
    tensor
}

/// An input or output; an axis is a number or a name.
fn value(name: &str, element: u64, shape: &[&str]) -> Vec<u8> {
    let mut axes = Vec::new();
    for axis in shape {
        let mut dimension = Vec::new();
        match axis.parse() {
            Ok(size) => number(&mut dimension, 1, size),
            Err(_) => text(&mut dimension, 2, axis),
        }
        message(&mut axes, 1, &dimension);
    }
    let mut tensor = Vec::new();
    number(&mut tensor, 1, element);
    message(&mut tensor, 2, &axes);
    let mut dtype = Vec::new();
    message(&mut dtype, 1, &tensor);
    let mut value = Vec::new();
    text(&mut value, 1, name);
    message(&mut value, 2, &dtype);
    value
}

fn number(buffer: &mut Vec<u8>, field: u64, value: u64) {
    varint(buffer, field << 3);
    varint(buffer, value);
}

fn text(buffer: &mut Vec<u8>, field: u64, value: &str) {
    message(buffer, field, value.as_bytes());
}

fn message(buffer: &mut Vec<u8>, field: u64, content: &[u8]) {
    varint(buffer, field << 3 | 2);
    varint(buffer, content.len() as u64);
    buffer.extend_from_slice(content);
}

fn varint(buffer: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            buffer.push(low);
            return;
        }
        buffer.push(low | 0x80);
    }
}

/// Pseudorandom numbers from -0.5 to 0.5, the same in every run.
struct SeededRng(u64);

impl SeededRng {
    fn next(&mut self) -> f32 {
        // Knuth's MMIX generator; its high bits are good enough here.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    }
}
