//! A vector does not depend on the texts that it was computed with.

use std::sync::Arc;

use memory_core::{EmbedRole, Embedder as _};
use memory_onnx::OnnxEmbedder;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

use super::{difference, refs, shared, shared_int8, turns};

/// What the vectors may differ by in any component.
const TOLERANCE: f32 = 1e-6;

fn check(runtime: &Runtime, embedder: &Arc<OnnxEmbedder>) {
    let texts = turns(60);
    let embed = |texts: &[&str]| {
        runtime
            .block_on(embedder.embed(texts, EmbedRole::Passage))
            .unwrap()
    };
    let alone: Vec<Vec<f32>> = texts.iter().map(|text| embed(&[text]).remove(0)).collect();
    let company = prop::collection::vec(0..texts.len(), 1..40);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
    runner
        .run(&company, |chosen| {
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
fn in_full_precision() {
    let runtime = Runtime::new().unwrap();
    let embedder = runtime.block_on(shared());
    check(&runtime, &embedder);
}

#[test]
fn in_eight_bits() {
    let runtime = Runtime::new().unwrap();
    let embedder = runtime.block_on(shared_int8());
    check(&runtime, &embedder);
}
