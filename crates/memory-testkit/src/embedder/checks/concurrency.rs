//! Many calls at once, some of them given up.

use futures_util::future::{join, join_all};
use memory_core::EmbedRole;

use super::vectors::TEXTS;
use crate::check::{At, CheckResult, ensure_eq};
use crate::embedder::CheckContext;
use crate::patience::drop_after;

/// Calls at once each get their own vectors.
pub async fn calls_do_not_mix(ground: &CheckContext<'_>) -> CheckResult {
    let alone = ground.embed_alone(&TEXTS).await?;
    let calls = (0..24).map(|call| async move {
        // Batches of different sizes from different places.
        let first = call % TEXTS.len();
        let count = 1 + call % (TEXTS.len() - first);
        let role = EmbedRole::Passage;
        let texts = &TEXTS[first..first + count];
        (first, count, ground.embedder().embed(texts, role).await)
    });
    for (first, count, vectors) in join_all(calls).await {
        let vectors = vectors.at("embed")?;
        ensure_eq!(vectors.len(), count, "vectors of one of many calls");
        for (vector, wanted) in vectors.iter().zip(&alone[first..]) {
            ground.same(vector, wanted, "one of many calls")?;
        }
    }
    Ok(())
}

/// A dropped call disturbs no other, neither beside it nor after it.
pub async fn dropped_calls_disturb_nobody(ground: &CheckContext<'_>) -> CheckResult {
    let alone = ground.embed_alone(&TEXTS).await?;
    let long = "a call that is given up before it is done. ".repeat(20);
    for round in 0..24 {
        let given_up = [&*long, TEXTS[round % TEXTS.len()]];
        let given_up = ground.embedder().embed(&given_up, EmbedRole::Passage);
        let (_, beside) = join(drop_after(round, given_up), ground.embed(&TEXTS[..2])).await;
        let beside = beside.at(format!("beside a dropped call, round {round}"))?;
        let after = ground.embed(&TEXTS[2..4]).await;
        let after = after.at(format!("after a dropped call, round {round}"))?;
        for (vector, wanted) in beside.iter().chain(&after).zip(&alone) {
            ground.same(vector, wanted, "around a dropped call")?;
        }
    }
    Ok(())
}
