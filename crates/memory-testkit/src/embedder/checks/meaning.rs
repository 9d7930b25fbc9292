//! Vectors mean something.

use memory_core::{EmbedRole, cosine};

use crate::check::{At, CheckResult, ensure, ensure_eq};
use crate::embedder::CheckContext;

/// A question, what answers it in other words, and what does not.
const TRIPLES: [[&str; 3]; 6] = [
    [
        "Where does the cat sleep?",
        "Our kitten naps on the sofa.",
        "The parliament passed a tax law.",
    ],
    [
        "What is the weather like?",
        "It has been raining since dawn.",
        "She plays the violin in an orchestra.",
    ],
    [
        "How can I repair my bicycle?",
        "Fixing a flat tyre on a bike takes ten minutes.",
        "The bread must rise for an hour.",
    ],
    [
        "Who is ill?",
        "The doctor says that grandfather has a fever.",
        "The bridge is made of stone.",
    ],
    [
        "What did the merchant sell?",
        "The trader offered cloth and spices for silver.",
        "The mountain is covered with snow.",
    ],
    [
        "Why was the train late?",
        "The railway was delayed by a faulty signal.",
        "Tulips bloom in spring.",
    ],
];

/// A question is closer to what answers it than to anything else here.
pub async fn related_texts_are_closer(context: &CheckContext<'_>) -> CheckResult {
    let embedder = context.embedder();
    let questions = TRIPLES.map(|[question, ..]| question);
    let questions = embedder.embed(&questions, EmbedRole::Query).await;
    let questions = questions.at("embed questions")?;
    ensure_eq!(questions.len(), TRIPLES.len(), "vectors");
    let related = context
        .embed(&TRIPLES.map(|[_, related, _]| related))
        .await?;
    let unrelated = context
        .embed(&TRIPLES.map(|[.., unrelated]| unrelated))
        .await?;
    for (index, question) in questions.iter().enumerate() {
        let near = cosine(question, &related[index]);
        for (other, far) in unrelated.iter().enumerate() {
            let far = cosine(question, far);
            ensure!(
                near > far,
                "{:?}: {near} to {:?} and {far} to {:?}",
                TRIPLES[index][0],
                TRIPLES[index][1],
                TRIPLES[other][2]
            );
        }
    }
    Ok(())
}
