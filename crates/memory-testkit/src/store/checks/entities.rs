//! [`Store::entity_stats`](memory_core::Store::entity_stats) and
//! [`Store::list_entities`](memory_core::Store::list_entities).

use memory_core::{EntityId, EntityStats, Generation};

use crate::check::{At, CheckFailure, CheckResult, ensure_eq};
use crate::fixtures::plain;
use crate::store::CheckContext;

/// Zeros for an entity never written to.
pub async fn stats_start_at_zero(context: &CheckContext) -> CheckResult {
    let nobody = context.entity("nobody");
    let stats = context.store().entity_stats(&nobody).await;
    ensure_eq!(stats.at("entity_stats")?, EntityStats::default(), "stats");
    Ok(())
}

/// Generation and count follow every write.
pub async fn stats_follow_writes(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let batch = context.populate(&mira, 4, &mut rng).await?;
    let store = context.store();
    let stats =
        |generation, memory_count| EntityStats::new(Generation(generation), memory_count, 0);
    let now = || async { store.entity_stats(&mira).await.at("entity_stats") };
    ensure_eq!(now().await?, stats(1, 4), "after 4 inserts");
    context.insert(&batch).await?;
    ensure_eq!(now().await?, stats(1, 4), "after a repetition");
    context
        .insert(&[plain(&mira, "one more", &mut rng)])
        .await?;
    ensure_eq!(now().await?, stats(2, 5), "after one more");
    let ids = [batch[0].memory.id, batch[1].memory.id];
    store.delete(&mira, &ids).await.at("delete")?;
    ensure_eq!(now().await?, stats(3, 3), "after 2 deletions");
    context.insert(&batch[..1]).await?;
    ensure_eq!(now().await?, stats(4, 4), "after 1 came back");
    Ok(())
}

/// In the order of their names: that of their characters' numbers, which no
/// locale changes.
pub async fn are_listed_in_order(context: &CheckContext) -> CheckResult {
    let mut wanted = Vec::new();
    for name in [
        "b", "a", "B", "a b", "a-b", "é", "e", "猫", "🐎", "_", "10", "9", "\u{fb01}",
    ] {
        wanted.push(inhabit(context, name).await?);
    }
    wanted.sort();
    ensure_eq!(listed(context, 1_000).await?, wanted, "entities");
    Ok(())
}

/// Pages by `after` lose none and repeat none.
pub async fn are_listed_in_pages(context: &CheckContext) -> CheckResult {
    let mut wanted = Vec::new();
    for number in 0..7 {
        wanted.push(inhabit(context, &format!("e{number}")).await?);
    }
    for limit in [1, 2, 3, 7, 8] {
        ensure_eq!(listed(context, limit).await?, wanted, "in pages of {limit}");
    }
    let first = context.store().list_entities(None, 1).await;
    ensure_eq!(first.at("list_entities")?.len(), 1, "a first page of 1");
    Ok(())
}

/// Only entities that hold at least one memory are listed.
pub async fn without_memories_are_not_listed(context: &CheckContext) -> CheckResult {
    let stays = inhabit(context, "stays").await?;
    let leaves = context.entity("leaves");
    let item = plain(&leaves, "soon gone", &mut context.rng());
    let id = item.memory.id;
    context.insert(&[item]).await?;
    ensure_eq!(listed(context, 10).await?.len(), 2, "entities before");
    context.store().delete(&leaves, &[id]).await.at("delete")?;
    ensure_eq!(listed(context, 10).await?, [stays], "entities after");
    Ok(())
}

/// Gives an entity a memory.
async fn inhabit(context: &CheckContext, name: &str) -> Result<EntityId, CheckFailure> {
    let entity = context.entity(name);
    let item = plain(&entity, "here", &mut context.rng());
    context.insert(&[item]).await?;
    Ok(entity)
}

/// The entities of this namespace, in pages of `limit`. Others may live in the
/// same database, before and after it.
pub(crate) async fn listed(
    context: &CheckContext,
    limit: usize,
) -> Result<Vec<EntityId>, CheckFailure> {
    let mut listed: Vec<EntityId> = Vec::new();
    let mut after = EntityId::from(context.namespace());
    loop {
        let page = context.store().list_entities(Some(&after), limit).await;
        let page = page.at("list_entities")?;
        let full = page.len() >= limit;
        ensure_eq!(page.len() > limit, false, "more than {limit} entities");
        for entity in page {
            if !entity.as_str().starts_with(context.namespace()) {
                return Ok(listed);
            }
            // An order that does not advance would go on for ever.
            ensure_eq!(entity > after, true, "order of {entity}");
            after = entity.clone();
            listed.push(entity);
        }
        if !full {
            return Ok(listed);
        }
    }
}
