//! Scores: one per text, in order, finite, of the pair.

use crate::check::{CheckResult, ensure};
use crate::reranker::CheckContext;
use crate::reranker::context::is_same;

/// A question, and texts that every reranker distinguishes.
pub(super) const QUESTION: &str = "Who sold me the lame horse?";
pub(super) const TEXTS: [&str; 6] = [
    "Tam sold me a lame horse at the spring fair.",
    "The mill stands north of the bridge.",
    "storm",
    "Wenna keeps bees, and her honey is the best in three valleys.",
    "The horse was lame when I led it home, and the smith only laughed.",
    "Ticket INC-90312 was closed on 4 March.",
];

/// The model has a name.
pub async fn come_from_a_named_model(context: &CheckContext<'_>) -> CheckResult {
    ensure!(
        !context.reranker().model().is_empty(),
        "the model has no name"
    );
    Ok(())
}

/// One score per text, in the order of the texts.
pub async fn come_one_for_each_text_in_order(context: &CheckContext<'_>) -> CheckResult {
    let alone = context.score_alone(QUESTION, &TEXTS).await?;
    let first = alone[0];
    ensure!(
        alone.iter().any(|score| !is_same(*score, first)),
        "all texts have the score {first}"
    );
    for count in [1, 2, TEXTS.len()] {
        let together = context.score(QUESTION, &TEXTS[..count]).await?;
        for (place, (got, wanted)) in together.iter().zip(&alone).enumerate() {
            context.same(*got, *wanted, &format!("place {place} of {count}"))?;
        }
    }
    Ok(())
}

/// Every score is a finite number.
pub async fn are_finite(context: &CheckContext<'_>) -> CheckResult {
    context.score(QUESTION, &TEXTS).await.map(drop)
}

/// The same pair has the same score, whenever asked.
pub async fn are_repeatable(context: &CheckContext<'_>) -> CheckResult {
    let first = context.score(QUESTION, &TEXTS).await?;
    for _ in 0..3 {
        let again = context.score(QUESTION, &TEXTS).await?;
        for ((got, wanted), text) in again.iter().zip(&first).zip(TEXTS) {
            context.same(*got, *wanted, text)?;
        }
    }
    Ok(())
}

/// Another question gives other scores.
pub async fn depend_on_the_question(context: &CheckContext<'_>) -> CheckResult {
    let first = context.score(QUESTION, &TEXTS).await?;
    let other = context.score("Where is the mill?", &TEXTS).await?;
    let mut pairs = first.iter().zip(&other);
    ensure!(
        pairs.any(|(a, b)| !is_same(*a, *b)),
        "two questions have the same scores"
    );
    Ok(())
}
