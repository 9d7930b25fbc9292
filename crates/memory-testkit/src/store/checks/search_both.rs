//! Both retrievers of [`Store::search`](memory_core::Store::search) at once.

use std::collections::BTreeMap;

use memory_core::{
    DenseQuery, EntityId, MemoryFilter, MemoryId, MemoryTagMode, SearchHit, SearchRequest,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{DIMENSIONS, fingerprint, varied_memories};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;

const QUERY: &str = "lantern saddle orchard";

/// The union of each retriever's best: what one retriever ranks among its first `limit` is
/// found, and nothing that neither does.
pub async fn finds_the_best_of_each_retriever(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    context.populate(&mira, 80, &mut rng).await?;
    let vector = rng.vector(DIMENSIONS);
    for filter in [
        MemoryFilter::new(),
        MemoryFilter::new().tags(["mill"], MemoryTagMode::AnyStrict),
    ] {
        let all = retrievers(&filter, 1_000, Some(&vector), Some(QUERY));
        let all = found(context, &mira, &all).await?;
        for limit in [1, 3, 10] {
            let both = retrievers(&filter, limit, Some(&vector), Some(QUERY));
            let both = found(context, &mira, &both).await?;
            let slack = context.tolerance().0;
            let dense = Retriever::new(&all, limit, slack, |found| found.similarity);
            let lexical = Retriever::new(&all, limit, slack, |found| found.lexical);
            for (id, candidate) in &all {
                let demanded = dense.demands(candidate) || lexical.demands(candidate);
                let allowed = dense.allows(candidate) || lexical.allows(candidate);
                ensure!(
                    both.contains_key(id) || !demanded,
                    "limit {limit}: one of the best of a retriever was left out: {candidate:?}"
                );
                ensure!(
                    !both.contains_key(id) || allowed,
                    "limit {limit}: among the best of no retriever: {candidate:?}"
                );
            }
            ensure!(
                both.len() >= limit.min(all.len()) && both.len() <= 2 * limit,
                "limit {limit}: {} candidates",
                both.len()
            );
        }
    }
    Ok(())
}

/// Each candidate carries every value that it has in a retriever asked for, also
/// when only the other retriever ranks it high.
pub async fn carries_every_value(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng: SeededRng = context.rng();
    let mut people = varied_memories(&mira, 60, &mut rng);
    // Some without a comparable vector: the lexical retriever alone can find them.
    for item in people.iter_mut().step_by(3) {
        item.embedding.fingerprint = crate::fixtures::other_fingerprint();
    }
    context.insert(&people).await?;
    let vector = rng.vector(DIMENSIONS);
    let every = MemoryFilter::new();
    let dense = found(
        context,
        &mira,
        &retrievers(&every, 1_000, Some(&vector), None),
    )
    .await?;
    let lexical = found(
        context,
        &mira,
        &retrievers(&every, 1_000, None, Some(QUERY)),
    )
    .await?;
    ensure_eq!(dense.len(), 40, "memories that have a similarity");
    for limit in [2, 5, 1_000] {
        let both = retrievers(&every, limit, Some(&vector), Some(QUERY));
        for (id, candidate) in found(context, &mira, &both).await? {
            let similarity = dense.get(&id).and_then(|alone| alone.similarity);
            let value = lexical.get(&id).and_then(|alone| alone.lexical);
            ensure!(
                same(candidate.similarity, similarity, context.tolerance().0),
                "limit {limit}: similarity {:?}, by the dense retriever alone {similarity:?}",
                candidate.similarity
            );
            ensure!(
                same(candidate.lexical, value, 1e-3),
                "limit {limit}: lexical value {:?}, by the lexical retriever alone {value:?}",
                candidate.lexical
            );
            ensure!(
                similarity.is_some() || value.is_some(),
                "limit {limit}: found by neither retriever alone: {candidate:?}"
            );
        }
    }
    Ok(())
}

fn retrievers(
    filter: &MemoryFilter,
    limit: usize,
    vector: Option<&[f32]>,
    text: Option<&str>,
) -> SearchRequest {
    SearchRequest {
        sample: 0,
        filter: filter.clone(),
        limit,
        dense: vector.map(|vector| DenseQuery {
            chunk_discount: 0.0,
            fingerprint: fingerprint(),
            vector: vector.to_vec(),
        }),
        lexical: text.map(str::to_owned),
    }
}

/// The candidates by id; each memory must occur once.
async fn found(
    context: &CheckContext,
    entity: &EntityId,
    request: &SearchRequest,
) -> Result<BTreeMap<MemoryId, SearchHit>, CheckFailure> {
    let found = context.store().search(entity, request).await.at("search")?;
    let count = found.candidates.len();
    let by_id: BTreeMap<MemoryId, SearchHit> = found
        .candidates
        .into_iter()
        .map(|candidate| (candidate.memory.id, candidate))
        .collect();
    ensure_eq!(by_id.len(), count, "distinct memories among the candidates");
    Ok(by_id)
}

/// One retriever's opinion on who is among its best; near ties may go either way.
struct Retriever {
    value: fn(&SearchHit) -> Option<f32>,
    /// Scores above this are among the best.
    upper: f32,
    /// Scores below this are not.
    lower: f32,
}

impl Retriever {
    fn new(
        all: &BTreeMap<MemoryId, SearchHit>,
        limit: usize,
        slack: f32,
        value: fn(&SearchHit) -> Option<f32>,
    ) -> Self {
        let mut values: Vec<f32> = all.values().filter_map(value).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        // Where the retriever has no more than `limit`, all of them are the best.
        let edge = values.get(limit).copied().unwrap_or(f32::NEG_INFINITY);
        let last_in = values.get(limit - 1).copied().unwrap_or(f32::NEG_INFINITY);
        Self {
            value,
            upper: edge + slack * edge.abs().min(1.0),
            lower: last_in - slack * last_in.abs().min(1.0),
        }
    }

    fn demands(&self, candidate: &SearchHit) -> bool {
        (self.value)(candidate).is_some_and(|value| value > self.upper)
    }

    fn allows(&self, candidate: &SearchHit) -> bool {
        (self.value)(candidate).is_some_and(|value| value >= self.lower)
    }
}

fn same(got: Option<f32>, wanted: Option<f32>, tolerance: f32) -> bool {
    match (got, wanted) {
        (None, None) => true,
        // Relative for large values: BM25 has no fixed scale.
        (Some(got), Some(wanted)) => (got - wanted).abs() <= tolerance * wanted.abs().max(1.0),
        _ => false,
    }
}
