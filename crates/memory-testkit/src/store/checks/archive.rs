//! Archived memories: read by id and by a list that asks for them, and by
//! nothing else.

use memory_core::{
    AccessUpdate, DenseQuery, EntityId, EntityStats, Generation, ListScope, MemoryError,
    MemoryFilter, MemoryId, MemoryPatch, SearchRequest,
};

use super::changes::{apply, same_item};
use super::entities::listed;
use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{WORDS, at, consolidation, embedding, filters, fingerprint};
use crate::store::CheckContext;
use crate::store::context::{distinct, ids, in_list_order};
use crate::store::setups::archived_under;

/// A get finds them, with their summary.
pub async fn is_read_by_id(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let scene = context.archive(&mira, 5, 3, &mut context.rng()).await?;
    let fetched = context.store().get(&mira, &ids(scene.sources())).await;
    let fetched = fetched.at("get")?;
    let wanted = scene.archived().into_iter().map(|item| Some(item.memory));
    ensure_eq!(fetched.memories, wanted.collect::<Vec<_>>(), "archived");
    ensure_eq!(fetched.generation, Generation(2), "generation");
    Ok(())
}

/// A list holds exactly what its scope and its filter say, newest first, over
/// all pages: what is live, what is archived, the sources of one summary.
pub async fn is_listed_by_scope(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let scene = context.archive(&mira, 12, 7, &mut rng).await?;
    let second = consolidation(
        &mira,
        "the rest in short",
        ids(&scene.people[7..10]),
        &mut rng,
    );
    context
        .consolidate(&mira, std::slice::from_ref(&second))
        .await?;
    let summary = second.summary.memory.id;
    let first = scene.archived();
    let rest = archived_under(&scene.people[7..10], summary);
    let mut live = scene.people[10..].to_vec();
    live.extend([scene.summary.clone(), second.summary]);
    let both = [first.clone(), rest.clone()].concat();
    let other = scene.people[10].memory.id;
    for (scope, wanted) in [
        (ListScope::Live, live),
        (ListScope::Archived, both),
        (ListScope::SourcesOf(scene.summary()), first),
        (ListScope::SourcesOf(summary), rest),
        (ListScope::SourcesOf(other), vec![]),
        (ListScope::SourcesOf(rng.id()), vec![]),
    ] {
        for filter in filters(4, &mut rng) {
            for limit in [1, 3, 1_000] {
                let wanted = in_list_order(&wanted, &filter);
                let got = context.listed_in(scope, &mira, &filter, limit).await?;
                ensure_eq!(got, wanted, "{scope:?} in {limit}s by {filter:?}");
            }
        }
    }
    let tam = context.entity("tam");
    let scope = ListScope::SourcesOf(scene.summary());
    let all = MemoryFilter::new();
    let theirs = context.listed_in(scope, &tam, &all, 10).await?;
    ensure_eq!(theirs, [], "sources by another entity");
    Ok(())
}

/// An earlier state can be read: a list of archived memories up to a moment names
/// the summary of each, a get finds that summary, itself archived or live, and its
/// sources up to that moment are those memories.
pub async fn lists_show_an_earlier_state(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let levels = context.levels(&mira, &mut context.rng()).await?;
    let [a, b, c, _] = levels.ids();
    let (lower, upper) = (levels.lower.memory.id, levels.upper.memory.id);
    let all = [levels.people.clone(), vec![levels.lower.clone()]].concat();
    for seconds in [0, 2, 5, 20] {
        let filter = MemoryFilter::new().until(at(seconds));
        let mut wanted = Vec::new();
        for (id, summary) in [(a, lower), (b, lower), (c, upper), (lower, upper)] {
            let item = all.iter().find(|item| item.memory.id == id);
            if item.is_some_and(|item| filter.matches(&item.memory)) {
                wanted.push((id, summary));
            }
        }
        wanted.sort_unstable();
        let mut got = Vec::new();
        for memory in context
            .listed_in(ListScope::Archived, &mira, &filter, 2)
            .await?
        {
            let summary = memory.archived_by.ok_or_else(|| {
                CheckFailure::failed("an archived memory is listed without its summary")
            })?;
            ensure!(context.has(&mira, summary).await?, "a get of its summary");
            let scope = ListScope::SourcesOf(summary);
            let sources = context.listed_in(scope, &mira, &filter, 2).await?;
            let is_source = sources.iter().any(|source| source.id == memory.id);
            ensure!(is_source, "it is no source of its summary");
            got.push((memory.id, summary));
        }
        got.sort_unstable();
        ensure_eq!(got, wanted, "archived until {seconds}");
    }
    Ok(())
}

/// No count counts them but the statistics' own.
pub async fn is_counted_apart(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let scene = context.archive(&mira, 30, 20, &mut rng).await?;
    let live = scene.live();
    for filter in filters(10, &mut rng) {
        let counted = context.store().count(&mira, &filter).await.at("count")?;
        let wanted = in_list_order(&live, &filter).len() as u64;
        ensure_eq!(counted, wanted, "count by {filter:?}");
    }
    let stats = context.store().entity_stats(&mira).await;
    let wanted = EntityStats::new(Generation(2), 11, 20);
    ensure_eq!(stats.at("entity_stats")?, wanted, "statistics");
    Ok(())
}

