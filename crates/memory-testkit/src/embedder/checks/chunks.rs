//! [`Embedder::chunk`](memory_core::Embedder::chunk).

use std::ops::Range;

use super::vectors::TEXTS;
use crate::check::{At, CheckResult, ensure, ensure_eq};
use crate::embedder::CheckContext;
use crate::embedder::context::{apart, quote};
use crate::fixtures::ODD_TEXTS;
use crate::fixtures::WORDS;

/// Long texts: prose, no sentence ends, no spaces, no words, odd white space.
fn long_texts() -> Vec<String> {
    let prose: String = (0..120)
        .map(|n| {
            format!(
                "On day {n} the miller of Oster counted {} sacks of flour. ",
                n * 7
            )
        })
        .collect();
    let endless: String = (0..1_500).map(|n| format!("w{n} ")).collect();
    let spaced: String = (0..800)
        .map(|n| format!("\n\n\tline {n}\u{3000}  "))
        .collect();
    vec![
        prose,
        endless,
        spaced,
        "記憶は川のように流れる。".repeat(400),
        "Ünïcödé wörds ëvërÿwhërë, née naïve; ".repeat(200),
        "🐎 👩‍👩‍👧‍👦! ".repeat(600),
        "a".repeat(10_000),
        "…!? ".repeat(2_000),
    ]
}

/// One list per text, in order, each of at least one range; none for none.
pub async fn come_one_list_for_each_text(context: &CheckContext<'_>) -> CheckResult {
    ensure_eq!(context.chunk(&[]).await?.len(), 0, "lists of no texts");
    let long = long_texts();
    let mut texts: Vec<&str> = long.iter().map(String::as_str).collect();
    texts.extend(TEXTS);
    context.rng().shuffle(&mut texts);
    let together = context.chunk(&texts).await?;
    for (text, pieces) in texts.iter().zip(&together) {
        ensure!(!pieces.is_empty(), "no range for {}", quote(text));
        let alone = context.chunk(&[text]).await?;
        ensure_eq!(*pieces, alone[0], "ranges of {}", quote(text));
    }
    Ok(())
}

/// A text that fits is one range, the whole of it, white space and all.
pub async fn leave_fitting_texts_whole(context: &CheckContext<'_>) -> CheckResult {
    let texts: Vec<&str> = ["hello", "  hello  there \n", "🐎"]
        .into_iter()
        .chain(ODD_TEXTS.into_iter().take(7))
        .collect();
    let window = context.embedder().profile().max_tokens;
    for (text, pieces) in texts.iter().zip(context.chunk(&texts).await?) {
        // A byte is a token at most, and special tokens need some room.
        if text.len() + 4 <= window {
            let whole = 0..text.len();
            ensure_eq!(pieces, std::slice::from_ref(&whole), "ranges of {text:?}");
        }
    }
    Ok(())
}

/// Ranges lie on character boundaries, within the text, in its order.
pub async fn lie_on_characters(context: &CheckContext<'_>) -> CheckResult {
    for (text, pieces) in cut(context).await? {
        for piece in &pieces {
            ensure!(
                text.get(piece.clone())
                    .is_some_and(|piece| !piece.is_empty()),
                "{piece:?} is no piece of {}",
                quote(&text)
            );
        }
        for pair in pieces.windows(2) {
            ensure!(
                pair[0].start < pair[1].start && pair[0].end < pair[1].end,
                "{:?} does not come after {:?} in {}",
                pair[1],
                pair[0],
                quote(&text)
            );
        }
    }
    Ok(())
}

/// Together the ranges cover all that is not white space.
pub async fn cover_everything(context: &CheckContext<'_>) -> CheckResult {
    for (text, pieces) in cut(context).await? {
        let mut covered = 0;
        for piece in pieces.iter().chain([&(text.len()..text.len())]) {
            let gap = text.get(covered..piece.start.max(covered)).unwrap_or("?");
            ensure!(
                gap.trim().is_empty(),
                "{} is in no range of {}",
                quote(gap),
                quote(&text)
            );
            covered = covered.max(piece.end);
        }
    }
    Ok(())
}

