//! ANN indexes: built and dropped by maintenance; a search always finds as many
//! as requested.

use std::collections::BTreeSet;

use memory_core::{
    DenseQuery, EntityId, IndexAction, IndexReason, MaintenanceReport, MaintenanceRequest,
    MemoryError, MemoryFilter, MemoryId, SearchOutcome, SearchRequest, Store,
};
use memory_pg::{AnnIndex, PgOptions, PgStore, Pooler};
use memory_testkit::{SeededRng, fixtures};

use crate::memories;
use crate::support::{connect, run, with_database};

/// A name with the characters that end SQL literals.
const NAME: &str = r"o'b\rien";
const SIZE: usize = 1_200;
const LIMIT: usize = 10;

fn options(index: AnnIndex) -> PgOptions {
    PgOptions::new()
        .ann_index(index)
        .ann_min_vectors(SIZE as u64 / 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_are_built_used_and_dropped() {
    with_database(|url| async move {
        // Most of the lists: random vectors do not form clusters.
        let lists = AnnIndex::IvfFlat { probes: 26 };
        for index in [AnnIndex::hnsw(), lists] {
            let store = options(index).connect(&url).await.unwrap();
            if index == AnnIndex::hnsw() {
                populate(&store).await;
                // Plans of thousands of searches must not depend on when the server does it.
                let mut other = connect(&url).await;
                run(&mut other, "VACUUM ANALYZE memory_embedding, memory").await;
            }
            // It takes the place of the index of the other method.
            let action = match index == AnnIndex::hnsw() {
                true => IndexAction::Build,
                false => IndexAction::Replace,
            };
            assert_eq!(maintain(&store).await, [(action, IndexReason::Configured)]);
            let again = maintain(&store).await;
            assert_eq!(again, [(IndexAction::Keep, IndexReason::Configured)]);
            compare_with_exact_search(&store, &url).await;
            store.close().await.unwrap();
        }
        let exact = options(AnnIndex::None).connect(&url).await.unwrap();
        let done = maintain(&exact).await;
        assert_eq!(done, [(IndexAction::Drop, IndexReason::NotRequired)]);
    })
    .await;
}

/// What maintenance did with each index, and why.
async fn maintain(store: &PgStore) -> Vec<(IndexAction, IndexReason)> {
    maintain_as(store, &MaintenanceRequest::new()).await
}

async fn maintain_as(
    store: &PgStore,
    request: &MaintenanceRequest,
) -> Vec<(IndexAction, IndexReason)> {
    let report = store.maintain_indexes(request).await;
    let MaintenanceReport { indexes, .. } = report.unwrap();
    indexes.iter().map(|it| (it.action, it.reason)).collect()
}

async fn populate(store: &PgStore) {
    for batch in memories(NAME, SIZE).chunks(1_000) {
        store.insert(batch).await.unwrap();
    }
    store.insert(&memories("small", 200)).await.unwrap();
}

async fn compare_with_exact_search(store: &PgStore, url: &str) {
    let exact = options(AnnIndex::None).connect(url).await.unwrap();
    let entity = EntityId::from(NAME);
    let mut rng = SeededRng::new(99);
    let (mut found, mut wanted) = (0, 0);
    for round in 0..10 {
        let vector = rng.vector(fixtures::DIMENSIONS);
        for filter in [MemoryFilter::new(), MemoryFilter::new().involves("tam")] {
            let mut request = request(vector.clone(), filter);
            if round % 2 == 0 {
                request.lexical = Some("lantern saddle".to_owned());
            }
            let near = store.search(&entity, &request).await.unwrap();
            let all = exact.search(&entity, &request).await.unwrap();
            assert!(near.candidates.len() >= LIMIT);
            assert_eq!(near.lexical.is_some(), request.lexical.is_some());
            assert_same_scores(&near, &all);
            wanted += LIMIT;
            found += most_similar(&near)
                .intersection(&most_similar(&all))
                .count();
        }
        // So few match that the index does not find them: exact search does.
        let rare = MemoryFilter::new()
            .involves("tam")
            .since(fixtures::at(1_160));
        let request = request(vector, rare);
        let near = store.search(&entity, &request).await.unwrap();
        let all = exact.search(&entity, &request).await.unwrap();
        assert_eq!(most_similar(&near), most_similar(&all));
        assert_eq!(near.candidates.len(), all.candidates.len());
    }
    // Random vectors are the hardest case: they form no clusters.
    assert!(found * 100 >= wanted * 85, "{found} of {wanted}");
}

fn request(vector: Vec<f32>, filter: MemoryFilter) -> SearchRequest {
    SearchRequest {
        sample: 0,
        filter,
        limit: LIMIT,
        dense: Some(DenseQuery {
            chunk_discount: 0.0,
            fingerprint: fixtures::fingerprint(),
            vector,
        }),
        lexical: None,
    }
}

/// The ids of the most similar.
fn most_similar(found: &SearchOutcome) -> BTreeSet<MemoryId> {
    let mut ranked: Vec<_> = found
        .candidates
        .iter()
        .filter_map(|it| it.similarity.map(|similarity| (similarity, it.memory.id)))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().take(LIMIT).map(|(_, id)| id).collect()
}

/// A memory's scores do not depend on how it was found.
fn assert_same_scores(near: &SearchOutcome, all: &SearchOutcome) {
    for one in &near.candidates {
        let id = one.memory.id;
        if let Some(other) = all.candidates.iter().find(|it| it.memory.id == id) {
            assert_eq!(one.similarity, other.similarity);
            assert_eq!(one.lexical, other.lexical);
        }
    }
}

/// A search sees what was written or removed after the build, and vectors in
/// single precision.
#[tokio::test(flavor = "multi_thread")]
async fn index_search_sees_later_writes() {
    with_database(|url| async move {
        let store = options(AnnIndex::hnsw()).connect(&url).await.unwrap();
        populate(&store).await;
        maintain(&store).await;
        let entity = EntityId::from(NAME);
        let mut rng = SeededRng::new(5);
        let mut new = fixtures::plain(&entity, "the new one", &mut rng);
        let vector = rng.vector(fixtures::DIMENSIONS);
        new.embedding.vectors = vec![vector.clone()];
        store.insert(std::slice::from_ref(&new)).await.unwrap();
        let request = request(vector, MemoryFilter::new());
        let found = store.search(&entity, &request).await.unwrap();
        assert!(most_similar(&found).contains(&new.memory.id));
        assert!(found.dense.is_none(), "the search used the index");
        store.delete(&entity, &[new.memory.id]).await.unwrap();
        let found = store.search(&entity, &request).await.unwrap();
        assert!(!most_similar(&found).contains(&new.memory.id));

        let single = PgOptions::new().precision(memory_pg::Precision::Single);
        let single = single.connect(&url).await.unwrap();
        single.insert(&[new.clone()]).await.unwrap();
        let found = store.search(&entity, &request).await.unwrap();
        assert!(most_similar(&found).contains(&new.memory.id));
        assert!(found.dense.is_some(), "the search was exact");
        // The index cannot be used.
        let done = maintain(&store).await;
        assert_eq!(done, [(IndexAction::Drop, IndexReason::NotRequired)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn externally_dropped_index_is_rebuilt() {
    with_database(|url| async move {
        let store = options(AnnIndex::hnsw()).connect(&url).await.unwrap();
        populate(&store).await;
        maintain(&store).await;
        let mut other = connect(&url).await;
        let name: String = sqlx::query_scalar("SELECT index_name FROM memory_approximate")
            .fetch_one(&mut other)
            .await
            .unwrap();
        run(&mut other, &format!("DROP INDEX {name}")).await;
        let entity = EntityId::from(NAME);
        let vector = SeededRng::new(7).vector(fixtures::DIMENSIONS);
        let request = request(vector, MemoryFilter::new());
        let found = store.search(&entity, &request).await.unwrap();
        assert_eq!(found.candidates.len(), LIMIT);
        let done = maintain(&store).await;
        assert_eq!(done, [(IndexAction::Build, IndexReason::Configured)]);

        // The entity is not large enough any more.
        let larger = MaintenanceRequest::new().min_vectors(SIZE as u64 * 2);
        let done = maintain_as(&store, &larger).await;
        assert_eq!(done, [(IndexAction::Drop, IndexReason::NotRequired)]);
        let left = "SELECT count(*) FROM (SELECT index_name FROM memory_approximate UNION ALL \
                    SELECT indexname FROM pg_indexes WHERE indexdef ~ 'USING (hnsw|ivfflat)') l";
        let left: i64 = sqlx::query_scalar(left)
            .fetch_one(&mut other)
            .await
            .unwrap();
        assert_eq!(left, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_options_are_refused() {
    let bad = AnnIndex::Hnsw {
        m: 1,
        ef_construction: 64,
        ef_search: 40,
    };
    for options in [
        PgOptions::new().ann_index(bad),
        options(AnnIndex::hnsw()).row_level_security(true),
        options(AnnIndex::hnsw()).pooler(Pooler::Transaction),
        PgOptions::new().ann_target_recall(0.0),
        PgOptions::new().ann_target_recall(1.1),
    ] {
        let refused = options.connect("postgres:///nowhere").await.unwrap_err();
        assert!(
            matches!(refused, MemoryError::Configuration { .. }),
            "{refused}"
        );
    }
}
