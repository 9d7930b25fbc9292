//! Texts and questions of any shape are taken.

use super::scores::{QUESTION, TEXTS};
use crate::check::CheckResult;
use crate::fixtures::ODD_TEXTS;
use crate::reranker::CheckContext;

/// Empty, blank, emoji, control characters, a model's own markers: each text has
/// a score, alone and together.
pub async fn of_any_shape_are_taken(context: &CheckContext<'_>) -> CheckResult {
    context.score_alone(QUESTION, &ODD_TEXTS).await?;
    context.score(QUESTION, &ODD_TEXTS).await.map(drop)
}

/// A question of any shape gives scores.
pub async fn of_any_shape_may_be_questions(context: &CheckContext<'_>) -> CheckResult {
    for question in ODD_TEXTS {
        context.score(question, &TEXTS[..2]).await?;
    }
    Ok(())
}

/// Texts and questions beyond any model's window.
pub async fn may_be_very_long(context: &CheckContext<'_>) -> CheckResult {
    let words = "one more sentence. ".repeat(20_000);
    let letters = "a".repeat(10_000);
    for long in [&words, &letters] {
        context.score(QUESTION, &[long, TEXTS[0]]).await?;
        context.score(long, &[TEXTS[0], long]).await?;
    }
    Ok(())
}
