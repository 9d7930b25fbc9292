//! Calls: their company, their callers, their length.

use std::sync::Arc;
use std::time::Duration;

use memory_bert::{BertOptions, MaxTokens};
use memory_core::{EmbedRole, Embedder as _};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::texts::texts;
use super::{difference, opened, shared};

/// What a vector may differ by in any component when it is computed in other
/// company: sums are taken in another order.
const TOLERANCE: f32 = 1e-5;

#[test]
fn no_company_changes_a_vector() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let embedder = runtime.block_on(shared());
    let texts = texts();
    let embed = |texts: &[&str]| {
        let vectors = runtime.block_on(embedder.embed(texts, EmbedRole::Passage));
        vectors.unwrap()
    };
    let alone: Vec<Vec<f32>> = texts.iter().map(|text| embed(&[text]).remove(0)).collect();
    let company = prop::collection::vec(0..texts.len(), 1..32);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(12));
    let outcome = runner.run(&company, |places| {
        let together: Vec<&str> = places.iter().map(|place| texts[*place].as_str()).collect();
        for (place, vector) in places.iter().zip(embed(&together)) {
            prop_assert!(difference(&vector, &alone[*place]) <= TOLERANCE);
        }
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn the_size_of_a_batch_changes_no_vector() {
    let texts = texts();
    let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
    let expected = shared().await.embed(&refs, EmbedRole::Query).await.unwrap();
    for tokens in [1, 8_192] {
        let embedder = opened(BertOptions::new().batch_tokens(MaxTokens(tokens))).await;
        let vectors = embedder.embed(&refs, EmbedRole::Query).await.unwrap();
        for (vector, expected) in vectors.iter().zip(&expected) {
            assert!(
                difference(vector, expected) <= TOLERANCE,
                "batches of {tokens}"
            );
        }
    }
}

#[tokio::test]
async fn an_abandoned_call_harms_no_other() {
    let embedder = shared().await;
    let long: Vec<String> = (0..400)
        .map(|n| format!("{n} {}", "river ".repeat(60)))
        .collect();
    let import = {
        let embedder = Arc::clone(&embedder);
        tokio::spawn(async move {
            let refs: Vec<&str> = long.iter().map(String::as_str).collect();
            embedder.embed(&refs, EmbedRole::Passage).await
        })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    import.abort();
    assert!(import.await.unwrap_err().is_cancelled());
    let vectors = embedder.embed(&["mill"], EmbedRole::Query).await.unwrap();
    assert_eq!(vectors[0].len(), embedder.profile().dimensions);
}

#[tokio::test]
async fn a_queue_of_one_serves_many_callers() {
    let embedder = Arc::new(opened(BertOptions::new().queue_depth(1).threads(1)).await);
    let expected = shared()
        .await
        .embed(&["mill 7"], EmbedRole::Query)
        .await
        .unwrap();
    let calls = (0..24).map(|n| {
        let embedder = Arc::clone(&embedder);
        tokio::spawn(async move {
            let texts = [format!("mill {n}"), format!("river {n}")];
            let refs = [texts[0].as_str(), texts[1].as_str()];
            embedder.embed(&refs, EmbedRole::Query).await
        })
    });
    for (n, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        let vectors = call.await.unwrap().unwrap();
        if n == 7 {
            assert!(difference(&vectors[0], &expected[0]) <= TOLERANCE);
        }
    }
}

#[tokio::test]
async fn a_long_text_is_cut_into_chunks_that_are_read_whole() {
    let embedder = shared().await;
    let text = "The miller of Tarn walked to the river and counted the boats. ".repeat(90);
    let chunks = embedder.chunk(&[&text, "short"]).await.unwrap();
    assert!(chunks[0].len() > 3, "{:?}", chunks[0]);
    assert_eq!(chunks[1].len(), 1);
    let (first, last) = (&chunks[0][0], &chunks[0][chunks[0].len() - 1]);
    assert_eq!((first.start, last.end), (0, text.len()));
}
