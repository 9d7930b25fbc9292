//! Links between memories: added and dropped one by one, counted, and never
//! left pointing at what was removed.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use memory_core::limits::MAX_LINKS;
use memory_core::{ErrorKind, Generation, InvalidInput, MemoryId, MemoryPatch};

use super::consolidate::archived;
use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq, invalid};
use crate::fixtures::{consolidation, plain};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;
use crate::store::context::distinct;

type Links = BTreeMap<MemoryId, String>;

/// A link that is added or dropped leaves the others alone; adding gives an
/// existing one another relation, and comes after dropping and replacing.
pub async fn are_added_and_dropped_one_by_one(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let [a, b, c, d] = [0; 4].map(|_| rng.id());
    let mut item = plain(&mira, "linked", &mut rng);
    item.memory.related = [(a, "after".to_owned()), (b, "of".to_owned())].into();
    let id = item.memory.id;
    context.insert(std::slice::from_ref(&item)).await?;
    let new = MemoryPatch::new;
    let patches = [
        new().relate(c, "like"),
        new().relate(a, "before"),
        new().unrelate(b),
        new().unrelate(d),
        new().relate(d, "near").unrelate(a).relate(b, ""),
        new().relate(c, "kept").unrelate(c),
        new()
            .related([(a, "again".to_owned()), (b, "again".to_owned())].into())
            .unrelate(a)
            .relate(d, "as well"),
    ];
    let mut wanted = item.memory;
    for (number, patch) in patches.iter().enumerate() {
        patch.apply(&mut wanted);
        let outcome = context.store().update(&mira, &id, patch, None).await;
        let outcome = outcome.at(format!("patch {number}"))?;
        ensure_eq!(outcome.memory, wanted, "outcome of patch {number}");
        let stored = context.get(&mira, id).await?;
        ensure_eq!(stored.as_ref(), Some(&wanted), "memory after {number}");
    }
    Ok(())
}

/// Links that many add and drop at once all take effect.
pub async fn of_many_writers_combine(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut item = plain(&mira, "linked from all sides", &mut rng);
    item.memory.related = links(4, &mut rng);
    let id = item.memory.id;
    context.insert(std::slice::from_ref(&item)).await?;
    let dropped = item.memory.related.keys();
    let mut patches: Vec<MemoryPatch> = dropped
        .take(3)
        .map(|id| MemoryPatch::new().unrelate(*id))
        .collect();
    patches.extend((0..8).map(|n| MemoryPatch::new().relate(rng.id(), format!("{n}"))));
    let store = context.store();
    let updates = patches
        .iter()
        .map(|patch| store.update(&mira, &id, patch, None));
    let mut seen = BTreeSet::new();
    for outcome in join_all(updates).await {
        seen.insert(outcome.at("update")?.generation);
    }
    ensure_eq!(seen.len(), patches.len(), "distinct generations");
    let mut wanted = item.memory;
    patches.iter().for_each(|patch| patch.apply(&mut wanted));
    ensure_eq!(context.get(&mira, id).await?, Some(wanted), "memory");
    Ok(())
}

/// Links are counted where they are added: no more than
/// [`MAX_LINKS`], however many add at once; a refusal changes nothing.
pub async fn are_counted(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut item = plain(&mira, "nearly full", &mut rng);
    item.memory.related = links(MAX_LINKS - 1, &mut rng);
    let id = item.memory.id;
    let first = item.memory.related.keys().next().copied();
    let first = first.ok_or_else(|| CheckFailure::failed("no links"))?;
    context.insert(&[item]).await?;
    let store = context.store();
    let patches = [(); 4].map(|()| MemoryPatch::new().relate(rng.id(), "one too many"));
    let updates = patches
        .iter()
        .map(|patch| store.update(&mira, &id, patch, None));
    let mut added = 0;
    for outcome in join_all(updates).await {
        match outcome {
            Ok(_) => added += 1,
            Err(error) => ensure_eq!(error.kind(), ErrorKind::InvalidInput, "refusal"),
        }
    }
    ensure_eq!(added, 1, "links added where one is left");
    let before = context.entity_dump(&mira).await?;
    let new = MemoryPatch::new;
    let (another, more) = (rng.id(), links(MAX_LINKS, &mut rng));
    for (what, patch) in [
        ("one too many", new().relate(another, "")),
        ("too many at once", new().related(more).relate(another, "")),
        (
            "with another field",
            new().importance(0.1).relate(another, ""),
        ),
    ] {
        let result = store.update(&mira, &id, &patch, None).await;
        let is = |problem: &InvalidInput| matches!(problem, InvalidInput::TooManyLinks { .. });
        invalid(result, is, what)?;
    }
    ensure_eq!(
        context.entity_dump(&mira).await?,
        before,
        "after the refusals"
    );
    for (what, patch) in [
        ("another relation", new().relate(first, "otherwise")),
        ("one for another", new().unrelate(first).relate(another, "")),
    ] {
        store.update(&mira, &id, &patch, None).await.at(what)?;
    }
    let stored = context.get(&mira, id).await?;
    let count = stored.map(|memory| memory.related.len());
    ensure_eq!(count, Some(MAX_LINKS), "links in the end");
    Ok(())
}

