//! The dense retriever of [`Store::search`](memory_core::Store::search).

use memory_core::{
    DenseQuery, EmbeddedMemory, EntityId, Fingerprint, Generation, MemoryFilter, ScoreStats,
    SearchOutcome, SearchRequest, cosine,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{DIMENSIONS, filters, fingerprint, other_fingerprint, plain};
use crate::seeded_rng::SeededRng;
use crate::store::context::distinct;
use crate::store::{CheckContext, Tolerance};

/// The best cosine among a memory's vectors ranks it, exactly, at every limit.
pub async fn ranks_by_best_vector(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = context.populate(&mira, 60, &mut rng).await?;
    for limit in [1, 2, 5, 20, 59, 60, 61, 1_000] {
        let query = rng.vector(DIMENSIONS);
        let found = search(context, &mira, MemoryFilter::new(), limit, &query).await?;
        exact(context, &found, &people, &query, limit).at(format!("limit {limit}"))?;
    }
    // A stored vector itself is its memory's best chunk, whichever it is.
    for item in people.iter().take(10) {
        for vector in &item.embedding.vectors {
            let found = search(context, &mira, MemoryFilter::new(), 1, vector).await?;
            let first = found.candidates.first().map(|found| found.memory.id);
            ensure_eq!(first, Some(item.memory.id), "nearest to its own vector");
        }
    }
    Ok(())
}

/// `limit k` finds k whenever k memories match, however few pass the filter
/// and however far they are from the query.
pub async fn finds_k_under_every_filter(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = context.populate(&mira, 150, &mut rng).await?;
    for filter in filters(30, &mut rng) {
        let admitted: Vec<EmbeddedMemory> = people
            .iter()
            .filter(|item| filter.matches(&item.memory))
            .cloned()
            .collect();
        for limit in [1, 4, 25] {
            let query = rng.vector(DIMENSIONS);
            let found = search(context, &mira, filter.clone(), limit, &query).await?;
            exact(context, &found, &admitted, &query, limit)
                .at(format!("limit {limit} by {filter:?}"))?;
        }
    }
    Ok(())
}

/// Vectors of other fingerprints are never compared: neither of the same
/// length nor of another.
pub async fn compares_one_fingerprint_only(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let query = rng.vector(DIMENSIONS);
    let mut ours = plain(&mira, "of our model", &mut rng);
    ours.embedding.vectors = vec![query.iter().map(|x| -x).collect()];
    let mut theirs = plain(&mira, "of their model", &mut rng);
    theirs.embedding.fingerprint = other_fingerprint();
    theirs.embedding.vectors = vec![query.clone()];
    let mut longer = plain(&mira, "of a longer model", &mut rng);
    longer.embedding.fingerprint = Fingerprint::from("testkit/model-long");
    longer.embedding.vectors = vec![rng.vector(DIMENSIONS * 2)];
    let long_query = longer.embedding.vectors[0].clone();
    context
        .insert(&[ours.clone(), theirs.clone(), longer.clone()])
        .await?;

    for (item, query, similarity) in [
        (&ours, &query, -1.0),
        (&theirs, &query, 1.0),
        (&longer, &long_query, 1.0),
    ] {
        let request = dense(MemoryFilter::new(), 10, &item.embedding.fingerprint, query);
        let found = context.store().search(&mira, &request).await.at("search")?;
        let name = &item.memory.content;
        ensure_eq!(found.candidates.len(), 1, "candidates {name}");
        ensure!(
            found.compared.is_none_or(|compared| compared == 1),
            "compared {:?} memories of {name}",
            found.compared
        );
        let candidate = &found.candidates[0];
        ensure_eq!(candidate.memory.id, item.memory.id, "candidate {name}");
        ensure!(
            close(context.tolerance(), candidate.similarity, similarity),
            "{name}: similarity {:?}, expected {similarity}",
            candidate.similarity
        );
    }
    let unknown = Fingerprint::from("testkit/unheard-of");
    let request = dense(MemoryFilter::new(), 10, &unknown, &query);
    let found = context.store().search(&mira, &request).await.at("search")?;
    ensure_eq!(found.candidates.len(), 0, "candidates of an unknown model");
    ensure!(
        found.compared.is_none_or(|compared| compared == 0),
        "compared {:?} memories of an unknown model",
        found.compared
    );
    Ok(())
}

/// A memory's rank and the statistics are those of its best cosine less the
/// discount for its number of vectors; the similarity is the cosine alone.
pub async fn discounts_many_chunks(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let query = rng.vector(DIMENSIONS);
    let mut items = Vec::new();
    // The more chunks, the better the best, by less than their discount.
    for chunks in 1..=8u16 {
        let mut item = plain(&mira, format!("of {chunks} chunks"), &mut rng);
        let best = toward(&query, 0.5 + f32::from(chunks) * 0.02, &mut rng);
        let worse = (1..chunks).map(|_| toward(&query, -0.2, &mut rng));
        item.embedding.vectors = worse.chain([best]).collect();
        items.push(item);
    }
    context.insert(&items).await?;
    for discount in [0.0, 0.2] {
        let dense = DenseQuery::new(fingerprint(), query.clone()).chunk_discount(discount);
        let wanted: Vec<(f32, f32, u32)> = items
            .iter()
            .filter_map(|item| {
                let (similarity, chunks) = item.embedding.best_chunk(&dense)?;
                Some((dense.value(similarity, chunks), similarity, chunks))
            })
            .collect();
        let request = SearchRequest::new(MemoryFilter::new(), 3).dense(dense);
        let found = context.store().search(&mira, &request).await.at("search")?;
        let mut ranked = wanted.clone();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut best: Vec<u32> = ranked[..3].iter().map(|(_, _, chunks)| *chunks).collect();
        best.sort_unstable();
        let chunks = found.candidates.iter().filter_map(|hit| hit.chunks);
        let mut chunks: Vec<u32> = chunks.collect();
        chunks.sort_unstable();
        ensure_eq!(chunks, best, "chunks of the best, discount {discount}");
        for hit in &found.candidates {
            let (_, similarity, _) = wanted[hit.chunks.unwrap_or(1) as usize - 1];
            ensure!(
                close(context.tolerance(), hit.similarity, similarity),
                "discount {discount}: similarity {:?}, expected {similarity}",
                hit.similarity
            );
        }
        if let Some(stats) = found.dense {
            let expected = ScoreStats::of(wanted.iter().map(|(value, _, _)| *value));
            let near = |a: f32, b: f32| (a - b).abs() < 1e-3 + context.tolerance().0;
            ensure!(
                near(stats.mean, expected.mean) && near(stats.deviation, expected.deviation),
                "discount {discount}: {stats:?}, expected {expected:?}"
            );
        }
    }
    Ok(())
}

/// A unit vector with this cosine to `query`.
fn toward(query: &[f32], cosine_to_query: f32, rng: &mut SeededRng) -> Vec<f32> {
    let other = rng.vector(DIMENSIONS);
    let along = cosine(&other, query);
    let mut across: Vec<f32> = other
        .iter()
        .zip(query)
        .map(|(o, q)| o - along * q)
        .collect();
    let norm = across.iter().map(|x| x * x).sum::<f32>().sqrt();
    across.iter_mut().for_each(|x| *x /= norm);
    let share = (1.0 - cosine_to_query * cosine_to_query).sqrt();
    let parts = across.iter().zip(query);
    parts
        .map(|(a, q)| share * a + cosine_to_query * q)
        .collect()
}

/// A candidate's memory is whole: what a get of it gives.
pub async fn returns_whole_memories(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = context.populate(&mira, 20, &mut rng).await?;
    let query = rng.vector(DIMENSIONS);
    let found = search(context, &mira, MemoryFilter::new(), 100, &query).await?;
    ensure_eq!(found.generation, Generation(1), "generation");
    ensure_eq!(found.candidates.len(), people.len(), "candidates");
    for candidate in &found.candidates {
        let wanted = people
            .iter()
            .map(|item| &item.memory)
            .find(|memory| memory.id == candidate.memory.id);
        ensure_eq!(Some(&candidate.memory), wanted, "candidate");
    }
    let stranger = context.entity("stranger");
    let found = search(context, &stranger, MemoryFilter::new(), 10, &query).await?;
    ensure_eq!(found.candidates, [], "found by a stranger");
    ensure_eq!(found.generation, Generation::ZERO, "of a stranger");
    Ok(())
}

/// Where no retriever is asked, nothing is found.
pub async fn finds_nothing_without_retriever(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    context.populate(&mira, 3, &mut context.rng()).await?;
    let request = SearchRequest {
        sample: 0,
        filter: MemoryFilter::new(),
        limit: 10,
        dense: None,
        lexical: None,
    };
    let found = context.store().search(&mira, &request).await.at("search")?;
    ensure_eq!(found.candidates, [], "candidates of no retriever");
    ensure_eq!(found.generation, Generation(1), "generation");
    Ok(())
}

fn dense(
    filter: MemoryFilter,
    limit: usize,
    fingerprint: &Fingerprint,
    vector: &[f32],
) -> SearchRequest {
    SearchRequest {
        sample: 0,
        filter,
        limit,
        dense: Some(DenseQuery {
            chunk_discount: 0.0,
            fingerprint: fingerprint.clone(),
            vector: vector.to_vec(),
        }),
        lexical: None,
    }
}

pub(crate) async fn search(
    context: &CheckContext,
    entity: &EntityId,
    filter: MemoryFilter,
    limit: usize,
    vector: &[f32],
) -> Result<SearchOutcome, CheckFailure> {
    let request = dense(filter, limit, &fingerprint(), vector);
    context.store().search(entity, &request).await.at("search")
}

/// Holds what was found against a scan of everything: the right number, each once, true
/// similarities, and nothing better left out.
pub(crate) fn exact(
    context: &CheckContext,
    found: &SearchOutcome,
    admitted: &[EmbeddedMemory],
    query: &[f32],
    limit: usize,
) -> CheckResult {
    let best = |item: &EmbeddedMemory| {
        let cosines = item
            .embedding
            .vectors
            .iter()
            .map(|vector| cosine(vector, query));
        cosines.fold(f32::NEG_INFINITY, f32::max)
    };
    ensure_eq!(
        found.candidates.len(),
        limit.min(admitted.len()),
        "candidates"
    );
    distinct(found.candidates.iter().map(|found| found.memory.id))?;
    let mut worst = f32::INFINITY;
    for candidate in &found.candidates {
        let id = candidate.memory.id;
        let Some(item) = admitted.iter().find(|item| item.memory.id == id) else {
            return Err(CheckFailure::failed(format!("{id} is not admitted")));
        };
        let wanted = best(item);
        ensure!(
            close(context.tolerance(), candidate.similarity, wanted),
            "similarity {:?}, by a scan {wanted}",
            candidate.similarity
        );
        worst = worst.min(wanted);
    }
    for item in admitted {
        let id = item.memory.id;
        let left_out = found.candidates.iter().all(|found| found.memory.id != id);
        let slack = 2.0 * context.tolerance().0;
        ensure!(
            !left_out || best(item) <= worst + slack,
            "similarity {} was left out while {worst} was found",
            best(item)
        );
    }
    Ok(())
}

fn close(tolerance: Tolerance, got: Option<f32>, wanted: f32) -> bool {
    got.is_some_and(|got| tolerance.same(got, wanted))
}
