//! Vectors: one per text, in order, of unit length.

use memory_core::EmbedRole;

use crate::check::{At, CheckResult, ensure, ensure_eq};
use crate::embedder::CheckContext;
use crate::embedder::context::apart;

/// Texts that every embedder distinguishes.
pub(super) const TEXTS: [&str; 8] = [
    "The mill stands north of the bridge.",
    "Tam sold me a lame horse at the spring fair.",
    "storm",
    "Wenna keeps bees, and her honey is the best in three valleys.",
    "Who repaired the roof?",
    "Ticket INC-90312 was closed on 4 March.",
    "Die Brücke war im Winter gesperrt.",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9",
];

/// The profile names a model and its measures, and stays the same.
pub async fn come_from_a_named_model(context: &CheckContext<'_>) -> CheckResult {
    let profile = context.embedder().profile().clone();
    ensure!(!profile.model.is_empty(), "the model has no name");
    profile.validate().at("profile")?;
    ensure!(profile.max_tokens > 0, "the window holds no token");
    context.embed(&TEXTS[..2]).await?;
    ensure_eq!(*context.embedder().profile(), profile, "profile later on");
    Ok(())
}

/// One vector per text, in the order of the texts.
pub async fn come_one_for_each_text_in_order(context: &CheckContext<'_>) -> CheckResult {
    let alone = context.embed_alone(&TEXTS).await?;
    for (a, first) in alone.iter().enumerate() {
        for (b, second) in alone.iter().enumerate().skip(a + 1) {
            ensure!(
                apart(first, second) > 1e-3,
                "{:?} and {:?} have one vector",
                TEXTS[a],
                TEXTS[b]
            );
        }
    }
    for count in [1, 2, TEXTS.len()] {
        let together = context.embed(&TEXTS[..count]).await?;
        for (place, (got, wanted)) in together.iter().zip(&alone).enumerate() {
            context.same(got, wanted, &format!("place {place} of {count}"))?;
        }
    }
    Ok(())
}

/// As many components as the profile says, finite, of length 1.
pub async fn are_unit_vectors(context: &CheckContext<'_>) -> CheckResult {
    let vectors = context.embed(&TEXTS).await?;
    let mut pairs = vectors.iter().zip(TEXTS);
    pairs.try_for_each(|(vector, text)| context.sound(vector, text))
}

/// Equal text and role give an equal vector, whenever asked.
pub async fn are_repeatable(context: &CheckContext<'_>) -> CheckResult {
    let first = context.embed(&TEXTS).await?;
    for _ in 0..3 {
        let again = context.embed(&TEXTS).await?;
        for ((got, wanted), text) in again.iter().zip(&first).zip(TEXTS) {
            context.same(got, wanted, text)?;
        }
    }
    Ok(())
}

/// Both roles are embedded, each alike whenever asked.
pub async fn serve_both_roles(context: &CheckContext<'_>) -> CheckResult {
    for role in [EmbedRole::Query, EmbedRole::Passage] {
        let embedder = context.embedder();
        let first = embedder.embed(&TEXTS, role).await.at("embed")?;
        ensure_eq!(first.len(), TEXTS.len(), "vectors for {role:?}");
        for (place, text) in TEXTS.iter().enumerate() {
            context.sound(&first[place], text)?;
            let alone = embedder.embed(&[text], role).await.at("embed")?;
            ensure_eq!(alone.len(), 1, "vectors for {role:?}");
            context.same(&alone[0], &first[place], &format!("{role:?}, {text}"))?;
        }
    }
    Ok(())
}
