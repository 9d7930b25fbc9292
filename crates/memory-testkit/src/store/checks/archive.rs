//! Archived memories: read by id and by a list that asks for them, and by
//! nothing else.

use memory_core::{
    AccessUpdate, DenseQuery, EntityId, EntityStats, Generation, ListScope, MemoryError,
    MemoryFilter, MemoryId, MemoryPatch, SearchRequest,
};

use super::changes::{apply, same_item};
use super::entities::listed;
use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::population::{WORDS, at, consolidation, embedding, filters, fingerprint};
use crate::store::CheckContext;
use crate::store::ground::{distinct, ids, in_list_order};
use crate::store::scenes::archived_under;

/// A get finds them, with the summary that stands for them.
pub async fn is_read_by_id(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let scene = ground.archive(&mira, 5, 3, &mut ground.chance()).await?;
    let fetched = ground.store().get(&mira, &ids(scene.sources())).await;
    let fetched = fetched.at("get")?;
    let wanted = scene.archived().into_iter().map(|item| Some(item.memory));
    ensure_eq!(fetched.memories, wanted.collect::<Vec<_>>(), "archived");
    ensure_eq!(fetched.generation, Generation(2), "generation");
    Ok(())
}

/// A list holds exactly what its scope and its filter say, newest first, over
/// all pages: what is live, what is archived, the sources of one summary.
pub async fn is_listed_by_scope(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    let scene = ground.archive(&mira, 12, 7, &mut chance).await?;
    let second = consolidation(
        &mira,
        "the rest in short",
        ids(&scene.people[7..10]),
        &mut chance,
    );
    ground
        .consolidate(&mira, std::slice::from_ref(&second))
        .await?;
    let summary = second.summary.memory.id;
    let first = scene.archived();
    let rest = archived_under(&scene.people[7..10], summary);
    let mut live = scene.people[10..].to_vec();
    live.extend([scene.summary.clone(), second.summary]);
    let both = [first.clone(), rest.clone()].concat();
    let beside = scene.people[10].memory.id;
    for (scope, wanted) in [
        (ListScope::Live, live),
        (ListScope::Archived, both),
        (ListScope::SourcesOf(scene.summary()), first),
        (ListScope::SourcesOf(summary), rest),
        (ListScope::SourcesOf(beside), vec![]),
        (ListScope::SourcesOf(chance.id()), vec![]),
    ] {
        for filter in filters(4, &mut chance) {
            for limit in [1, 3, 1_000] {
                let wanted = in_list_order(&wanted, &filter);
                let got = ground.listed_in(scope, &mira, &filter, limit).await?;
                ensure_eq!(got, wanted, "{scope:?} in {limit}s by {filter:?}");
            }
        }
    }
    let tam = ground.entity("tam");
    let scope = ListScope::SourcesOf(scene.summary());
    let all = MemoryFilter::new();
    let theirs = ground.listed_in(scope, &tam, &all, 10).await?;
    ensure_eq!(theirs, [], "sources by another entity");
    Ok(())
}

/// No count counts them but the statistics' own.
pub async fn is_counted_apart(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    let scene = ground.archive(&mira, 30, 20, &mut chance).await?;
    let live = scene.live();
    for filter in filters(10, &mut chance) {
        let counted = ground.store().count(&mira, &filter).await.at("count")?;
        let wanted = in_list_order(&live, &filter).len() as u64;
        ensure_eq!(counted, wanted, "count by {filter:?}");
    }
    let stats = ground.store().entity_stats(&mira).await;
    let wanted = EntityStats {
        generation: Generation(2),
        memory_count: 11,
        archived_count: 20,
    };
    ensure_eq!(stats.at("entity_stats")?, wanted, "statistics");
    Ok(())
}

/// No search finds them, and none leaves out a live memory because of them:
/// `limit k` still finds k.
pub async fn is_found_by_no_search(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    let scene = ground.archive(&mira, 40, 28, &mut chance).await?;
    let live = scene.live();
    let wanted = distinct(ids(&live))?;
    let lexical = ground.store().capabilities().lexical;
    for item in scene.sources().iter().take(8) {
        for limit in [1, 5, 13, 1_000] {
            let dense = SearchRequest {
                filter: MemoryFilter::new(),
                limit,
                dense: Some(DenseQuery {
                    fingerprint: fingerprint(),
                    vector: item.embedding.vectors[0].clone(),
                }),
                lexical: None,
            };
            let found = found(ground, &mira, &dense).await?;
            ensure!(found.iter().all(|id| wanted.contains(id)), "found archived");
            ensure_eq!(found.len(), limit.min(13), "found by vector of {limit}");
        }
    }
    for word in WORDS.iter().filter(|_| lexical) {
        let holds = |content: &str| content.split(' ').any(|held| held == *word);
        let held = live.iter().filter(|it| holds(&it.memory.content));
        let held = distinct(held.map(|it| it.memory.id))?;
        let request = |limit| SearchRequest {
            filter: MemoryFilter::new(),
            limit,
            dense: None,
            lexical: Some((*word).to_owned()),
        };
        let all = found(ground, &mira, &request(1_000)).await?;
        ensure_eq!(distinct(all)?, held, "found by {word:?}");
        let few = found(ground, &mira, &request(2)).await?;
        ensure_eq!(few.len(), held.len().min(2), "found 2 by {word:?}");
    }
    Ok(())
}