/// Links to what is removed are dropped, of live and of archived memories, in
/// the same write, and told; other links and other entities' stay.
pub async fn to_removed_memories_are_dropped(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let gone = plain(&mira, "gone soon", &mut rng).memory.id;
    let relation = (rng.id(), "near".to_owned());
    let linked = |entity, content: &str, to_gone, rng: &mut SeededRng| {
        let mut item = plain(entity, content, rng);
        item.memory.related = [relation.clone()].into();
        if to_gone {
            item.memory.related.insert(gone, "after".to_owned());
        }
        item
    };
    let mut target = linked(&mira, "gone soon", true, &mut rng);
    target.memory.id = gone;
    target.memory.related.remove(&gone);
    let [live, archive, other] = [
        linked(&mira, "live", true, &mut rng),
        linked(&mira, "archived", true, &mut rng),
        linked(&mira, "linked elsewhere", false, &mut rng),
    ];
    let his = linked(&tam, "of another", true, &mut rng);
    let batch = [
        target,
        live.clone(),
        archive.clone(),
        other.clone(),
        his.clone(),
    ];
    context.insert(&batch).await?;
    let group = consolidation(&mira, "in short", [archive.memory.id], &mut rng);
    let summary = group.summary.memory.id;
    context.consolidate(&mira, &[group]).await?;
    let outcome = context.store().delete(&mira, &[gone]).await.at("delete")?;
    let ids = [live.memory.id, archive.memory.id];
    ensure_eq!(distinct(outcome.unlinked)?, ids.into(), "unlinked");
    ensure_eq!(outcome.removed, [gone], "removed");
    ensure_eq!(outcome.restored, [], "restored");
    ensure_eq!(outcome.generation, Generation(3), "generation of delete");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(3),
        "statistics"
    );
    let wanted: Links = [relation.clone()].into();
    for id in ids.into_iter().chain([other.memory.id]) {
        let stored = context.get(&mira, id).await?.map(|memory| memory.related);
        ensure_eq!(stored.as_ref(), Some(&wanted), "links that are left");
    }
    let stored = context.get(&tam, his.memory.id).await?;
    ensure_eq!(stored, Some(his.memory), "another entity's memory");
    archived(context, &mira, &[archive.memory.id], Some(summary)).await?;
    let changes = context.changes(&mira, Generation(2)).await?;
    let told = changes.written.iter().map(|item| item.memory.id);
    ensure_eq!(distinct(told)?, [live.memory.id].into(), "written after 2");
    ensure!(changes.removed.contains(&gone), "the removal is not told");
    Ok(())
}

/// A restored memory loses its links to what is removed like any other; links
/// to what is restored stay.
pub async fn among_removed_and_restored_are_consistent(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let [mut a, mut b, mut c] = [0, 1, 2].map(|n| plain(&mira, format!("number {n}"), &mut rng));
    let [ida, idb, idc] = [&a, &b, &c].map(|item| item.memory.id);
    let mut group = consolidation(&mira, "in short", [ida, idb], &mut rng);
    let summary = group.summary.memory.id;
    a.memory.related = [(idb, "like".to_owned()), (summary, "in".to_owned())].into();
    b.memory.related = [(ida, "like".to_owned())].into();
    c.memory.related = [(ida, "after".to_owned()), (summary, "of".to_owned())].into();
    group.summary.memory.related = [(ida, "from".to_owned()), (idc, "to".to_owned())].into();
    context.insert(&[a.clone(), b, c.clone()]).await?;
    context.consolidate(&mira, &[group]).await?;
    // The summary goes with b; a is restored and lost its links to both, c lost
    // its link to the summary and keeps the one to a.
    let outcome = context.store().delete(&mira, &[idb]).await.at("delete")?;
    ensure_eq!(distinct(outcome.removed)?, [idb, summary].into(), "removed");
    ensure_eq!(outcome.restored, [ida], "restored");
    ensure_eq!(distinct(outcome.unlinked)?, [ida, idc].into(), "unlinked");
    a.memory.related.clear();
    c.memory.related.remove(&summary);
    for item in [a, c] {
        let stored = context.get(&mira, item.memory.id).await?;
        ensure_eq!(stored, Some(item.memory), "a memory that stays");
    }
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(3),
        "generation"
    );
    Ok(())
}

fn links(count: usize, rng: &mut SeededRng) -> Links {
    (0..count)
        .map(|number| (rng.id(), format!("link {number}")))
        .collect()
}
