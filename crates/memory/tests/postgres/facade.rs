//! The facade on a real PostgreSQL: `cargo xtask test` starts one.

use std::time::{Duration, Instant};

use memory::postgres::{PgOptions, PgPool};
use memory::store::{SearchRequest, Store};
use memory::{
    ByteSize, Consistency, EntityId, ErrorKind, Language, MemoryBatchItem, MemoryConfig,
    MemoryFilter, MemoryId, MemoryKind, MemoryPatch, MemorySystem, RecallRequest,
};

fn server() -> String {
    std::env::var("MEMORY_TEST_PG")
        .or_else(|_| std::env::var("DATABASE_URL"))
        .expect("this test needs a PostgreSQL server with pgvector: run `cargo xtask test`")
}

/// Tests share the server's database, so each has an entity of its own.
fn entity() -> String {
    format!("mira-{}", MemoryId::new())
}

#[tokio::test]
async fn two_systems_on_one_database_see_each_others_memories() {
    let mira = entity();
    let first = MemorySystem::open(&server()).await.unwrap();
    let id = first
        .retain(
            &mira,
            MemoryKind::Experience,
            "Tam sold me a lame horse at the spring market.",
        )
        .await
        .unwrap();
    first
        .retain(&mira, MemoryKind::World, "The choir sings on Sundays.")
        .await
        .unwrap();
    let found = first
        .recall(&mira, "Who cheated me over an animal?")
        .await
        .unwrap();
    assert_eq!(found[0].memory.id, id);

    let pool = PgPool::connect(&server()).await.unwrap();
    let config = MemoryConfig {
        consistency: Some(Consistency::Checked),
        ..MemoryConfig::low_memory()
    };
    let second = MemorySystem::with_pool(pool, config).await.unwrap();
    assert_eq!(
        second.recall(&mira, "lame horse").await.unwrap()[0]
            .memory
            .id,
        id
    );

    let patch = MemoryPatch::new().content("Tam gave the money back.");
    first.alter_memory(&mira, id, &patch).await.unwrap();
    for system in [&first, &second] {
        let found = system.recall(&mira, "Did I get a refund?").await.unwrap();
        assert_eq!(found[0].memory.content, "Tam gave the money back.");
    }
    first.delete_memory(&mira, id).await.unwrap();
    let gone = first.get_memory(&mira, id).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert_eq!(
        second
            .count_memories(&mira, &MemoryFilter::new())
            .await
            .unwrap(),
        1
    );
}

/// Without a function word no language is detected, so that only a store that was given the
/// language writes the stem of the plural.
#[tokio::test]
async fn a_store_on_a_pool_has_the_language_of_the_configuration() {
    let mira = entity();
    let german = Some(Language::German);
    let pool = PgPool::connect(&server()).await.unwrap();
    let config = MemoryConfig {
        language: german,
        ..MemoryConfig::low_memory()
    };
    let memory = MemorySystem::with_pool(pool.clone(), config).await.unwrap();
    let retained = memory.retain(&mira, MemoryKind::World, "Katzen füttern");
    let id = retained.await.unwrap();
    memory.close().await.unwrap();

    let store = PgOptions::new().language(german).with_pool(pool).await;
    let store = store.unwrap();
    let request = SearchRequest::new(MemoryFilter::new(), 10).lexical("Katze");
    let found = store.search(&EntityId::from(&mira), &request).await;
    let found = found.unwrap().candidates.into_iter();
    let found: Vec<MemoryId> = found.map(|hit| hit.memory.id).collect();
    assert_eq!(found, [id]);
}

#[tokio::test]
async fn a_configuration_is_checked_before_the_server_is_called() {
    let pool = PgPool::connect_lazy("postgres://app@127.0.0.1:1/app").unwrap();
    let config = MemoryConfig {
        consistency: Some(Consistency::Bounded(Duration::ZERO)),
        ..MemoryConfig::default()
    };
    let refused = MemorySystem::with_pool(pool, config).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
}

/// Another session has locked one of two entities, as a long import has.
#[tokio::test]
async fn access_counts_of_a_locked_entity_are_written_later_and_once() {
    const LIMIT: Duration = Duration::from_secs(60);
    let (mira, tam) = (entity(), entity());
    let memory = MemorySystem::open(&server()).await.unwrap();
    let pool = PgPool::connect(&server()).await.unwrap();
    for name in [&mira, &tam] {
        let content = "Tam sold me a lame horse.";
        let kind = MemoryKind::Experience;
        memory.retain(name, kind, content).await.unwrap();
    }
    let recall = async |name: &str| {
        let found = memory.recall(name, "lame horse").await.unwrap();
        assert_eq!(found.len(), 1);
    };
    let lock = async || {
        let mut other = pool.begin().await.unwrap();
        let lock = "UPDATE entity SET generation = generation WHERE entity_id = $1";
        let lock = sqlx::query(lock).bind(&mira);
        lock.execute(&mut *other).await.unwrap();
        other
    };
    let counted = async |name: &str| {
        let sum = "SELECT coalesce(sum(access_count), 0)::bigint FROM memory_access \
                   WHERE entity_id = $1";
        let sum = sqlx::query_scalar::<_, i64>(sum).bind(name);
        sum.fetch_one(&pool).await.unwrap()
    };
    let until_counted = async |name: &str, accesses: i64| {
        let start = Instant::now();
        while counted(name).await < accesses {
            assert!(start.elapsed() < LIMIT, "{accesses} accesses of {name}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let locked = lock().await;
    recall(&mira).await;
    recall(&tam).await;
    until_counted(&tam, 1).await;
    assert_eq!(counted(&mira).await, 0);
    recall(&mira).await;
    locked.rollback().await.unwrap();
    until_counted(&mira, 2).await;

    recall(&mira).await;
    let locked = lock().await;
    let unlock = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        locked.rollback().await.unwrap();
    };
    let (closed, ()) = tokio::join!(memory.close(), unlock);
    closed.unwrap();
    assert_eq!((counted(&mira).await, counted(&tam).await), (3, 1));
}

#[tokio::test]
async fn given_vectors_decide_the_order_on_every_store() {
    let axis = |index: usize| {
        let mut vector = vec![0.0_f32; 384];
        vector[index] = 5.0;
        vector
    };
    let mira = entity();
    for url in [server(), "sqlite::memory:".to_owned()] {
        // Also searched in the store.
        for entity_cache_max_bytes in [ByteSize::mebibytes(256), ByteSize(0)] {
            let memory = MemorySystem::builder()
                .url(&url)
                .config(MemoryConfig {
                    entity_cache_max_bytes,
                    ..MemoryConfig::low_memory()
                })
                .build()
                .await
                .unwrap();
            let items = (0..3).map(|index| {
                MemoryBatchItem::new(&*mira, MemoryKind::World, format!("fact {index}"))
                    .with_embedding(axis(index))
            });
            let ids = memory.retain_batch(items).await.unwrap();
            for (index, id) in ids.iter().enumerate() {
                let request = RecallRequest::new("something else").vector(axis(index));
                let hits = memory
                    .recall(&mira, request.min_similarity(0.99))
                    .await
                    .unwrap();
                let found: Vec<MemoryId> = hits.iter().map(|hit| hit.memory.id).collect();
                assert_eq!(found, [*id], "snapshots: {entity_cache_max_bytes}");
            }
            for id in ids {
                memory.forget(&mira, id).await.unwrap();
            }
            memory.close().await.unwrap();
        }
    }
}
