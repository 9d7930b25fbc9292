//! Effects of removing a summary or one of its sources.

use std::collections::BTreeMap;

use memory_core::{
    DenseQuery, EmbeddedMemory, ErrorKind, Generation, MemoryFilter, MemoryId, SearchRequest,
};

use super::changes::{apply, same_item, same_state};
use super::consolidate::archived;
use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq, refused};
use crate::fixtures::{consolidation, fingerprint};
use crate::store::CheckContext;
use crate::store::context::{distinct, ids};

/// A summary never outlives a memory that it was made from: it goes along, and
/// its other sources are live again.
pub async fn removed_source_removes_its_summary(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let scene = context.archive(&mira, 5, 3, &mut context.rng()).await?;
    let [a, b, c] = [0, 1, 2].map(|index: usize| scene.people[index].memory.id);
    let removed = [b, scene.summary()];
    gone(context, &[b], &removed, &[a, c]).await?;
    archived(context, &mira, &[a, c], None).await?;
    ensure_eq!(context.count(&mira).await?, 4, "live memories");
    for id in removed {
        ensure!(!context.has(&mira, id).await?, "{id} is still there");
    }
    Ok(())
}

/// So it is at every level: the summary of the summary goes as well.
pub async fn every_summary_above_is_removed(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let scene = context.levels(&mira, &mut context.rng()).await?;
    let (lower, upper) = (scene.lower.memory.id, scene.upper.memory.id);
    let [a, b, c, d] = scene.ids();
    gone(context, &[a], &[a, lower, upper], &[b, c]).await?;
    archived(context, &mira, &[b, c, d], None).await?;
    ensure_eq!(context.count(&mira).await?, 3, "live memories");
    let stats = context.store().entity_stats(&mira).await;
    ensure_eq!(stats.at("entity_stats")?.archived_count, 0, "archived");
    Ok(())
}

/// Where a summary is removed, its sources are live again, as they were.
pub async fn removed_summary_restores_its_sources(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let scene = context.archive(&mira, 6, 4, &mut context.rng()).await?;
    let sources = ids(scene.sources());
    gone(context, &[scene.summary()], &[scene.summary()], &sources).await?;
    for item in &scene.people {
        let stored = context.get(&mira, item.memory.id).await?;
        ensure_eq!(stored.as_ref(), Some(&item.memory), "a memory");
    }
    ensure_eq!(context.count(&mira).await?, 6, "live memories");
    let stats = context.store().entity_stats(&mira).await;
    ensure_eq!(stats.at("entity_stats")?.archived_count, 0, "archived");
    Ok(())
}

/// One level at a time: below an upper summary the lower one is live again and
/// still represents its own; with the lower one the upper one goes.
pub async fn levels_are_restored_one_by_one(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let scene = context.levels(&mira, &mut rng).await?;
    let (lower, upper) = (scene.lower.memory.id, scene.upper.memory.id);
    let [a, b, c, _] = scene.ids();
    gone(context, &[upper], &[upper], &[lower, c]).await?;
    archived(context, &mira, &[a, b], Some(lower)).await?;
    archived(context, &mira, &[lower, c], None).await?;
    let again = consolidation(&mira, "upper again", [lower], &mut rng);
    let upper = again.summary.memory.id;
    context.consolidate(&mira, &[again]).await?;
    gone(context, &[lower], &[lower, upper], &[a, b]).await?;
    ensure_eq!(context.count(&mira).await?, 4, "live memories");
    Ok(())
}

/// What is removed itself is not restored, whatever represented it.
pub async fn removed_sources_are_not_restored(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let scene = context.levels(&mira, &mut context.rng()).await?;
    let (lower, upper) = (scene.lower.memory.id, scene.upper.memory.id);
    let [a, b, c, d] = scene.ids();
    let all = [c, upper, a, lower];
    gone(context, &all, &all, &[b]).await?;
    archived(context, &mira, &[b, d], None).await?;
    ensure_eq!(context.count(&mira).await?, 2, "live memories");
    Ok(())
}

