//! [`Store::neighbors`](memory_core::Store::neighbors).

use std::collections::BTreeMap;

use memory_core::limits::MAX_LIMIT;
use memory_core::{
    DenseQuery, EmbeddedMemory, EntityId, EpisodePart, Generation, MemoryError, MemoryFilter,
    MemoryId, NeighborOutcome, NeighborRequest, SearchHit, SearchRequest,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{DIMENSIONS, at, filters, fingerprint, other_fingerprint, plain};
use crate::store::CheckContext;
use crate::store::context::ids;

/// Where the capabilities deny neighbors, the answer is that they are not
/// supported.
pub async fn answers_as_capabilities_say(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let episode = context.populate(&mira, 3, &mut context.rng()).await?;
    let request = NeighborRequest::new(ids(&episode), 1);
    let capabilities = context.store().capabilities();
    match context.store().neighbors(&mira, &request).await {
        Ok(_) => ensure!(capabilities.neighbors, "neighbors are denied and answered"),
        Err(MemoryError::Unsupported { backend, .. }) => {
            ensure!(!capabilities.neighbors, "neighbors are offered and refused");
            ensure_eq!(backend, capabilities.backend, "backend in the error");
        }
        Err(error) => return Err(CheckFailure::from(error)),
    }
    Ok(())
}

/// The memories of the same context that come before and after in time, nearest
/// first, up to the reach, and the length of the episode.
pub async fn are_nearest_in_time(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut items: Vec<EmbeddedMemory> = (0..12)
        .map(|n| plain(&mira, format!("moment {n}"), &mut rng))
        .collect();
    for (item, n) in items.iter_mut().zip(0..) {
        // The even ones at the market, in the order of time; the last has none.
        let places = ["the market", "the mill"];
        item.memory.context = (n < 11).then(|| places[n % 2].to_owned());
        item.memory.timestamp = at(i64::try_from(n).unwrap_or_default());
    }
    let mut scrambled = items.clone();
    scrambled.rotate_left(5);
    context.insert(&scrambled).await?;
    let id = |n: usize| items[n].memory.id;
    let part = |memory: usize, before: &[usize], after: &[usize], length| EpisodePart {
        before: before.iter().map(|n| id(*n)).collect(),
        memory: id(memory),
        after: after.iter().map(|n| id(*n)).collect(),
        length,
    };
    for (reach, wanted) in [
        (1, part(4, &[2], &[6], 6)),
        (2, part(4, &[2, 0], &[6, 8], 6)),
        (3, part(4, &[2, 0], &[6, 8, 10], 6)),
        (MAX_LIMIT, part(4, &[2, 0], &[6, 8, 10], 6)),
        (2, part(0, &[], &[2, 4], 6)),
        (2, part(9, &[7, 5], &[], 5)),
    ] {
        let found = neighbors(context, &mira, &[wanted.memory], reach).await?;
        ensure_eq!(found.generation, Generation(1), "generation");
        ensure_eq!(found.episodes, [wanted], "within {reach} steps");
    }
    let unknown = MemoryId::new();
    let found = neighbors(context, &mira, &[id(11), unknown], 2).await?;
    ensure_eq!(found.episodes, [], "neighbors without a context");
    ensure_eq!(found.hits, [], "hits without a context");
    let short = NeighborRequest::new([id(4)], 1).max_length(4);
    let found = context.store().neighbors(&mira, &short).await;
    let lengths: Vec<u64> = found
        .at("neighbors")?
        .episodes
        .iter()
        .map(|it| it.length)
        .collect();
    ensure_eq!(lengths, [4], "a length counted up to 4");
    Ok(())
}

/// Under every filter, with ties of time and with archived memories, the parts
/// are those of a scan, and each neighbor is among the hits once.
pub async fn agree_with_a_scan(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let setup = context.archive(&mira, 70, 20, &mut rng).await?;
    let mut rows = setup.archived();
    rows.extend(setup.live());
    for filter in filters(12, &mut rng) {
        for reach in [1, 3] {
            let request = NeighborRequest::new(ids(&rows), reach).filter(filter.clone());
            let wanted = NeighborOutcome::select(Generation(2), &rows, &request);
            let found = context.store().neighbors(&mira, &request).await;
            let found = found.at("neighbors")?;
            let step = format!("reach {reach} by {filter:?}");
            let parts = |outcome: &NeighborOutcome| {
                let mut parts = outcome.episodes.clone();
                parts.sort_by_key(|part| part.memory);
                parts
            };
            ensure_eq!(parts(&found), parts(&wanted), "{step}: episodes");
            ensure_eq!(sorted(&found), sorted(&wanted), "{step}: hits");
        }
    }
    Ok(())
}

/// A neighbor has the values that a search has for it.
pub async fn carry_the_values_of_a_search(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut items = crate::fixtures::varied_memories(&mira, 40, &mut rng);
    // Some without a comparable vector.
    for item in items.iter_mut().step_by(5) {
        item.embedding.fingerprint = other_fingerprint();
    }
    context.insert(&items).await?;
    let query = DenseQuery::new(fingerprint(), rng.vector(DIMENSIONS)).chunk_discount(0.1);
    let search = SearchRequest::new(MemoryFilter::new(), MAX_LIMIT).dense(query.clone());
    let searched = context.store().search(&mira, &search).await.at("search")?;
    let searched: BTreeMap<MemoryId, SearchHit> = searched
        .candidates
        .into_iter()
        .map(|hit| (hit.memory.id, hit))
        .collect();
    let request = NeighborRequest::new(ids(&items), 2).dense(query);
    let found = context.store().neighbors(&mira, &request).await;
    let found = found.at("neighbors")?;
    ensure!(!found.hits.is_empty(), "no neighbors");
    for hit in &found.hits {
        let wanted = searched.get(&hit.memory.id);
        let wanted = wanted.map(|hit| (hit.similarity, hit.chunks));
        let (similarity, chunks) = wanted.unwrap_or((None, None));
        let tolerance = context.tolerance();
        let same = match (hit.similarity, similarity) {
            (Some(got), Some(wanted)) => tolerance.same(got, wanted),
            (got, wanted) => got == wanted,
        };
        ensure!(
            same,
            "similarity {:?}, by a search {similarity:?}",
            hit.similarity
        );
        ensure_eq!(hit.chunks, chunks, "chunks");
    }
    Ok(())
}

/// Another entity's memories of the same context are no neighbors.
pub async fn are_scoped(context: &CheckContext) -> CheckResult {
    let (mira, oster) = (context.entity("mira"), context.entity("oster"));
    let mut rng = context.rng();
    let mut items = Vec::new();
    for (n, entity) in [&mira, &oster, &mira, &oster].into_iter().enumerate() {
        let mut item = plain(entity, format!("moment {n}"), &mut rng);
        item.memory.context = Some("the market".to_owned());
        item.memory.timestamp = at(i64::try_from(n).unwrap_or_default());
        items.push(item);
    }
    context.insert(&items).await?;
    let found = neighbors(context, &mira, &ids(&items), 3).await?;
    let mut asked: Vec<MemoryId> = found.episodes.iter().map(|part| part.memory).collect();
    asked.sort_unstable();
    let mut hers = vec![items[0].memory.id, items[2].memory.id];
    hers.sort_unstable();
    ensure_eq!(asked, hers, "memories with neighbors");
    for part in &found.episodes {
        ensure_eq!(part.length, 2, "length");
    }
    let strangers = found.hits.iter().filter(|hit| hit.memory.entity_id != mira);
    ensure_eq!(strangers.count(), 0, "memories of others");
    Ok(())
}

/// Numbers outside the limits are refused.
pub async fn numbers_are_limited(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let one = MemoryId::new();
    let too_many = (0..=MAX_LIMIT).map(|_| MemoryId::new());
    for request in [
        NeighborRequest::new([], 1),
        NeighborRequest::new(too_many, 1),
        NeighborRequest::new([one], 0),
        NeighborRequest::new([one], MAX_LIMIT + 1),
        NeighborRequest::new([one], 1).max_length(0),
    ] {
        let answer = context.store().neighbors(&mira, &request).await;
        let (ids, reach) = (request.ids.len(), request.reach);
        ensure!(
            matches!(answer, Err(MemoryError::InvalidInput { .. })),
            "{ids} ids and a reach of {reach} are not refused"
        );
    }
    Ok(())
}

async fn neighbors(
    context: &CheckContext,
    entity: &EntityId,
    ids: &[MemoryId],
    reach: usize,
) -> Result<NeighborOutcome, CheckFailure> {
    let request = NeighborRequest::new(ids.iter().copied(), reach);
    let found = context.store().neighbors(entity, &request).await;
    found.at("neighbors")
}

fn sorted(found: &NeighborOutcome) -> Vec<SearchHit> {
    let mut hits = found.hits.clone();
    hits.sort_by_key(|hit| hit.memory.id);
    hits
}
