//! Text of any shape is taken.

use super::vectors::TEXTS;
use crate::check::{CheckFailure, CheckResult, ensure, ensure_eq};
use crate::embedder::CheckContext;
use crate::embedder::context::quote;
use crate::fixtures::ODD_TEXTS;

/// Empty, blank, emoji, control characters, a model's own markers: each has a
/// vector, alone and together.
pub async fn of_any_shape_are_taken(context: &CheckContext<'_>) -> CheckResult {
    let alone = context.embed_alone(&ODD_TEXTS).await?;
    let together = context.embed(&ODD_TEXTS).await?;
    for (text, vector) in ODD_TEXTS.into_iter().zip(alone.iter().chain(&together)) {
        context.sound(vector, text)?;
    }
    for (text, vector) in ODD_TEXTS.into_iter().zip(&together) {
        context.sound(vector, text)?;
    }
    Ok(())
}

/// What lies beyond the window does not count.
pub async fn beyond_the_window_do_not_count(context: &CheckContext<'_>) -> CheckResult {
    /// No content is as long, so no larger window can be told from none.
    const MOST_WORDS: usize = 20_000;
    let window = context.embedder().profile().max_tokens;
    if window > MOST_WORDS {
        let why = format!("the window of {window} tokens is longer than any memory");
        return Err(CheckFailure::NotApplicable(why));
    }
    // Each word is a token at least.
    let within = "bee ".repeat(window + 10);
    let beyond = format!("{within}and then something else entirely");
    let vectors = context.embed(&[&within, &beyond]).await?;
    context.sound(&vectors[0], &within)?;
    context.same(
        &vectors[1],
        &vectors[0],
        "a text that goes on past the window",
    )
}

/// Text of any length: ten thousand characters of several shapes, and far more
/// than any memory holds.
pub async fn may_be_very_long(context: &CheckContext<'_>) -> CheckResult {
    let texts = [
        "a".repeat(10_000),
        "記".repeat(10_000),
        "🐎".repeat(10_000),
        " ".repeat(10_000),
        "one more sentence. ".repeat(20_000),
    ];
    for text in &texts {
        let vectors = context.embed(&[text]).await?;
        context.sound(&vectors[0], text)?;
    }
    Ok(())
}

/// The share of unknown tokens is a number from 0 to 1, whatever the text, and 0 where it
/// has no token.
pub async fn unknown_tokens_are_a_share(context: &CheckContext<'_>) -> CheckResult {
    let embedder = context.embedder();
    for text in ["", " "] {
        let share = embedder.unknown_token_share(text);
        ensure_eq!(share, 0.0, "share of {}, which has no token", quote(text));
    }
    let long = [
        "a".repeat(10_000),
        "記".repeat(10_000),
        "🐎 ".repeat(5_000),
        " ".repeat(10_000),
    ];
    let long = long.iter().map(String::as_str);
    for text in ODD_TEXTS.into_iter().chain(TEXTS).chain(long) {
        let share = embedder.unknown_token_share(text);
        ensure!(
            (0.0..=1.0).contains(&share),
            "the share of {} is {share}, not a number from 0 to 1",
            quote(text)
        );
    }
    Ok(())
}
