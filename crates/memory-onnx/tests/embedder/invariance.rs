//! A vector does not depend on the other texts of its batch.

use std::sync::Arc;

use memory_core::{EmbedRole, Embedder as _};
use memory_onnx::OnnxEmbedder;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

use super::{difference, refs, shared, shared_int8, turns};

/// The allowed difference of two vectors in any component.
const TOLERANCE: f32 = 1e-6;

fn check(runtime: &Runtime, embedder: &Arc<OnnxEmbedder>) {
    let texts = turns(60);
    let embed = |texts: &[&str]| {
        runtime
            .block_on(embedder.embed(texts, EmbedRole::Passage))
            .unwrap()
    };
    let alone: Vec<Vec<f32>> = texts.iter().map(|text| embed(&[text]).remove(0)).collect();
    let batches = prop::collection::vec(0..texts.len(), 1..40);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
    runner
        .run(&batches, |chosen| {
            let texts = refs(&texts);
            let chosen_texts: Vec<&str> = chosen.iter().map(|n| texts[*n]).collect();
            for (n, vector) in chosen.iter().zip(embed(&chosen_texts)) {
                let off = difference(&vector, &alone[*n]);
                prop_assert!(off <= TOLERANCE, "text {n} is off by {off}");
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn vectors_in_full_precision_do_not_depend_on_the_batch() {
    let runtime = Runtime::new().unwrap();
    let embedder = runtime.block_on(shared());
    check(&runtime, &embedder);
}

#[test]
fn vectors_in_eight_bits_do_not_depend_on_the_batch() {
    let runtime = Runtime::new().unwrap();
    let embedder = runtime.block_on(shared_int8());
    check(&runtime, &embedder);
}
