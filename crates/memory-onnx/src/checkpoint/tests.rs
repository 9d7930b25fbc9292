//! Reading of tensors, and errors of invalid checkpoints.

use std::fs;

use memory_core::{ErrorKind, MemoryError};
use safetensors::tensor::{TensorView, serialize};
use tempfile::TempDir;

use super::*;

const VALUES: [f32; 6] = [0.0, 1.0, -2.5, 3.0, 0.125, -65_504.0];

/// A checkpoint with the same six numbers in every number type.
fn content() -> Vec<u8> {
    let f32s: Vec<u8> = VALUES.iter().flat_map(|x| x.to_le_bytes()).collect();
    let f16s: Vec<u8> = VALUES
        .iter()
        .flat_map(|x| f16::from_f32(*x).to_le_bytes())
        .collect();
    let bf16s: Vec<u8> = VALUES
        .iter()
        .flat_map(|x| bf16::from_f32(*x).to_le_bytes())
        .collect();
    let ints = [7_u8; 6];
    let tensor = |dtype, bytes| TensorView::new(dtype, vec![2, 3], bytes).unwrap();
    let tensors = [
        ("f32", tensor(Dtype::F32, &f32s)),
        ("f16", tensor(Dtype::F16, &f16s)),
        ("bf16", tensor(Dtype::BF16, &bf16s)),
        ("u8", tensor(Dtype::U8, &ints)),
    ];
    serialize(tensors, None).unwrap()
}

fn open(content: &[u8]) -> (TempDir, MemoryResult<Checkpoint>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    fs::write(&file, content).unwrap();
    let opened = Checkpoint::open(&[file]);
    (folder, opened)
}

fn assert_error<T: std::fmt::Debug>(result: MemoryResult<T>, kind: ErrorKind, expected: &str) {
    let error: MemoryError = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("model.safetensors") && text.contains(expected),
        "{text}"
    );
}

#[test]
fn every_float_type_is_read_as_32_bits() {
    let (_folder, checkpoint) = open(&content());
    let mut checkpoint = checkpoint.unwrap();
    assert_eq!(checkpoint.tensor("f32", &[2, 3]).unwrap(), VALUES);
    assert_eq!(checkpoint.tensor("f16", &[2, 3]).unwrap(), VALUES);
    let rounded = VALUES.map(|x| bf16::from_f32(x).to_f32());
    assert_eq!(checkpoint.tensor("bf16", &[2, 3]).unwrap(), rounded);
    assert!(checkpoint.has("u8") && !checkpoint.has("u9"));
}

#[test]
fn a_tensor_larger_than_the_buffer_is_read() {
    let values: Vec<f32> = (0..BUFFER).map(|n| n as f32).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let tensor = TensorView::new(Dtype::F32, vec![BUFFER], &bytes).unwrap();
    let (_folder, checkpoint) = open(&serialize([("long", tensor)], None).unwrap());
    let read = checkpoint.unwrap().tensor("long", &[BUFFER]).unwrap();
    assert_eq!(read, values);
}

#[test]
fn an_unexpected_tensor_is_named() {
    let (_folder, checkpoint) = open(&content());
    let mut checkpoint = checkpoint.unwrap();
    assert_error(checkpoint.tensor("f64", &[1]), ErrorKind::Corrupt, "f64");
    let other = checkpoint.tensor("f32", &[3, 2]);
    assert_error(other, ErrorKind::Corrupt, "[3, 2]");
    let kind = checkpoint.tensor("u8", &[2, 3]);
    assert_error(kind, ErrorKind::Unsupported, "U8");
}

#[test]
fn a_number_that_is_not_finite_is_an_error() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let bytes: Vec<u8> = [1.0, bad].iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensor = TensorView::new(Dtype::F32, vec![2], &bytes).unwrap();
        let (_folder, checkpoint) = open(&serialize([("w", tensor)], None).unwrap());
        let read = checkpoint.unwrap().tensor("w", &[2]);
        assert_error(read, ErrorKind::Corrupt, "tensor w");
    }
}

#[test]
fn a_truncated_or_invalid_file_is_rejected() {
    let whole = content();
    for length in [0, 5, 8, 40, whole.len() - 1] {
        let (_folder, opened) = open(&whole[..length]);
        assert_error(opened, ErrorKind::Corrupt, "");
    }
    let (_folder, opened) = open(b"<html>not found, by and large</html>");
    assert_error(opened, ErrorKind::Corrupt, "header");
    let mut longer = whole.clone();
    longer.push(0);
    assert_error(open(&longer).1, ErrorKind::Corrupt, "by its header");
    let mut header = whole;
    header[9] = b'!';
    assert_error(open(&header).1, ErrorKind::Corrupt, "");
    let nowhere = Checkpoint::open(&["nowhere/model.safetensors".into()]);
    assert_error(nowhere, ErrorKind::Missing, "does not exist");
}
