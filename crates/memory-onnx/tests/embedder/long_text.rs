//! Chunks of long texts.

use memory_core::{EmbedRole, Embedder as _, cosine};

use super::{refs, shared};

const FACT: &str =
    "Grandmother Odile hid the silver locket under the third step of the cellar stairs.";
const QUESTION: &str = "Where is the silver locket hidden?";

/// 10,000 characters of other content, ending with the fact.
fn long_memory() -> String {
    let filler =
        "The caravan moved on through rain and mud, and nobody spoke of anything but bread. ";
    let mut text = filler.repeat(10_000 / filler.len());
    text.truncate(10_000 - FACT.len() - 1);
    text.push(' ');
    text.push_str(FACT);
    assert_eq!(text.chars().count(), 10_000);
    text
}

#[tokio::test]
async fn a_fact_in_the_last_sentence_of_10_000_characters_is_found() {
    let embedder = shared().await;
    let memory = long_memory();
    let unrelated = [
        "Tam sold me a lame horse at the spring fair.",
        "The mill stands north of the bridge.",
        "A locksmith's guild meets on the first day of the month.",
        "Silver is mined in the hills to the east.",
    ];
    let chunks = embedder.chunk(&[&memory]).await.unwrap().remove(0);
    assert!(chunks.len() > 5);
    let mut texts: Vec<&str> = chunks.iter().map(|range| &memory[range.clone()]).collect();
    texts.extend(unrelated);
    texts.push(&memory);
    let vectors = embedder.embed(&texts, EmbedRole::Passage).await.unwrap();
    let query = embedder.embed(&[QUESTION], EmbedRole::Query).await.unwrap();
    let score = |vector: &Vec<f32>| cosine(&query[0], vector);
    let best = |vectors: &[Vec<f32>]| vectors.iter().map(score).fold(f32::MIN, f32::max);
    let (chunked, rest) = vectors.split_at(chunks.len());
    let (others, whole) = rest.split_at(unrelated.len());
    assert!(
        best(chunked) > best(others),
        "{} <= {}",
        best(chunked),
        best(others)
    );
    // Without chunks, truncated to the maximum length, the fact is not found.
    assert!(score(&whole[0]) < best(others));
}

#[tokio::test]
async fn chunks_of_short_and_long_texts_are_returned_in_order() {
    let embedder = shared().await;
    let memory = long_memory();
    let texts: Vec<&str> = (0..40)
        .map(|n| if n % 3 == 0 { &memory } else { FACT })
        .collect();
    let chunks = embedder.chunk(&texts).await.unwrap();
    assert_eq!(chunks.len(), texts.len());
    for (text, chunks) in texts.iter().zip(&chunks) {
        assert_eq!(chunks.len() > 1, text.len() > FACT.len());
        assert_eq!(chunks.last().unwrap().end, text.len());
    }
}

/// Every text of a large batch gets its own chunks. The texts are several
/// segments of 256 KiB, and all of different lengths.
#[tokio::test]
async fn each_long_text_of_many_segments_gets_its_own_chunks() {
    let embedder = shared().await;
    let sentence = "The caravan moved on through rain and mud. ";
    let texts: Vec<String> = (0..220)
        .map(|n| format!("{n}: {}", &sentence.repeat(220)[..2_000 + n * 31]))
        .collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    assert!(bytes > 4 * 256 * 1024, "{bytes} bytes are too few segments");
    let chunks = embedder.chunk(&refs(&texts)).await.unwrap();
    assert_eq!(chunks.len(), texts.len());
    for (n, (text, chunks)) in texts.iter().zip(&chunks).enumerate() {
        assert_eq!(chunks.first().unwrap().start, 0, "text {n}");
        assert_eq!(chunks.last().unwrap().end, text.len(), "text {n}");
        for pair in chunks.windows(2) {
            assert!(pair[1].start < pair[0].end, "text {n} has a gap");
        }
    }
    // The same as each text alone, at the boundaries of the segments and beyond.
    for n in (0..texts.len()).step_by(27) {
        let alone = embedder.chunk(&[&texts[n]]).await.unwrap();
        assert_eq!(alone[0], chunks[n], "text {n}");
    }
}