/// No search finds them, and none leaves out a live memory because of them:
/// `limit k` still finds k.
pub async fn is_found_by_no_search(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let scene = context.archive(&mira, 40, 28, &mut rng).await?;
    let live = scene.live();
    let wanted = distinct(ids(&live))?;
    let lexical = context.store().capabilities().lexical;
    for item in scene.sources().iter().take(8) {
        for limit in [1, 5, 13, 1_000] {
            let dense = SearchRequest {
                sample: 0,
                filter: MemoryFilter::new(),
                limit,
                dense: Some(DenseQuery {
                    chunk_discount: 0.0,
                    fingerprint: fingerprint(),
                    vector: item.embedding.vectors[0].clone(),
                }),
                lexical: None,
            };
            let found = found(context, &mira, &dense).await?;
            ensure!(found.iter().all(|id| wanted.contains(id)), "found archived");
            ensure_eq!(found.len(), limit.min(13), "found by vector of {limit}");
        }
    }
    for word in WORDS.iter().filter(|_| lexical) {
        let holds = |content: &str| content.split(' ').any(|held| held == *word);
        let held = live.iter().filter(|it| holds(&it.memory.content));
        let held = distinct(held.map(|it| it.memory.id))?;
        let request = |limit| SearchRequest {
            sample: 0,
            filter: MemoryFilter::new(),
            limit,
            dense: None,
            lexical: Some((*word).to_owned()),
        };
        let all = found(context, &mira, &request(1_000)).await?;
        ensure_eq!(distinct(all)?, held, "found by {word:?}");
        let few = found(context, &mira, &request(2)).await?;
        ensure_eq!(few.len(), held.len().min(2), "found 2 by {word:?}");
    }
    Ok(())
}

/// In changes, an archived memory is removed and its summary written.
pub async fn is_reported_as_removed(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let scene = context.archive(&mira, 6, 4, &mut context.rng()).await?;
    let changes = context.changes(&mira, Generation(1)).await?;
    ensure_eq!(changes.generation, Generation(2), "generation");
    let removed = distinct(changes.removed.iter().copied())?;
    ensure_eq!(removed, distinct(ids(scene.sources()))?, "removed after 1");
    ensure_eq!(changes.written.len(), 1, "written after 1");
    same_item(&changes.written[0], &scene.summary, context.tolerance())?;
    let changes = context.changes(&mira, Generation(2)).await?;
    ensure_eq!(changes.written, [], "written after 2");
    ensure_eq!(changes.removed, [], "removed after 2");
    let live = distinct(ids(&scene.live()))?;
    for since in [0, 99] {
        let whole = context.changes(&mira, Generation(since)).await?;
        ensure_eq!(whole.reset, since == 99, "reset since {since}");
        let whole = apply([].into(), whole)?;
        let got = whole.into_keys().collect();
        ensure_eq!(live, got, "the whole state since {since}");
    }
    Ok(())
}

/// An update of one is refused and names its summary.
pub async fn is_not_updated(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let scene = context.archive(&mira, 3, 2, &mut rng).await?;
    let which = scene.people[1].memory.id;
    let before = context.entity_dump(&mira).await?;
    let new = MemoryPatch::new;
    let fresh = embedding(1, &mut rng);
    for (patch, embedding) in [
        (new().importance(0.25), None),
        (new().relate(scene.summary(), "under"), None),
        (new().content("rewritten"), Some(&fresh)),
    ] {
        let store = context.store();
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
    ensure_eq!(
        context.entity_dump(&mira).await?,
        before,
        "after the refusals"
    );
    let patch = new().tags(["summary"]);
    let summary = scene.summary();
    let done = context.store().update(&mira, &summary, &patch, None).await;
    done.at("update of the summary").map(drop)
}

/// A touch counts as ever, without a generation, and the count stays with the
/// memory when it is live again.
pub async fn has_its_accesses_recorded(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let scene = context.archive(&mira, 3, 2, &mut context.rng()).await?;
    let mut wanted = scene.archived().swap_remove(0).memory;
    let store = context.store();
    for (accesses, seconds) in [(2, 50), (3, 40)] {
        let update = AccessUpdate::new(mira.clone(), wanted.id, accesses, at(seconds));
        context.record_accesses(&[update]).await?;
    }
    (wanted.access_count, wanted.last_accessed) = (5, Some(at(50)));
    let stored = context.get(&mira, wanted.id).await?;
    ensure_eq!(stored.as_ref(), Some(&wanted), "archived");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(2),
        "generation"
    );
    let undo = store.delete(&mira, &[scene.summary()]).await;
    undo.at("delete of the summary")?;
    wanted.archived_by = None;
    let stored = context.get(&mira, wanted.id).await?;
    ensure_eq!(stored, Some(wanted), "live again");
    Ok(())
}

/// An entity is listed as long as it holds anything, live or archived.
pub async fn keeps_its_entity_listed(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let scene = context.archive(&mira, 3, 3, &mut rng).await?;
    context.archive(&tam, 2, 1, &mut rng).await?;
    ensure_eq!(
        listed(context, 10).await?,
        [mira.clone(), tam.clone()],
        "both"
    );
    // The summary goes, and its sources stay.
    let undo = context.store().delete(&mira, &[scene.summary()]).await;
    undo.at("delete of the summary")?;
    ensure_eq!(
        listed(context, 10).await?,
        [mira.clone(), tam.clone()],
        "after"
    );
    let all = ids(&scene.people);
    context.store().delete(&mira, &all).await.at("delete")?;
    ensure_eq!(listed(context, 10).await?, [tam], "after the last went");
    Ok(())
}

async fn found(
    context: &CheckContext,
    entity: &EntityId,
    request: &SearchRequest,
) -> Result<Vec<MemoryId>, CheckFailure> {
    let found = context.store().search(entity, request).await.at("search")?;
    let ids = found.candidates.iter().map(|it| it.memory.id);
    distinct(ids).map(|ids| ids.into_iter().collect())
}
