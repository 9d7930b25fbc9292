//! Every method is scoped to one entity: a memory of another is never seen.

use memory_core::{
    AccessUpdate, ChangeSet, DenseQuery, EmbeddedMemory, EntityId, EntityStats, Generation,
    InsertOptions, ListPage, ListRequest, Memory, MemoryFilter, MemoryId, MemoryPatch,
    NeighborRequest, SearchHit, SearchRequest,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{DIMENSIONS, at, consolidation, embedding, fingerprint, plain, varied};
use crate::store::CheckContext;
use crate::store::context::in_list_order;

/// Names that a careless comparison takes for one another.
const NAMES: [&str; 6] = ["mira", "Mira", "mira ", "mir", "mira%", "m_ra"];

/// Get, list, count and statistics of one entity show nothing of another.
pub async fn reads_are_scoped(context: &CheckContext) -> CheckResult {
    let store = context.store();
    let all = MemoryFilter::new();
    for (entity, hers, theirs) in neighbors(context).await? {
        let fetched = store.get(&entity, &theirs).await.at("get")?;
        let strangers = fetched.memories.iter().flatten().count();
        ensure_eq!(strangers, 0, "memories of others by get of {entity}");
        for limit in [2, 100] {
            let listed = context.listed(&entity, &all, limit).await?;
            let at_home = listed.iter().all(|memory| memory.entity_id == entity);
            ensure!(at_home, "list of {entity} shows others");
            ensure_eq!(listed.len(), hers.len(), "memories listed of {entity}");
        }
        ensure_eq!(context.count(&entity).await?, 3, "count of {entity}");
        let stats = store.entity_stats(&entity).await.at("entity_stats")?;
        let wanted = EntityStats::new(Generation(1), 3, 0);
        ensure_eq!(stats, wanted, "statistics of {entity}");
    }
    let nobody = context.entity("nobody");
    let page = store.list(&nobody, &ListRequest::new(10)).await;
    ensure_eq!(page.at("list")?, ListPage::default(), "list of nobody");
    ensure_eq!(context.count(&nobody).await?, 0, "count of nobody");
    Ok(())
}

/// A search finds the entity's own memories only, in every retriever.
pub async fn searches_are_scoped(context: &CheckContext) -> CheckResult {
    let store = context.store();
    for (entity, hers, _) in neighbors(context).await? {
        let request = SearchRequest {
            sample: 0,
            filter: MemoryFilter::new(),
            limit: 100,
            dense: Some(DenseQuery {
                chunk_discount: 0.0,
                fingerprint: fingerprint(),
                vector: context.rng().vector(DIMENSIONS),
            }),
            lexical: store.capabilities().lexical.then(|| "shared".to_owned()),
        };
        let found = store.search(&entity, &request).await.at("search")?;
        let mut ids: Vec<MemoryId> = found.candidates.iter().map(|it| it.memory.id).collect();
        ids.sort_unstable();
        let mut wanted = hers.clone();
        wanted.sort_unstable();
        ensure_eq!(ids, wanted, "found for {entity}");
        for candidate in &found.candidates {
            ensure_eq!(candidate.memory.entity_id, entity, "owner");
        }
    }
    Ok(())
}

/// Changes contain the entity's own writes and removals only.
pub async fn changes_are_scoped(context: &CheckContext) -> CheckResult {
    let people = neighbors(context).await?;
    let (first, others) = (&people[0], &people[1..]);
    let store = context.store();
    let done = store.delete(&first.0, &first.1[..1]).await.at("delete")?;
    ensure_eq!(done.generation, Generation(2), "generation");
    for (entity, hers, _) in others {
        let news = context.changes(entity, Generation(1)).await?;
        let none = ChangeSet::new(Generation(1), Vec::new(), Vec::new());
        ensure_eq!(news, none, "news of {entity}");
        let whole = context.changes(entity, Generation::ZERO).await?;
        let mut ids: Vec<MemoryId> = whole.written.iter().map(|it| it.memory.id).collect();
        ids.sort_unstable();
        let mut wanted = hers.clone();
        wanted.sort_unstable();
        ensure_eq!(ids, wanted, "whole state of {entity}");
        ensure_eq!(whole.removed, [], "removed of {entity}");
    }
    Ok(())
}

/// Delete and touch of one entity leave another's memories alone, whatever ids
/// they are given.
pub async fn writes_are_scoped(context: &CheckContext) -> CheckResult {
    let people = neighbors(context).await?;
    let store = context.store();
    let mut everything: Vec<MemoryId> = Vec::new();
    everything.extend(people.iter().flat_map(|(_, hers, _)| hers));
    let first = &people[0].0;
    let updates: Vec<AccessUpdate> = everything
        .iter()
        .map(|id| AccessUpdate::new(first.clone(), *id, 1, at(1)))
        .collect();
    context.record_accesses(&updates).await?;
    let done = store.delete(first, &everything).await.at("delete")?;
    ensure_eq!(done.removed.len(), 3, "ids removed");
    for (entity, hers, _) in &people[1..] {
        let fetched = store.get(entity, hers).await.at("get")?;
        ensure_eq!(fetched.generation, Generation(1), "generation of {entity}");
        for memory in &fetched.memories {
            let count = memory.as_ref().map(|memory| memory.access_count);
            ensure_eq!(count, Some(0), "accesses of a memory of {entity}");
        }
    }
    Ok(())
}

/// Where two entities have memories of the same ids, every write of one leaves those of
/// the other as they are, and every read of one returns its own.
pub async fn equal_ids_are_kept_apart(context: &CheckContext) -> CheckResult {
    let mut rng = context.rng();
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let shared = [0; 5].map(|_| rng.id());
    let mut batch = Vec::new();
    for entity in [&mira, &tam] {
        for (number, id) in (0..).zip(shared) {
            let mut item = plain(entity, format!("number {number} of {entity}"), &mut rng);
            item.memory.id = id;
            item.memory.context = Some("the same".to_owned());
            item.memory.timestamp = at(number);
            batch.push(item);
        }
    }
    context.insert(&batch).await?;
    let (hers, his) = batch.split_at(shared.len());
    let before = context.entity_dump(&tam).await?;
    let unchanged = async |after: &str| -> CheckResult {
        let dump = context.entity_dump(&tam).await?;
        ensure!(dump == before, "{after} changed memories of another entity");
        Ok(())
    };
    for own in [hers, his] {
        only_own(context, own).await?;
    }
    let store = context.store();
    let accesses = shared.map(|id| AccessUpdate::new(mira.clone(), id, 1, at(1)));
    context.record_accesses(&accesses).await?;
    unchanged("record_accesses").await?;
    let patch = MemoryPatch::new()
        .content("after")
        .relate(shared[1], "like");
    let fresh = embedding(2, &mut rng);
    let updated = store.update(&mira, &shared[0], &patch, Some(&fresh)).await;
    updated.at("update")?;
    unchanged("update").await?;
    let group = consolidation(&mira, "in short", shared[..2].iter().copied(), &mut rng);
    let summary = group.summary.memory.id;
    context.consolidate(&mira, &[group]).await?;
    unchanged("consolidate").await?;
    store.delete(&mira, &[summary]).await.at("delete")?;
    unchanged("delete of a summary").await?;
    let next = plain(&mira, "next", &mut rng);
    let room = InsertOptions::unlimited().evict(mira.clone(), [shared[2]]);
    store.insert_opts(&[next], &room).await.at("insert_opts")?;
    unchanged("an eviction").await?;
    store.delete(&mira, &shared).await.at("delete")?;
    unchanged("delete").await?;
    only_own(context, his).await
}

/// Reads of one entity return exactly these memories, which are live and of one context.
async fn only_own(context: &CheckContext, own: &[EmbeddedMemory]) -> CheckResult {
    let store = context.store();
    let entity = &own[0].memory.entity_id;
    let ids: Vec<MemoryId> = own.iter().map(|item| item.memory.id).collect();
    let memories: Vec<&Memory> = own.iter().map(|item| &item.memory).collect();
    let fetched = store.get(entity, &ids).await.at("get")?.memories;
    let fetched: Vec<&Memory> = fetched.iter().flatten().collect();
    ensure_eq!(fetched, memories, "get of {entity}");
    let wanted = in_list_order(own, &MemoryFilter::new());
    for limit in [2, 100] {
        let listed = context.listed(entity, &MemoryFilter::new(), limit).await?;
        ensure_eq!(listed, wanted, "list of {entity}");
    }
    let query = DenseQuery::new(fingerprint(), own[0].embedding.vectors[0].clone());
    let request = SearchRequest::new(MemoryFilter::new(), 100).dense(query.clone());
    let found = store.search(entity, &request).await.at("search")?;
    are_own(context, own, &query, &found.candidates)?;
    ensure_eq!(found.candidates.len(), own.len(), "found for {entity}");
    if store.capabilities().neighbors {
        let request = NeighborRequest::new([ids[0]], 100).dense(query.clone());
        let found = store.neighbors(entity, &request).await.at("neighbors")?;
        are_own(context, own, &query, &found.hits)?;
        let lengths: Vec<u64> = found.episodes.iter().map(|part| part.length).collect();
        ensure_eq!(lengths, [own.len() as u64], "episodes of {entity}");
    }
    Ok(())
}

/// Each hit is one of these memories, with the similarity of its own vector.
fn are_own(
    context: &CheckContext,
    own: &[EmbeddedMemory],
    query: &DenseQuery,
    hits: &[SearchHit],
) -> CheckResult {
    for hit in hits {
        let item = own.iter().find(|item| item.memory == hit.memory);
        let Some(item) = item else {
            return Err(CheckFailure::failed("a memory of another entity was found"));
        };
        let pair = item.embedding.similarity(query).zip(hit.similarity);
        ensure!(
            pair.is_some_and(|(wanted, found)| context.tolerance().same(found, wanted)),
            "a memory has the similarity of another's vector: {pair:?}"
        );
    }
    Ok(())
}

type Neighbor = (EntityId, Vec<MemoryId>, Vec<MemoryId>);

/// Entities with confusable names and three memories each: the name, the
/// entity's own ids, and everybody else's.
async fn neighbors(context: &CheckContext) -> Result<Vec<Neighbor>, CheckFailure> {
    let mut rng = context.rng();
    let mut batch: Vec<EmbeddedMemory> = Vec::new();
    for (name, number) in NAMES
        .iter()
        .flat_map(|name| [(name, 0), (name, 1), (name, 2)])
    {
        let mut item = varied(&context.entity(name), number, &mut rng);
        item.memory.content.push_str(" shared");
        batch.push(item);
    }
    context.insert(&batch).await?;
    let ids = |entity: &EntityId, own: bool| -> Vec<MemoryId> {
        let memories = batch.iter().map(|item| &item.memory);
        memories
            .filter(|memory| (memory.entity_id == *entity) == own)
            .map(|memory| memory.id)
            .collect()
    };
    Ok(NAMES
        .iter()
        .map(|name| context.entity(name))
        .map(|entity| (entity.clone(), ids(&entity, true), ids(&entity, false)))
        .collect())
}
