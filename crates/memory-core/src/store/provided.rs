//! The provided methods of [`Store`], on top of the required ones.

use super::{
    EmbeddedMemory, EntityStats, Generation, ListRequest, ListScope, ScoreStats, SearchHit,
    SearchOutcome, SearchRequest, Store,
};
use crate::embedder::Fingerprint;
use crate::error::{ErrorKind, MemoryError, MemoryResult};
use crate::filter::MemoryFilter;
use crate::id::EntityId;
use crate::limits;

/// How often a count over several pages starts over because of a write.
const MAX_ATTEMPTS: usize = 100;

pub(super) async fn count<S: Store + ?Sized>(
    store: &S,
    entity: &EntityId,
    filter: &MemoryFilter,
) -> MemoryResult<u64> {
    for _ in 0..MAX_ATTEMPTS {
        if let Some((_, count)) = count_in(store, entity, filter, ListScope::Live).await? {
            return Ok(count);
        }
    }
    Err(overtaken("count"))
}

pub(super) async fn entity_stats<S: Store + ?Sized>(
    store: &S,
    entity: &EntityId,
) -> MemoryResult<EntityStats> {
    let all = MemoryFilter::new();
    for _ in 0..MAX_ATTEMPTS {
        let live = count_in(store, entity, &all, ListScope::Live).await?;
        let archived = count_in(store, entity, &all, ListScope::Archived).await?;
        if let (Some((generation, live)), Some((later, archived))) = (live, archived)
            && generation == later
        {
            return Ok(EntityStats::new(generation, live, archived));
        }
    }
    Err(overtaken("entity_stats"))
}

pub(super) async fn search<S: Store + ?Sized>(
    store: &S,
    entity: &EntityId,
    request: &SearchRequest,
) -> MemoryResult<SearchOutcome> {
    request.validate()?;
    if request.lexical.is_some() {
        return Err(MemoryError::Unsupported {
            operation: "lexical search",
            backend: store.capabilities().backend,
        });
    }
    let fingerprint = match &request.dense {
        Some(query) => query.fingerprint.clone(),
        None => Fingerprint::from(""),
    };
    let state = store
        .changes_since(entity, Generation::ZERO, &fingerprint)
        .await?;
    let mut scored: Vec<(f32, SearchHit)> = Vec::new();
    let (mut others, mut matching) = (Vec::new(), 0);
    let matches = |item: &EmbeddedMemory| request.filter.matches(&item.memory);
    for item in state.written.into_iter().filter(matches) {
        matching += 1;
        let dense = request.dense.as_ref();
        let found = dense.and_then(|query| {
            let (similarity, chunks) = item.embedding.best_chunk(query)?;
            Some((query.value(similarity, chunks), similarity, chunks))
        });
        let hit = SearchHit::new(item.memory);
        match found {
            Some((value, similarity, chunks)) => {
                let hit = hit.similarity(Some(similarity)).chunks(Some(chunks));
                scored.push((value, hit));
            }
            None => others.push(hit),
        }
    }
    let stats = ScoreStats::of(scored.iter().map(|(value, _)| *value));
    let compared = scored.len() as u64;
    scored.sort_by(|(a, one), (b, other)| {
        b.total_cmp(a)
            .then_with(|| one.memory.id.cmp(&other.memory.id))
    });
    let all = scored.iter().map(|(_, hit)| hit).chain(&others);
    let sample = select_sample(all, request.sample);
    scored.truncate(request.limit);
    let hits = scored.into_iter().map(|(_, hit)| hit).collect();
    Ok(SearchOutcome::new(state.generation, hits)
        .dense(request.dense.as_ref().map(|_| stats))
        .compared(request.dense.as_ref().map(|_| compared))
        .matching(matching)
        .sample(sample))
}

/// Up to `size` of these hits, without regard to their values: those whose ids
/// come first by their last, random bits.
fn select_sample<'a>(hits: impl Iterator<Item = &'a SearchHit>, size: usize) -> Vec<SearchHit> {
    let by_random_bits = |hit: &SearchHit| hit.memory.id.as_uuid().as_u128().reverse_bits();
    let mut hits: Vec<(u128, &SearchHit)> = hits.map(|hit| (by_random_bits(hit), hit)).collect();
    hits.sort_unstable_by_key(|(key, _)| *key);
    hits.into_iter()
        .take(size)
        .map(|(_, hit)| hit.clone())
        .collect()
}

/// The generation of an entity and how many memories of a scope match; `None`
/// where a write came between two pages.
async fn count_in<S: Store + ?Sized>(
    store: &S,
    entity: &EntityId,
    filter: &MemoryFilter,
    scope: ListScope,
) -> MemoryResult<Option<(Generation, u64)>> {
    let request = ListRequest::new(limits::MAX_LIMIT);
    let mut request = request.filter(filter.clone()).scope(scope);
    let mut generation = None;
    let mut count = 0;
    loop {
        let page = store.list(entity, &request).await?;
        if *generation.get_or_insert(page.generation) != page.generation {
            return Ok(None);
        }
        count += page.memories.len() as u64;
        match page.next {
            Some(cursor) => request.after = Some(cursor),
            None => return Ok(Some((page.generation, count))),
        }
    }
}

pub(super) fn unsupported<S: Store + ?Sized>(store: &S, operation: &'static str) -> MemoryError {
    MemoryError::Unsupported {
        operation,
        backend: store.capabilities().backend,
    }
}

fn overtaken(operation: &'static str) -> MemoryError {
    let message = format!(
        "the entity was written to during each of {MAX_ATTEMPTS} attempts to read it; try again"
    );
    MemoryError::store(ErrorKind::Unavailable, operation, message)
}
