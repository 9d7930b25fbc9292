//! Two independent implementations of one checkpoint agree.

use memory_core::{EmbedRole, Embedder as _, cosine};
use memory_onnx::{OnnxEmbedder, OnnxOptions, Precision, WeightSource};

use super::shared;
use super::texts::texts;

/// The least cosine between what libtorch and ONNX Runtime make of one text in
/// single precision: beyond the sixth digit the order of sums shows.
const LEAST: f32 = 0.9999;

#[tokio::test]
async fn vectors_equal_those_of_memory_onnx_in_full_precision() {
    let options = OnnxOptions::new()
        .weight_source(WeightSource::Checkpoint)
        .precision(Precision::Full);
    let onnx = OnnxEmbedder::open(options).await;
    let onnx = onnx.unwrap_or_else(|error| panic!("{error}"));
    let bert = shared().await;
    let texts = texts();
    let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
    for role in [EmbedRole::Passage, EmbedRole::Query] {
        let ours = bert.embed(&refs, role).await.unwrap();
        let theirs = onnx.embed(&refs, role).await.unwrap();
        for ((text, a), b) in texts.iter().zip(&ours).zip(&theirs) {
            let agreement = cosine(a, b);
            assert!(
                agreement >= LEAST,
                "{agreement} in a text of {} bytes",
                text.len()
            );
        }
    }
    // Cut at the same places too: a store filled by the one is found by the
    // other only if both read the same chunks.
    assert_eq!(
        bert.chunk(&refs).await.unwrap(),
        onnx.chunk(&refs).await.unwrap()
    );
}
