//! Vectors of an exported graph equal those of an independent reference in any
//! batch.

use memory_core::{EmbedRole, Embedder as _};
use memory_onnx::{MaxTokens, OnnxOptions, WeightSource};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde::Deserialize;

use super::{assert_normalized, difference, opened, shared, shared_graph};

/// The allowed difference of two vectors in any component.
const TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
struct Reference {
    text: String,
    vector: Vec<f32>,
}

/// Made by `make_reference.py`.
fn reference() -> Vec<Reference> {
    serde_json::from_str(include_str!("../fixtures/reference.json")).unwrap()
}

#[tokio::test]
async fn vectors_equal_the_reference_alone_and_in_a_batch() {
    let embedder = shared_graph().await;
    let reference = reference();
    let texts: Vec<&str> = reference.iter().map(|row| row.text.as_str()).collect();
    let together = embedder.embed(&texts, EmbedRole::Passage).await.unwrap();
    for (row, vector) in reference.iter().zip(&together) {
        let alone = embedder
            .embed(&[&row.text], EmbedRole::Passage)
            .await
            .unwrap();
        for vector in [vector, &alone[0]] {
            assert_normalized(vector);
            let off = difference(vector, &row.vector);
            assert!(
                off <= TOLERANCE,
                "off by {off} in a text of {} bytes",
                row.text.len()
            );
        }
    }
}

#[tokio::test]
async fn batches_of_any_size_give_the_same_vectors() {
    let reference = reference();
    let texts: Vec<&str> = reference.iter().map(|row| row.text.as_str()).collect();
    for tokens in [1, 64, 4_096] {
        let options = OnnxOptions::new()
            .weight_source(WeightSource::Graph)
            .batch_tokens(MaxTokens(tokens));
        let embedder = opened(options).await;
        let vectors = embedder.embed(&texts, EmbedRole::Query).await.unwrap();
        for (row, vector) in reference.iter().zip(&vectors) {
            assert!(
                difference(vector, &row.vector) <= TOLERANCE,
                "batches of {tokens}"
            );
        }
    }
}

#[test]
fn vectors_do_not_depend_on_the_batch() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let embedder = runtime.block_on(shared_graph());
    let reference = reference();
    let batches = prop::collection::vec(0..reference.len(), 1..24);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
    runner
        .run(&batches, |rows| {
            let texts: Vec<&str> = rows
                .iter()
                .map(|row| reference[*row].text.as_str())
                .collect();
            let vectors = runtime
                .block_on(embedder.embed(&texts, EmbedRole::Passage))
                .unwrap();
            prop_assert_eq!(vectors.len(), rows.len());
            for (row, vector) in rows.iter().zip(&vectors) {
                prop_assert!(difference(vector, &reference[*row].vector) <= TOLERANCE);
            }
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_shorter_maximum_length_reads_less_and_has_another_fingerprint() {
    let (whole, short) = (
        shared().await,
        opened(super::small().max_sequence(MaxTokens(16))).await,
    );
    assert_eq!(short.profile().max_tokens, 16);
    assert_ne!(short.profile().fingerprint, whole.profile().fingerprint);
    let start = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen";
    let long = format!("{start} and what else there may be");
    let vectors = short
        .embed(&[start, &long], EmbedRole::Passage)
        .await
        .unwrap();
    assert!(difference(&vectors[0], &vectors[1]) <= TOLERANCE);
}

#[tokio::test]
async fn a_prefix_is_part_of_the_text_and_of_the_fingerprint() {
    let prefixed = opened(super::small().prefix(EmbedRole::Query, "query: ")).await;
    let plain = shared().await;
    assert_ne!(prefixed.profile().fingerprint, plain.profile().fingerprint);
    let embedded = |role| prefixed.embed(&["the mill"], role);
    let query = embedded(EmbedRole::Query).await.unwrap();
    let passage = embedded(EmbedRole::Passage).await.unwrap();
    let expected = plain
        .embed(&["query: the mill", "the mill"], EmbedRole::Query)
        .await
        .unwrap();
    assert!(difference(&query[0], &expected[0]) <= TOLERANCE);
    assert!(difference(&passage[0], &expected[1]) <= TOLERANCE);
}
