//! Everything through PgBouncer in transaction mode, where the next statement
//! may meet another session.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use memory_core::{EntityId, MemoryFilter, Store};
use memory_pg::{PgOptions, PgStore, Pooler};
use memory_testkit::store::{Suite, Tolerance};
use memory_testkit::{SeededRng, population};
use support::pooler::with_pooler;

#[tokio::test(flavor = "multi_thread")]
async fn keeps_every_promise_through_a_pooler() {
    with_pooler(|pooled, _| async move {
        let url = format!("{pooled}&pooler=transaction");
        let suite = Suite::new().tolerance(Tolerance::HALF_PRECISION);
        suite.run(|| PgStore::connect(&url)).await.assert();
    })
    .await;
}

/// More callers than sessions, from several pools.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_shared_and_keep_nothing() {
    with_pooler(|pooled, direct| async move {
        let options = || PgOptions::new().pooler(Pooler::Transaction);
        let mut tasks = Vec::new();
        for number in 0..4 {
            let store = options().connect(&pooled).await.unwrap();
            assert!(store.watch().await.unwrap().is_none());
            for part in 0..5 {
                let store = store.clone();
                tasks.push(tokio::spawn(async move {
                    let entity = EntityId::from(format!("entity {number}"));
                    let mut chance = SeededRng::new(number * 100 + part);
                    for _ in 0..5 {
                        let batch = population::population(&entity, 3, &mut chance);
                        store.insert(&batch).await.unwrap();
                        store.count(&entity, &MemoryFilter::new()).await.unwrap();
                    }
                }));
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
        let store = PgStore::connect(&direct).await.unwrap();
        for number in 0..4 {
            let entity = EntityId::from(format!("entity {number}"));
            let stats = store.entity_stats(&entity).await.unwrap();
            assert_eq!((stats.generation.0, stats.memory_count), (25, 75));
        }
        let mut other = support::connect(&direct).await;
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_prepared_statements")
            .fetch_one(&mut other)
            .await
            .unwrap();
        // That very query, in this session.
        assert_eq!(left, 1);
    })
    .await;
}
