//! Order, repetition and empty calls.

use memory_core::{EmbedRole, Embedder as _};

use super::{difference, refs, shared, turns};

#[tokio::test]
async fn an_empty_call_returns_nothing() {
    let embedder = shared().await;
    assert!(
        embedder
            .embed(&[], EmbedRole::Query)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(embedder.chunk(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn many_segments_are_returned_in_order() {
    let embedder = shared().await;
    let texts = turns(1_100);
    let vectors = embedder
        .embed(&refs(&texts), EmbedRole::Passage)
        .await
        .unwrap();
    assert_eq!(vectors.len(), texts.len());
    for n in (0..texts.len()).step_by(97) {
        let alone = embedder
            .embed(&[&texts[n]], EmbedRole::Passage)
            .await
            .unwrap();
        assert!(
            difference(&alone[0], &vectors[n]) <= 1e-4,
            "text {n} has another vector"
        );
    }
}

#[tokio::test]
async fn equal_texts_have_one_vector() {
    let embedder = shared().await;
    let vectors = embedder
        .embed(&["mill", "river", "mill", "mill"], EmbedRole::Passage)
        .await
        .unwrap();
    assert_eq!(vectors[0], vectors[2]);
    assert_eq!(vectors[0], vectors[3]);
    assert_ne!(vectors[0], vectors[1]);
}

#[tokio::test]
async fn text_of_any_shape_is_embedded() {
    let embedder = shared().await;
    let invisible = "\u{feff}\0\u{200d}".repeat(100_000);
    let accents = "Z\u{300}\u{301}\u{302}".repeat(9_000);
    let texts = [
        "",
        " ",
        "\0",
        "\u{10ffff}",
        "[CLS] [SEP] [MASK]",
        &invisible,
        &accents,
    ];
    let vectors = embedder.embed(&texts, EmbedRole::Query).await.unwrap();
    vectors
        .iter()
        .for_each(|vector| super::assert_normalized(vector));
    assert_eq!(embedder.chunk(&texts).await.unwrap().len(), texts.len());
}
