//! Scores of answers are higher: for rerankers with a trained model.

use crate::check::{CheckResult, ensure};
use crate::reranker::CheckContext;

/// Questions, each with an answer and a sentence on something else.
const QUESTIONS: [(&str, &str, &str); 4] = [
    (
        "Who sold me the lame horse?",
        "Tam sold me a lame horse at the spring fair.",
        "The mill stands north of the bridge.",
    ),
    (
        "Where does Wenna keep her bees?",
        "Wenna keeps her bees behind the old barn.",
        "The ticket was closed in March.",
    ),
    (
        "When was the bridge closed?",
        "The bridge was closed in the winter of the flood.",
        "Honey is sweeter than sugar.",
    ),
    (
        "What is the capital of France?",
        "The capital of France is Paris.",
        "My brother plays the violin.",
    ),
];

/// An answer scores higher than a sentence on something else.
pub async fn answers_score_higher(context: &CheckContext<'_>) -> CheckResult {
    for (question, answer, other) in QUESTIONS {
        let scores = context.score(question, &[other, answer]).await?;
        ensure!(
            scores[1] > scores[0],
            "{question:?}: {answer:?} scores {}, {other:?} {}",
            scores[1],
            scores[0]
        );
    }
    Ok(())
}
