//! Mean and deviation of each retriever of [`Store::search`](memory_core::Store::search):
//! those of all admitted memories, found or not.

use memory_core::limits::MAX_LIMIT;
use memory_core::{
    DenseQuery, EmbeddedMemory, EntityId, MemoryFilter, ScoreStats, SearchOutcome, SearchRequest,
    cosine,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{DIMENSIONS, filters, fingerprint, other_fingerprint, varied_memories};
use crate::store::CheckContext;
use crate::store::setups::Archive;

const QUERY: &str = "lantern saddle orchard quorvex";
/// How far a summary may be off, relative to itself: sums in other orders and
/// precisions.
const PRECISION: f32 = 1e-3;
/// Memories on which summaries are tried, live and archived.
const SIZE: usize = 90;
const ARCHIVED: usize = 25;

/// The dense retriever's summary is that of the best cosines of all admitted
/// memories with a vector of the query's fingerprint, however few are found;
/// or none, where the search is approximate.
pub async fn dense_covers_all_matches(context: &CheckContext) -> CheckResult {
    let (mira, scene) = scene(context).await?;
    let mut rng = context.rng();
    for filter in filters(12, &mut rng) {
        let query = rng.vector(DIMENSIONS);
        let wanted = ScoreStats::of(
            scene
                .live()
                .iter()
                .filter(|item| filter.matches(&item.memory))
                .filter_map(|item| best(item, &query)),
        );
        for limit in [1, 7, MAX_LIMIT] {
            let found = search(context, &mira, &filter, limit, Some(&query), None).await?;
            ensure_eq!(found.lexical, None, "the retriever that was not asked for");
            if let Some(got) = found.dense {
                let slack = context.tolerance().0;
                same(got, wanted, slack).at(format!("limit {limit} by {filter:?}"))?;
            }
        }
    }
    Ok(())
}

/// The lexical retriever's summary is that of the scores of all admitted memories,
/// 0 where no word matches, however few are found.
pub async fn lexical_covers_all_matches(context: &CheckContext) -> CheckResult {
    let (mira, scene) = scene(context).await?;
    for filter in filters(12, &mut context.rng()) {
        let admitted = scene
            .live()
            .iter()
            .filter(|item| filter.matches(&item.memory))
            .count();
        for query in [QUERY, "lantern", "unheardof", "…"] {
            let query = Some(query);
            let all = search(context, &mira, &filter, MAX_LIMIT, None, query).await?;
            let scores = all.candidates.iter().filter_map(|found| found.lexical);
            let matching = scores.clone().count();
            ensure_eq!(matching, all.candidates.len(), "candidates with a score");
            ensure!(matching <= admitted, "{matching} of {admitted} match");
            let zeros = std::iter::repeat_n(0.0, admitted - matching);
            let wanted = ScoreStats::of(scores.chain(zeros));
            for limit in [1, 7, MAX_LIMIT] {
                let found = search(context, &mira, &filter, limit, None, query).await?;
                ensure_eq!(found.dense, None, "the retriever that was not asked for");
                let got = found.lexical.ok_or_else(|| {
                    CheckFailure::failed("no summary of the retriever that was asked for")
                })?;
                same(got, wanted, PRECISION * 1e-2)
                    .at(format!("{query:?}, limit {limit} by {filter:?}"))?;
            }
        }
    }
    Ok(())
}

/// Both retrievers at once say of each what it says alone.
pub async fn both_equal_each_alone(context: &CheckContext) -> CheckResult {
    let (mira, _) = scene(context).await?;
    let mut rng = context.rng();
    for filter in filters(4, &mut rng) {
        let vector = rng.vector(DIMENSIONS);
        let (vector, query) = (Some(&*vector), Some(QUERY));
        let both = search(context, &mira, &filter, 3, vector, query).await?;
        let dense = search(context, &mira, &filter, 3, vector, None).await?;
        let lexical = search(context, &mira, &filter, 3, None, query).await?;
        for (retriever, together, alone) in [
            ("dense", both.dense, dense.dense),
            ("lexical", both.lexical, lexical.lexical),
        ] {
            match (together, alone) {
                (Some(together), Some(alone)) => {
                    same(together, alone, context.tolerance().0)
                        .at(format!("{retriever} retriever by {filter:?}"))?;
                }
                (None, None) if retriever == "dense" => {}
                other => {
                    let why = format!("{retriever} retriever, with another and alone: {other:?}");
                    return Err(CheckFailure::failed(why));
                }
            }
        }
    }
    Ok(())
}

/// A retriever that is not asked for has no statistics.
pub async fn are_absent_without_retriever(context: &CheckContext) -> CheckResult {
    let (mira, _) = scene(context).await?;
    let all = MemoryFilter::new();
    let found = search(context, &mira, &all, 5, None, None).await?;
    ensure_eq!(found.dense, None, "the dense retriever");
    ensure_eq!(found.lexical, None, "the lexical retriever");
    Ok(())
}

/// The number of matching memories, where the store counts them, is that of a
/// count.
pub async fn matches_are_counted(context: &CheckContext) -> CheckResult {
    let (mira, scene) = scene(context).await?;
    let mut rng = context.rng();
    for filter in filters(12, &mut rng) {
        let live = scene.live();
        let matching = live.iter().filter(|item| filter.matches(&item.memory));
        let matching = matching.count() as u64;
        let query = rng.vector(DIMENSIONS);
        let found = search(context, &mira, &filter, 3, Some(&query), None).await?;
        let got = found.matching.unwrap_or(matching);
        ensure_eq!(got, matching, "memories that match {filter:?}");
    }
    Ok(())
}

/// The terms of a query, where the store counts them, are counted in every live
/// memory, whatever the filter.
pub async fn terms_are_counted_in_all(context: &CheckContext) -> CheckResult {
    let (mira, scene) = scene(context).await?;
    let live = scene.live();
    let holding = |word: &str| {
        let contents = live.iter().map(|item| &item.memory.content);
        contents.filter(|content| content.contains(word)).count() as u64
    };
    let mut lengths = Vec::new();
    for filter in filters(4, &mut context.rng()) {
        let found = search(context, &mira, &filter, 3, None, Some("lantern garnet")).await?;
        let Some(terms) = found.terms else { continue };
        ensure_eq!(terms.memories, live.len() as u64, "memories counted in");
        for word in ["lantern", "garnet"] {
            // A store may write a word as a stem, but these are their own.
            let got = terms.counts.get(word).copied().unwrap_or_default();
            ensure_eq!(got, holding(word), "memories with {word}, by {filter:?}");
        }
        lengths.extend(terms.mean_length);
    }
    // Contents have 4 to 11 words and a number.
    let range = 2.0..12.0;
    ensure!(
        lengths.iter().all(|length| range.contains(length)),
        "mean lengths {lengths:?}"
    );
    let same = lengths
        .windows(2)
        .all(|pair| pair[0].to_bits() == pair[1].to_bits());
    ensure!(same, "the mean length depends on the filter: {lengths:?}");
    Ok(())
}

/// A fixtures of which some have no comparable vector, and some are archived
/// and count in nothing.
async fn scene(context: &CheckContext) -> Result<(EntityId, Archive), CheckFailure> {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let scene = context.archive(&mira, SIZE, ARCHIVED, &mut rng).await?;
    let mut foreign = varied_memories(&mira, 20, &mut rng);
    for item in &mut foreign {
        item.embedding.fingerprint = other_fingerprint();
    }
    context.insert(&foreign).await?;
    let mut scene = scene;
    scene.people.extend(foreign);
    Ok((mira, scene))
}

/// The best cosine of a memory, if it has any that compares.
fn best(item: &EmbeddedMemory, query: &[f32]) -> Option<f32> {
    let embedding = &item.embedding;
    let comparable = embedding.fingerprint == fingerprint();
    let cosines = embedding.vectors.iter().map(|vector| cosine(vector, query));
    cosines.reduce(f32::max).filter(|_| comparable)
}

async fn search(
    context: &CheckContext,
    entity: &EntityId,
    filter: &MemoryFilter,
    limit: usize,
    vector: Option<&[f32]>,
    text: Option<&str>,
) -> Result<SearchOutcome, CheckFailure> {
    let request = SearchRequest {
        sample: 0,
        filter: filter.clone(),
        limit,
        dense: vector.map(|vector| DenseQuery {
            chunk_discount: 0.0,
            fingerprint: fingerprint(),
            vector: vector.to_vec(),
        }),
        lexical: text.map(str::to_owned),
    };
    context.store().search(entity, &request).await.at("search")
}

/// Compares summaries, to [`PRECISION`] with the additional `slack`.
fn same(got: ScoreStats, wanted: ScoreStats, slack: f32) -> CheckResult {
    for (what, got, wanted) in [
        ("mean", got.mean, wanted.mean),
        ("deviation", got.deviation, wanted.deviation),
    ] {
        let near = (got - wanted).abs() <= PRECISION * wanted.abs() + slack;
        ensure!(near, "{what} {got}, over all that is admitted {wanted}");
    }
    Ok(())
}