/// To whoever follows, an archived memory is removed and its summary written.
pub async fn is_told_as_removed(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let scene = ground.archive(&mira, 6, 4, &mut ground.chance()).await?;
    let changes = ground.changes(&mira, Generation(1)).await?;
    ensure_eq!(changes.generation, Generation(2), "generation");
    let removed = distinct(changes.removed.iter().copied())?;
    ensure_eq!(removed, distinct(ids(scene.sources()))?, "removed after 1");
    ensure_eq!(changes.written.len(), 1, "written after 1");
    same_item(&changes.written[0], &scene.summary, ground.tolerance())?;
    let changes = ground.changes(&mira, Generation(2)).await?;
    ensure_eq!(changes.written, [], "written after 2");
    ensure_eq!(changes.removed, [], "removed after 2");
    let live = distinct(ids(&scene.live()))?;
    for since in [0, 99] {
        let whole = ground.changes(&mira, Generation(since)).await?;
        ensure_eq!(whole.reset, since == 99, "reset since {since}");
        let whole = apply([].into(), whole)?;
        let got = whole.into_keys().collect();
        ensure_eq!(live, got, "the whole state since {since}");
    }
    Ok(())
}

/// An update of one is refused and says which summary stands for it.
pub async fn is_not_updated(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    let scene = ground.archive(&mira, 3, 2, &mut chance).await?;
    let which = scene.people[1].memory.id;
    let before = ground.portrait(&mira).await?;
    let new = MemoryPatch::new;
    let fresh = embedding(1, &mut chance);
    for (patch, embedding) in [
        (new().importance(0.25), None),
        (new().relate(scene.summary(), "under"), None),
        (new().content("rewritten"), Some(&fresh)),
    ] {
        let store = ground.store();
        match store.update(&mira, &which, &patch, embedding).await {
            Err(MemoryError::Archived {
                entity,
                id,
                summary,
            }) => {
                ensure_eq!((&entity, id), (&mira, which), "what is archived");
                ensure_eq!(summary, scene.summary(), "the summary in the error");
            }
            Err(error) => return Err(CheckFailure::from(error)),
            Ok(_) => return Err(CheckFailure::failed("an archived memory was updated")),
        }
    }
    ensure_eq!(ground.portrait(&mira).await?, before, "after the refusals");
    let patch = new().tags(["summary"]);
    let summary = scene.summary();
    let done = ground.store().update(&mira, &summary, &patch, None).await;
    done.at("update of the summary").map(drop)
}

/// A touch counts as ever, without a generation, and the count stays with the
/// memory when it is live again.
pub async fn is_touched_as_ever(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let scene = ground.archive(&mira, 3, 2, &mut ground.chance()).await?;
    let mut wanted = scene.archived().swap_remove(0).memory;
    let store = ground.store();
    for (accesses, seconds) in [(2, 50), (3, 40)] {
        let update = AccessUpdate {
            id: wanted.id,
            accesses,
            last_accessed: at(seconds),
        };
        store
            .record_accesses(&mira, &[update])
            .await
            .at("record_accesses")?;
    }
    (wanted.access_count, wanted.last_accessed) = (5, Some(at(50)));
    let stored = ground.get(&mira, wanted.id).await?;
    ensure_eq!(stored.as_ref(), Some(&wanted), "archived");
    ensure_eq!(ground.generation(&mira).await?, Generation(2), "generation");
    let undo = store.delete(&mira, &[scene.summary()]).await;
    undo.at("delete of the summary")?;
    wanted.archived_by = None;
    let stored = ground.get(&mira, wanted.id).await?;
    ensure_eq!(stored, Some(wanted), "live again");
    Ok(())
}

/// An entity is listed as long as it holds anything, live or archived.
pub async fn keeps_its_entity_listed(ground: &CheckContext) -> CheckResult {
    let (mira, tam) = (ground.entity("mira"), ground.entity("tam"));
    let mut chance = ground.chance();
    let scene = ground.archive(&mira, 3, 3, &mut chance).await?;
    ground.archive(&tam, 2, 1, &mut chance).await?;
    ensure_eq!(
        listed(ground, 10).await?,
        [mira.clone(), tam.clone()],
        "both"
    );
    // The summary goes, and what it stood for stays.
    let undo = ground.store().delete(&mira, &[scene.summary()]).await;
    undo.at("delete of the summary")?;
    ensure_eq!(
        listed(ground, 10).await?,
        [mira.clone(), tam.clone()],
        "after"
    );
    let all = ids(&scene.people);
    ground.store().delete(&mira, &all).await.at("delete")?;
    ensure_eq!(listed(ground, 10).await?, [tam], "after the last went");
    Ok(())
}

async fn found(
    ground: &CheckContext,
    entity: &EntityId,
    request: &SearchRequest,
) -> Result<Vec<MemoryId>, CheckFailure> {
    let found = ground.store().search(entity, request).await.at("search")?;
    let ids = found.candidates.iter().map(|it| it.memory.id);
    distinct(ids).map(|ids| ids.into_iter().collect())
}
