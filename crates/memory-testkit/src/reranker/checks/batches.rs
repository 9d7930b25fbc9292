//! A score does not depend on the other texts of its call.

use futures_util::future::{join, join_all};

use super::scores::{QUESTION, TEXTS};
use crate::check::{At, CheckResult, ensure_eq};
use crate::fixtures::ODD_TEXTS;
use crate::reranker::CheckContext;
use crate::timing::drop_after;

/// Whatever the other texts, however many, however long, in whatever order: the
/// score is the one that the text has alone.
pub async fn do_not_affect_scores(context: &CheckContext<'_>) -> CheckResult {
    let long = "The wheel of the mill turned all night. ".repeat(30);
    let mut texts: Vec<&str> = TEXTS.into_iter().chain(ODD_TEXTS).collect();
    texts.push(&long);
    let alone = context.score_alone(QUESTION, &texts).await?;
    let mut rng = context.rng();
    let mut order: Vec<usize> = (0..texts.len()).collect();
    for _ in 0..4 {
        rng.shuffle(&mut order);
        let mut rest = &order[..];
        while !rest.is_empty() {
            let size = (1 + rng.below(texts.len())).min(rest.len());
            let (batch, left) = rest.split_at(size);
            rest = left;
            let together: Vec<&str> = batch.iter().map(|&index| texts[index]).collect();
            let scores = context.score(QUESTION, &together).await?;
            for (score, &index) in scores.iter().zip(batch) {
                let what = format!("text {index} in a batch of {size}");
                context.same(*score, alone[index], &what)?;
            }
        }
    }
    Ok(())
}

/// An empty slice gives no scores.
pub async fn may_be_empty(context: &CheckContext<'_>) -> CheckResult {
    let scores = context.reranker().score(QUESTION, &[]).await;
    let scores = scores.at("score of no texts")?;
    ensure_eq!(scores.len(), 0, "scores of no texts");
    Ok(())
}

/// A batch larger than any model takes at once.
pub async fn may_be_large(context: &CheckContext<'_>) -> CheckResult {
    let texts: Vec<String> = (0..200)
        .map(|number| format!("horse number {number}"))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let scores = context.score(QUESTION, &texts).await?;
    for place in [0, 1, 99, 198, 199] {
        let alone = context.score(QUESTION, &texts[place..=place]).await?;
        context.same(scores[place], alone[0], texts[place])?;
    }
    Ok(())
}

/// Calls at once each get their own scores.
pub async fn concurrent_calls_do_not_mix(context: &CheckContext<'_>) -> CheckResult {
    let questions = [QUESTION, "Where is the mill?"];
    let mut alone = Vec::new();
    for question in questions {
        alone.push(context.score_alone(question, &TEXTS).await?);
    }
    let calls = (0..24).map(|call| async move {
        let question = call % questions.len();
        let first = call % TEXTS.len();
        let scores = context
            .reranker()
            .score(questions[question], &TEXTS[first..]);
        (question, first, scores.await)
    });
    for (question, first, scores) in join_all(calls).await {
        let scores = scores.at("score")?;
        ensure_eq!(
            scores.len(),
            TEXTS.len() - first,
            "scores of one of many calls"
        );
        for (score, wanted) in scores.iter().zip(&alone[question][first..]) {
            context.same(*score, *wanted, "one of many calls")?;
        }
    }
    Ok(())
}

/// A dropped call affects no other call, concurrent or later.
pub async fn dropped_calls_have_no_effect(context: &CheckContext<'_>) -> CheckResult {
    let alone = context.score_alone(QUESTION, &TEXTS).await?;
    let long = "a call that is given up before it is done. ".repeat(20);
    for round in 0..24 {
        let given_up = [&*long, TEXTS[round % TEXTS.len()]];
        let given_up = context.reranker().score(QUESTION, &given_up);
        let concurrent = context.score(QUESTION, &TEXTS[..2]);
        let (_, concurrent) = join(drop_after(round, given_up), concurrent).await;
        let concurrent = concurrent.at(format!("concurrent with a dropped call, round {round}"))?;
        let after = context.score(QUESTION, &TEXTS[2..4]).await;
        let after = after.at(format!("after a dropped call, round {round}"))?;
        for (score, wanted) in concurrent.iter().chain(&after).zip(&alone) {
            context.same(*score, *wanted, "around a dropped call")?;
        }
    }
    Ok(())
}