/// In a large batch of long texts, each text has its own ranges: on character
/// boundaries, in order, covering all that is not white space.
pub async fn cover_each_text_of_a_large_batch(context: &CheckContext<'_>) -> CheckResult {
    let texts = large_batch(context);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = context.chunk(&texts).await?;
    for (index, (text, pieces)) in texts.iter().zip(&together).enumerate() {
        covers(text, pieces).at(format!("text {index} of {}", texts.len()))?;
    }
    for index in [0, 1, 63, 64, 127, 128, 200, LARGE_BATCH - 1] {
        let alone = context.chunk(&texts[index..=index]).await?;
        ensure_eq!(together[index], alone[0], "ranges of text {index}");
    }
    Ok(())
}

/// Texts in a large batch.
const LARGE_BATCH: usize = 256;

/// 256 texts of 2,000 to 9,000 characters, of which a few need more than one
/// byte each: beyond a megabyte together, more than embedders cut at once.
fn large_batch(context: &CheckContext<'_>) -> Vec<String> {
    let mut rng = context.rng();
    let mut text = |number: usize| {
        let chars = 2_000 + rng.below(7_001);
        let mut text = format!("Text {number}:");
        let mut length = text.chars().count();
        while length < chars {
            let word = *rng.pick(&WORDS);
            text.push_str(if rng.one_in(12) { ". Übrigens, " } else { " " });
            text.push_str(word);
            length = text.chars().count();
        }
        text.chars().take(chars).collect()
    };
    (0..LARGE_BATCH).map(&mut text).collect()
}

/// Ranges lie on character boundaries, in order, and leave out white space only.
fn covers(text: &str, pieces: &[Range<usize>]) -> CheckResult {
    let mut covered = 0;
    let mut start = None;
    for piece in pieces {
        ensure!(
            text.get(piece.clone()).is_some_and(|it| !it.is_empty()),
            "{piece:?} is no piece of {}",
            quote(text)
        );
        ensure!(
            start.is_none_or(|start| start < piece.start) && covered < piece.end,
            "{piece:?} is out of order in {}",
            quote(text)
        );
        uncovered(text, covered..piece.start)?;
        (start, covered) = (Some(piece.start), piece.end);
    }
    uncovered(text, covered..text.len())
}

/// A gap between ranges, which may be of white space only.
fn uncovered(text: &str, gap: Range<usize>) -> CheckResult {
    let missing = text.get(gap).unwrap_or_default();
    ensure!(
        missing.trim().is_empty(),
        "{} is in no range of {}",
        quote(missing),
        quote(text)
    );
    Ok(())
}

/// Neighbors overlap, so that no sentence is lost on a cut.
pub async fn overlap(context: &CheckContext<'_>) -> CheckResult {
    for (text, pieces) in cut(context).await? {
        for pair in pieces.windows(2) {
            ensure!(
                pair[1].start < pair[0].end,
                "{:?} and {:?} do not overlap in {}",
                pair[0],
                pair[1],
                quote(&text)
            );
        }
    }
    Ok(())
}

/// The window holds each piece whole: its last word counts.
pub async fn fit_the_window(context: &CheckContext<'_>) -> CheckResult {
    // Below this, two vectors are those of one text.
    const NOTICED: f32 = 1e-6;
    for text in &long_texts()[..2] {
        let pieces = &context.chunk(&[text]).await?[0];
        for place in [0, pieces.len() / 2, pieces.len() - 1] {
            let piece = text[pieces[place].clone()].trim_end();
            let end = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
            let last_word = end.rfind(' ').map_or(0, |space| space + 1);
            let altered = format!("{}zebra", &piece[..last_word]);
            let original = &piece[..end.len()];
            let vectors = context.embed(&[original, &altered]).await?;
            ensure!(
                apart(&vectors[0], &vectors[1]) > NOTICED,
                "the last word of piece {place} of {} does not count: the window does not hold it",
                quote(text)
            );
        }
    }
    Ok(())
}

/// Long texts and their pieces.
async fn cut(
    context: &CheckContext<'_>,
) -> Result<Vec<(String, Vec<Range<usize>>)>, crate::check::CheckFailure> {
    let texts = long_texts();
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let pieces = context.chunk(&borrowed).await?;
    Ok(texts.into_iter().zip(pieces).collect())
}
