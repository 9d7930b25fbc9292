//! [`SearchOutcome::sample`](memory_core::SearchOutcome::sample): memories that
//! match, chosen without regard to the query.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::limits::MAX_LIMIT;
use memory_core::{
    DenseQuery, EntityId, MemoryFilter, MemoryId, SearchHit, SearchOutcome, SearchRequest,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{DIMENSIONS, filters, fingerprint};
use crate::store::CheckContext;
use crate::store::context::distinct;
use crate::store::setups::Archive;

const SIZE: usize = 90;
const ARCHIVED: usize = 25;
const QUERY: &str = "lantern saddle orchard";

/// As many memories as asked for wherever as many match, each once; none where
/// none are asked for.
pub async fn has_as_many_as_asked_for(context: &CheckContext) -> CheckResult {
    let (mira, setup) = setup(context).await?;
    let live = setup.live().len();
    let vector = context.rng().vector(DIMENSIONS);
    for size in [0, 1, 7, live - 1, live, MAX_LIMIT] {
        let found = search(context, &mira, &MemoryFilter::new(), size, &vector).await?;
        let ids = sampled(&found)?;
        ensure_eq!(ids.len(), size.min(live), "memories in a sample of {size}");
    }
    Ok(())
}

/// Only live memories that the filter matches, and all of them where the sample
/// is large enough.
pub async fn matches_the_filter(context: &CheckContext) -> CheckResult {
    let (mira, setup) = setup(context).await?;
    let mut rng = context.rng();
    for filter in filters(12, &mut rng) {
        let live = setup.live();
        let matching: BTreeSet<MemoryId> = live
            .iter()
            .filter(|item| filter.matches(&item.memory))
            .map(|item| item.memory.id)
            .collect();
        let vector = rng.vector(DIMENSIONS);
        for size in [5, MAX_LIMIT] {
            let found = search(context, &mira, &filter, size, &vector).await?;
            let ids = sampled(&found)?;
            ensure!(
                ids.is_subset(&matching),
                "a sample of {size} has what does not match {filter:?}"
            );
            let wanted = size.min(matching.len());
            ensure_eq!(ids.len(), wanted, "memories in a sample by {filter:?}");
        }
    }
    Ok(())
}

/// Searches for different things have the same sample.
pub async fn does_not_depend_on_the_query(context: &CheckContext) -> CheckResult {
    let (mira, _) = setup(context).await?;
    let mut rng = context.rng();
    let mut samples = Vec::new();
    for _ in 0..5 {
        let vector = rng.vector(DIMENSIONS);
        let found = search(context, &mira, &MemoryFilter::new(), 10, &vector).await?;
        samples.push(sampled(&found)?);
    }
    let same = samples.windows(2).all(|pair| pair[0] == pair[1]);
    ensure!(same, "five queries have different samples");
    Ok(())
}

/// A memory of the sample carries the values that it has as a candidate.
pub async fn carries_every_value(context: &CheckContext) -> CheckResult {
    let (mira, _) = setup(context).await?;
    let vector = context.rng().vector(DIMENSIONS);
    let found = search(context, &mira, &MemoryFilter::new(), MAX_LIMIT, &vector).await?;
    let candidates: BTreeMap<MemoryId, &SearchHit> = found
        .candidates
        .iter()
        .map(|hit| (hit.memory.id, hit))
        .collect();
    ensure!(!found.sample.is_empty(), "an empty sample");
    for hit in &found.sample {
        let wanted = candidates.get(&hit.memory.id).copied();
        ensure_eq!(Some(hit), wanted, "a memory of the sample");
    }
    Ok(())
}

async fn setup(context: &CheckContext) -> Result<(EntityId, Archive), CheckFailure> {
    let mira = context.entity("mira");
    let setup = context
        .archive(&mira, SIZE, ARCHIVED, &mut context.rng())
        .await?;
    Ok((mira, setup))
}

/// Searches with every retriever, for as many candidates as the sample has.
async fn search(
    context: &CheckContext,
    entity: &EntityId,
    filter: &MemoryFilter,
    sample: usize,
    vector: &[f32],
) -> Result<SearchOutcome, CheckFailure> {
    let mut request = SearchRequest::new(filter.clone(), sample.max(1))
        .dense(DenseQuery::new(fingerprint(), vector.to_vec()))
        .sample(sample);
    if context.store().capabilities().lexical {
        request = request.lexical(QUERY);
    }
    context.store().search(entity, &request).await.at("search")
}

fn sampled(found: &SearchOutcome) -> Result<BTreeSet<MemoryId>, CheckFailure> {
    distinct(found.sample.iter().map(|hit| hit.memory.id))
}
