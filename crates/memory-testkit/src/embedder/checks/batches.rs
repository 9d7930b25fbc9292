//! A vector does not depend on the company it is made in.

use memory_core::EmbedRole;

use super::texts::ODD_TEXTS;
use super::vectors::TEXTS;
use crate::check::{At, CheckResult, ensure_eq};
use crate::embedder::CheckContext;
use crate::embedder::ground::shown;

/// Whatever the other texts of the batch, however many, however long, in
/// whatever order: the vector is the one that the text has alone.
pub async fn do_not_depend_on_their_mates(ground: &CheckContext<'_>) -> CheckResult {
    let long = "The wheel of the mill turned all night. ".repeat(30);
    let middling = "Rain fell on the harbour. ".repeat(6);
    let mut texts: Vec<&str> = TEXTS.into_iter().chain(ODD_TEXTS).collect();
    texts.extend([&*long, &*middling]);
    let alone = ground.embed_alone(&texts).await?;
    let mut chance = ground.chance();
    let mut order: Vec<usize> = (0..texts.len()).collect();
    for _ in 0..4 {
        chance.shuffle(&mut order);
        let mut rest = &order[..];
        while !rest.is_empty() {
            let size = (1 + chance.below(texts.len())).min(rest.len());
            let (batch, left) = rest.split_at(size);
            rest = left;
            let together: Vec<&str> = batch.iter().map(|&index| texts[index]).collect();
            let vectors = ground.embed(&together).await?;
            for (vector, &index) in vectors.iter().zip(batch) {
                let what = format!("{} in a batch of {size}", shown(texts[index]));
                ground.same(vector, &alone[index], &what)?;
            }
        }
    }
    Ok(())
}

/// A text may stand in a batch more than once, and has one vector.
pub async fn may_repeat_a_text(ground: &CheckContext<'_>) -> CheckResult {
    let texts = [TEXTS[0], TEXTS[1], TEXTS[0], TEXTS[0], TEXTS[1]];
    let vectors = ground.embed(&texts).await?;
    for (place, first) in [(2, 0), (3, 0), (4, 1)] {
        ground.same(&vectors[place], &vectors[first], "a repeated text")?;
    }
    Ok(())
}

/// An empty slice gives an empty vector of vectors, in both roles.
pub async fn may_be_empty(ground: &CheckContext<'_>) -> CheckResult {
    for role in [EmbedRole::Query, EmbedRole::Passage] {
        let vectors = ground.embedder().embed(&[], role).await;
        let vectors = vectors.at("embed of nothing")?;
        ensure_eq!(vectors.len(), 0, "vectors of no texts");
    }
    Ok(())
}

/// A batch larger than any model takes at once.
pub async fn may_be_large(ground: &CheckContext<'_>) -> CheckResult {
    let texts: Vec<String> = (0..200).map(|number| format!("number {number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = ground.embed(&texts).await?;
    for place in [0, 1, 99, 198, 199] {
        ground.sound(&vectors[place], texts[place])?;
        let alone = ground.embed(&texts[place..=place]).await?;
        ground.same(&vectors[place], &alone[0], texts[place])?;
    }
    Ok(())
}
