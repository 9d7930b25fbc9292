//! Approximate indexes: made and dropped by maintenance, and never in the way
//! of finding as many as asked for.

use std::collections::BTreeSet;

use memory_core::{
    DenseQuery, EntityId, MemoryError, MemoryFilter, MemoryId, SearchOutcome, SearchRequest, Store,
};
use memory_pg::{ApproximateIndex, PgOptions, PgStore, Pooler};
use memory_testkit::{SeededRng, population};

use crate::memories;
use crate::support::{connect, run, with_database};

/// A name with the signs that end constants of SQL.
const NAME: &str = r"o'b\rien";
const SIZE: usize = 3_000;
const LIMIT: usize = 10;

fn options(index: ApproximateIndex) -> PgOptions {
    PgOptions::new()
        .approximate(index)
        .approximate_from(SIZE as u64 / 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_come_serve_and_go() {
    with_database(|url| async move {
        // Most lists: random vectors are not near each other in few.
        let lists = ApproximateIndex::IvfFlat { probes: 40 };
        for index in [ApproximateIndex::hnsw(), lists] {
            let store = options(index).connect(&url).await.unwrap();
            if index == ApproximateIndex::hnsw() {
                populate(&store).await;
            }
            let done = store.maintain().await.unwrap();
            // The other's index is not what is wanted now.
            let dropped = usize::from(index != ApproximateIndex::hnsw());
            assert_eq!((done.created, done.dropped, done.kept), (1, dropped, 0));
            let again = store.maintain().await.unwrap();
            assert_eq!((again.created, again.dropped, again.kept), (0, 0, 1));
            finds_as_exact_search_does(&store, &url).await;
            store.close().await.unwrap();
        }
        let exact = PgStore::connect(&url).await.unwrap();
        let done = exact.maintain().await.unwrap();
        assert_eq!((done.created, done.dropped, done.kept), (0, 1, 0));
    })
    .await;
}

async fn populate(store: &PgStore) {
    for batch in memories(NAME, SIZE).chunks(1_000) {
        store.insert(batch).await.unwrap();
    }
    store.insert(&memories("small", 200)).await.unwrap();
}

async fn finds_as_exact_search_does(store: &PgStore, url: &str) {
    let exact = PgStore::connect(url).await.unwrap();
    let entity = EntityId::from(NAME);
    let mut chance = SeededRng::new(99);
    let (mut found, mut wanted) = (0, 0);
    for round in 0..20 {
        let vector = chance.vector(population::DIMENSIONS);
        for filter in [MemoryFilter::new(), MemoryFilter::new().involves("tam")] {
            let mut request = request(vector.clone(), filter);
            if round % 2 == 0 {
                request.lexical = Some("lantern saddle".to_owned());
            }
            let near = store.search(&entity, &request).await.unwrap();
            let all = exact.search(&entity, &request).await.unwrap();
            assert!(near.candidates.len() >= LIMIT);
            assert_eq!(near.lexical.is_some(), request.lexical.is_some());
            same_values(&near, &all);
            wanted += LIMIT;
            found += best(&near).intersection(&best(&all)).count();
        }
        // So few match that no index finds them all: exact search does.
        let rare = MemoryFilter::new()
            .involves("tam")
            .since(population::at(2_960));
        let request = request(vector, rare);
        let near = store.search(&entity, &request).await.unwrap();
        let all = exact.search(&entity, &request).await.unwrap();
        assert_eq!(best(&near), best(&all));
        assert_eq!(near.candidates.len(), all.candidates.len());
    }
    // Random vectors are the hardest: these have no clusters.
    assert!(found * 100 >= wanted * 85, "{found} of {wanted}");
}

fn request(vector: Vec<f32>, filter: MemoryFilter) -> SearchRequest {
    SearchRequest {
        filter,
        limit: LIMIT,
        dense: Some(DenseQuery {
            fingerprint: population::fingerprint(),
            vector,
        }),
        lexical: None,
    }
}

/// The ids of those that are most similar.
fn best(found: &SearchOutcome) -> BTreeSet<MemoryId> {
    let mut ranked: Vec<_> = found
        .candidates
        .iter()
        .filter_map(|it| it.similarity.map(|similarity| (similarity, it.memory.id)))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().take(LIMIT).map(|(_, id)| id).collect()
}

/// Whatever finds a memory, its values are the same.
fn same_values(near: &SearchOutcome, all: &SearchOutcome) {
    for one in &near.candidates {
        let id = one.memory.id;
        if let Some(other) = all.candidates.iter().find(|it| it.memory.id == id) {
            assert_eq!(one.similarity, other.similarity);
            assert_eq!(one.lexical, other.lexical);
        }
    }
}

/// What is written after the index was made is found by it, and what is
/// removed or kept in single precision does not mislead it.
#[tokio::test(flavor = "multi_thread")]
async fn writes_after_the_index_count() {
    with_database(|url| async move {
        let store = options(ApproximateIndex::hnsw())
            .connect(&url)
            .await
            .unwrap();
        populate(&store).await;
        store.maintain().await.unwrap();
        let entity = EntityId::from(NAME);
        let mut chance = SeededRng::new(5);
        let mut new = population::plain(&entity, "the new one", &mut chance);
        let vector = chance.vector(population::DIMENSIONS);
        new.embedding.vectors = vec![vector.clone()];
        store.insert(std::slice::from_ref(&new)).await.unwrap();
        let request = request(vector, MemoryFilter::new());
        let found = store.search(&entity, &request).await.unwrap();
        assert!(best(&found).contains(&new.memory.id));
        assert!(found.dense.is_none(), "that search was approximate");
        store.delete(&entity, &[new.memory.id]).await.unwrap();
        let found = store.search(&entity, &request).await.unwrap();
        assert!(!best(&found).contains(&new.memory.id));

        let single = PgOptions::new().precision(memory_pg::Precision::Single);
        let single = single.connect(&url).await.unwrap();
        single.insert(&[new.clone()]).await.unwrap();
        let found = store.search(&entity, &request).await.unwrap();
        assert!(best(&found).contains(&new.memory.id));
        assert!(found.dense.is_some(), "that search was exact");
        let done = store.maintain().await.unwrap();
        assert_eq!(done.dropped, 1, "it would never serve");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_somebody_dropped_is_missed_and_made_anew() {
    with_database(|url| async move {
        let store = options(ApproximateIndex::hnsw())
            .connect(&url)
            .await
            .unwrap();
        populate(&store).await;
        store.maintain().await.unwrap();
        let mut other = connect(&url).await;
        let name: String = sqlx::query_scalar("SELECT index_name FROM memory_approximate")
            .fetch_one(&mut other)
            .await
            .unwrap();
        run(&mut other, &format!("DROP INDEX {name}")).await;
        let entity = EntityId::from(NAME);
        let vector = SeededRng::new(7).vector(population::DIMENSIONS);
        let request = request(vector, MemoryFilter::new());
        let found = store.search(&entity, &request).await.unwrap();
        assert_eq!(found.candidates.len(), LIMIT);
        let done = store.maintain().await.unwrap();
        assert_eq!((done.created, done.dropped, done.kept), (1, 1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused() {
    let bad = ApproximateIndex::Hnsw {
        m: 1,
        ef_construction: 64,
        ef_search: 40,
    };
    for options in [
        PgOptions::new().approximate(bad),
        options(ApproximateIndex::hnsw()).row_level_security(true),
        options(ApproximateIndex::hnsw()).pooler(Pooler::Transaction),
    ] {
        let refused = options.connect("postgres:///nowhere").await.unwrap_err();
        assert!(
            matches!(refused, MemoryError::Configuration { .. }),
            "{refused}"
        );
    }
}
