//! Batches, concurrent calls and long texts.

use std::sync::Arc;
use std::time::Duration;

use memory_bert::{BertOptions, MaxTokens};
use memory_core::{EmbedRole, Embedder as _};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::parity::texts;
use super::{difference, opened, shared};

/// The allowed difference of a vector's components between batches, in which sums
/// have another order.
const TOLERANCE: f32 = 1e-5;

#[test]
fn vectors_do_not_depend_on_the_batch() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let embedder = runtime.block_on(shared());
    let texts = texts();
    let embed = |texts: &[&str]| {
        let vectors = runtime.block_on(embedder.embed(texts, EmbedRole::Passage));
        vectors.unwrap()
    };
    let alone: Vec<Vec<f32>> = texts.iter().map(|text| embed(&[text]).remove(0)).collect();
    let batches = prop::collection::vec(0..texts.len(), 1..32);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(12));
    let outcome = runner.run(&batches, |indices| {
        let together: Vec<&str> = indices.iter().map(|index| texts[*index].as_str()).collect();
        for (index, vector) in indices.iter().zip(embed(&together)) {
            prop_assert!(difference(&vector, &alone[*index]) <= TOLERANCE);
        }
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn vectors_do_not_depend_on_the_batch_size() {
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
async fn a_cancelled_call_does_not_affect_others() {
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
async fn a_long_text_is_divided_into_chunks_that_cover_it() {
    let embedder = shared().await;
    let text = "The miller of Tarn walked to the river and counted the boats. ".repeat(90);
    let chunks = embedder.chunk(&[&text, "short"]).await.unwrap();
    assert!(chunks[0].len() > 3, "{:?}", chunks[0]);
    assert_eq!(chunks[1].len(), 1);
    let (first, last) = (&chunks[0][0], &chunks[0][chunks[0].len() - 1]);
    assert_eq!((first.start, last.end), (0, text.len()));
}

/// Every text of a large batch gets its own chunks.
#[tokio::test]
async fn each_of_many_long_texts_gets_its_own_chunks() {
    let embedder = shared().await;
    let sentence = "The caravan moved on through rain and mud. ";
    let texts: Vec<String> = (0..60)
        .map(|n| format!("{n}: {}", &sentence.repeat(110)[..1_500 + n * 31]))
        .collect();
    let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
    let chunks = embedder.chunk(&refs).await.unwrap();
    for (n, (text, chunks)) in texts.iter().zip(&chunks).enumerate() {
        assert_eq!(chunks.first().unwrap().start, 0, "text {n}");
        assert_eq!(chunks.last().unwrap().end, text.len(), "text {n}");
        for pair in chunks.windows(2) {
            assert!(pair[1].start < pair[0].end, "text {n} has a gap");
        }
    }
}
