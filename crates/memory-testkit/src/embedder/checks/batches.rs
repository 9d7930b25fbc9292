//! A vector does not depend on the company it is made in.

use futures_util::future::{join, join_all};
use memory_core::EmbedRole;

use super::vectors::TEXTS;
use crate::check::{At, CheckResult, ensure_eq};
use crate::embedder::CheckContext;
use crate::embedder::context::quote;
use crate::fixtures::ODD_TEXTS;
use crate::timing::drop_after;

/// Whatever the other texts of the batch, however many, however long, in
/// whatever order: the vector is the one that the text has alone.
pub async fn do_not_affect_vectors(context: &CheckContext<'_>) -> CheckResult {
    let long = "The wheel of the mill turned all night. ".repeat(30);
    let middling = "Rain fell on the harbour. ".repeat(6);
    let mut texts: Vec<&str> = TEXTS.into_iter().chain(ODD_TEXTS).collect();
    texts.extend([&*long, &*middling]);
    let alone = context.embed_alone(&texts).await?;
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
            let vectors = context.embed(&together).await?;
            for (vector, &index) in vectors.iter().zip(batch) {
                let what = format!("{} in a batch of {size}", quote(texts[index]));
                context.same(vector, &alone[index], &what)?;
            }
        }
    }
    Ok(())
}

/// A text may occur in a batch more than once, and has one vector.
pub async fn may_repeat_a_text(context: &CheckContext<'_>) -> CheckResult {
    let texts = [TEXTS[0], TEXTS[1], TEXTS[0], TEXTS[0], TEXTS[1]];
    let vectors = context.embed(&texts).await?;
    for (place, first) in [(2, 0), (3, 0), (4, 1)] {
        context.same(&vectors[place], &vectors[first], "a repeated text")?;
    }
    Ok(())
}

/// An empty slice gives an empty vector of vectors, in both roles.
pub async fn may_be_empty(context: &CheckContext<'_>) -> CheckResult {
    for role in [EmbedRole::Query, EmbedRole::Passage] {
        let vectors = context.embedder().embed(&[], role).await;
        let vectors = vectors.at("embed of nothing")?;
        ensure_eq!(vectors.len(), 0, "vectors of no texts");
    }
    Ok(())
}

/// A batch larger than any model takes at once.
pub async fn may_be_large(context: &CheckContext<'_>) -> CheckResult {
    let texts: Vec<String> = (0..200).map(|number| format!("number {number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = context.embed(&texts).await?;
    for place in [0, 1, 99, 198, 199] {
        context.sound(&vectors[place], texts[place])?;
        let alone = context.embed(&texts[place..=place]).await?;
        context.same(&vectors[place], &alone[0], texts[place])?;
    }
    Ok(())
}

/// Calls at once each get their own vectors.
pub async fn concurrent_calls_do_not_mix(context: &CheckContext<'_>) -> CheckResult {
    let alone = context.embed_alone(&TEXTS).await?;
    let calls = (0..24).map(|call| async move {
        // Batches of different sizes from different places.
        let first = call % TEXTS.len();
        let count = 1 + call % (TEXTS.len() - first);
        let role = EmbedRole::Passage;
        let texts = &TEXTS[first..first + count];
        (first, count, context.embedder().embed(texts, role).await)
    });
    for (first, count, vectors) in join_all(calls).await {
        let vectors = vectors.at("embed")?;
        ensure_eq!(vectors.len(), count, "vectors of one of many calls");
        for (vector, wanted) in vectors.iter().zip(&alone[first..]) {
            context.same(vector, wanted, "one of many calls")?;
        }
    }
    Ok(())
}

/// Calls at once in both roles: each gets the vectors of its own.
pub async fn concurrent_roles_do_not_mix(context: &CheckContext<'_>) -> CheckResult {
    const ROLES: [EmbedRole; 2] = [EmbedRole::Query, EmbedRole::Passage];
    let embedder = context.embedder();
    let mut alone = Vec::new();
    for text in TEXTS {
        for role in ROLES {
            let vectors = embedder.embed(&[text], role).await.at("embed")?;
            ensure_eq!(vectors.len(), 1, "vectors of one text");
            alone.extend(vectors.into_iter().map(|vector| (text, role, vector)));
        }
    }
    // Each role is the first of the calls once.
    for rotation in 0..ROLES.len() {
        let mut calls: Vec<_> = alone.iter().collect();
        calls.rotate_left(rotation);
        let calls = calls.into_iter().map(|(text, role, wanted)| async move {
            let vectors = embedder.embed(&[*text], *role).await;
            (text, role, wanted, vectors)
        });
        for (text, role, wanted, vectors) in join_all(calls).await {
            let vectors = vectors.at("embed")?;
            ensure_eq!(vectors.len(), 1, "vectors of one of many calls");
            let what = format!("{} as {role:?}, one of many calls", quote(text));
            context.same(&vectors[0], wanted, &what)?;
        }
    }
    Ok(())
}

/// A dropped call affects no other call, concurrent or later.
pub async fn dropped_calls_have_no_effect(context: &CheckContext<'_>) -> CheckResult {
    let alone = context.embed_alone(&TEXTS).await?;
    let long = "a call that is given up before it is done. ".repeat(20);
    for round in 0..24 {
        let given_up = [&*long, TEXTS[round % TEXTS.len()]];
        let given_up = context.embedder().embed(&given_up, EmbedRole::Passage);
        let (_, concurrent) = join(drop_after(round, given_up), context.embed(&TEXTS[..2])).await;
        let concurrent = concurrent.at(format!("concurrent with a dropped call, round {round}"))?;
        let after = context.embed(&TEXTS[2..4]).await;
        let after = after.at(format!("after a dropped call, round {round}"))?;
        for (vector, wanted) in concurrent.iter().chain(&after).zip(&alone) {
            context.same(vector, wanted, "around a dropped call")?;
        }
    }
    Ok(())
}