/// For a follower of changes, what is restored is written, with its vectors; and a
/// search finds it by them.
pub async fn restored_memories_are_reported_completely(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let scene = context.archive(&mira, 5, 3, &mut context.rng()).await?;
    let by_id = |items: &[EmbeddedMemory]| -> BTreeMap<MemoryId, EmbeddedMemory> {
        let items = items.iter().cloned();
        items.map(|item| (item.memory.id, item)).collect()
    };
    // At each generation: nothing, the memories, the rest with the summary.
    let present = by_id(&scene.people);
    let states = [by_id(&[]), present.clone(), by_id(&scene.live())];
    let undo = context.store().delete(&mira, &[scene.summary()]).await;
    undo.at("delete of the summary")?;
    let changes = context.changes(&mira, Generation(2)).await?;
    ensure_eq!(changes.removed, [scene.summary()], "removed after 2");
    ensure_eq!(changes.written.len(), 3, "written after 2");
    for wanted in scene.sources() {
        let id = wanted.memory.id;
        let told = changes.written.iter().find(|item| item.memory.id == id);
        let told = told.ok_or_else(|| CheckFailure::failed(format!("{id} is not told")))?;
        same_item(told, wanted, context.tolerance())?;
    }
    for (since, then) in states.into_iter().enumerate() {
        let changes = context.changes(&mira, Generation(since as u64)).await?;
        let got = apply(then, changes)?;
        same_state(&got, &present, context.tolerance()).at(format!("from {since}"))?;
    }
    for item in scene.sources() {
        let request = SearchRequest {
            sample: 0,
            filter: MemoryFilter::new(),
            limit: 1,
            dense: Some(DenseQuery {
                chunk_discount: 0.0,
                fingerprint: fingerprint(),
                vector: item.embedding.vectors[0].clone(),
            }),
            lexical: None,
        };
        let found = context.store().search(&mira, &request).await.at("search")?;
        let nearest = found.candidates.first().map(|it| it.memory.id);
        ensure_eq!(nearest, Some(item.memory.id), "nearest to its own vector");
    }
    Ok(())
}

/// Restored memories may be consolidated again, after they were read again.
pub async fn restored_memories_may_be_archived_again(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let batch = ids(&context.populate(&mira, 3, &mut rng).await?);
    let group = consolidation(&mira, "in short", batch.clone(), &mut rng);
    let groups = [group];
    context.consolidate(&mira, &groups).await?;
    let summary = groups[0].summary.memory.id;
    let store = context.store();
    store.delete(&mira, &[summary]).await.at("undo")?;
    // The very same call is no repetition any more: it was undone.
    let late = store.consolidate(&mira, &groups, Generation(1)).await;
    refused(late, &[ErrorKind::Changed], "after the undo")?;
    archived(context, &mira, &batch, None).await?;
    context.consolidate(&mira, &groups).await?;
    archived(context, &mira, &batch, Some(summary)).await?;
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(4),
        "generation"
    );
    Ok(())
}

/// Removes memories of `mira`: these must go and these be restored, in one
/// write.
async fn gone(
    context: &CheckContext,
    asked: &[MemoryId],
    removed: &[MemoryId],
    restored: &[MemoryId],
) -> CheckResult {
    let mira = context.entity("mira");
    let generation = context.generation(&mira).await?.next();
    let outcome = context.store().delete(&mira, asked).await.at("delete")?;
    ensure_eq!(outcome.generation, generation, "generation of delete");
    let stats = context.generation(&mira).await?;
    ensure_eq!(stats, generation, "generation by the statistics");
    let wanted = distinct(removed.iter().copied())?;
    ensure_eq!(distinct(outcome.removed)?, wanted, "removed");
    let wanted = distinct(restored.iter().copied())?;
    ensure_eq!(distinct(outcome.restored)?, wanted, "restored");
    ensure_eq!(outcome.unlinked, [], "unlinked");
    Ok(())
}
