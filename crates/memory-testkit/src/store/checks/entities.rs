//! [`Store::entity_stats`](memory_core::Store::entity_stats),
//! [`Store::list_entities`](memory_core::Store::list_entities) and, where it is
//! supported,
//! [`Store::recently_accessed_entities`](memory_core::Store::recently_accessed_entities).

use memory_core::{
    AccessUpdate, EntityId, EntityStats, ErrorKind, Generation, MemoryError, limits,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{at, consolidation, plain};
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

/// By the latest access of a memory that is still there, live or archived: the latest
/// first, then by name, and none without accesses.
pub async fn are_listed_by_their_last_access(context: &CheckContext) -> CheckResult {
    /// Later than accesses of other checks, which may use the same database.
    const LATE: i64 = 200_000_000_000;
    let store = context.store();
    match store.recently_accessed_entities(1).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            let why = "the store does not list entities by their accesses".to_owned();
            return Err(CheckFailure::NotApplicable(why));
        }
        listed => listed.at("recently_accessed_entities")?,
    };
    let mut rng = context.rng();
    inhabit(context, "a without accesses").await?;
    let mut entities = Vec::new();
    // Later in the order of names is earlier in that of accesses.
    for (name, seconds) in [("d", 40), ("c", 50), ("e", 30), ("b", 30), ("f", 20)] {
        let entity = context.entity(name);
        let batch = context.populate(&entity, 2, &mut rng).await?;
        let ids = [batch[0].memory.id, batch[1].memory.id];
        let update = |id, seconds| AccessUpdate::new(entity.clone(), id, 1, at(LATE + seconds));
        // The other memory was accessed earlier, and is not what counts.
        let updates = [update(ids[0], seconds), update(ids[1], 1)];
        context.record_accesses(&updates).await?;
        entities.push((entity, ids));
    }
    let [d, c, e, b, f] = [0, 1, 2, 3, 4].map(|n: usize| entities[n].0.clone());
    // Entities of other checks may come between.
    let listed = |limit| async move {
        let listed = store.recently_accessed_entities(limit).await;
        let mut listed = listed.at("recently_accessed_entities")?;
        ensure!(listed.len() <= limit, "more than {limit} entities");
        listed.retain(|name| name.as_str().starts_with(context.namespace()));
        Ok::<_, CheckFailure>(listed)
    };
    let by_access = [c.clone(), d.clone(), b.clone(), e.clone(), f.clone()];
    for limit in 1..=5 {
        let latest = listed(limit).await?;
        ensure!(
            by_access.starts_with(&latest),
            "the last {limit} of {by_access:?} are not {latest:?}"
        );
    }
    ensure_eq!(listed(limits::MAX_LIMIT).await?, by_access, "all");
    // Without the memory that was accessed last, the access before counts.
    let latest = entities[1].1[0];
    store.delete(&c, &[latest]).await.at("delete")?;
    // A memory that is archived keeps its access.
    let read_at = context.generation(&f).await?;
    let group = consolidation(&f, "a summary", entities[4].1, &mut rng);
    let consolidated = store.consolidate(&f, &[group], read_at).await;
    consolidated.at("consolidate")?;
    let by_access = [d, b, e, f, c];
    let after = listed(limits::MAX_LIMIT).await?;
    ensure_eq!(after, by_access, "after a deletion");
    for limit in [0, limits::MAX_LIMIT + 1] {
        let refused = store.recently_accessed_entities(limit).await;
        let is_limit = |error: &MemoryError| error.kind() == ErrorKind::InvalidInput;
        ensure!(
            refused.as_ref().is_err_and(is_limit),
            "a limit of {limit} was not refused: {refused:?}"
        );
    }
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
