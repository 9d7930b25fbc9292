//! PgBouncer in transaction mode, where consecutive statements may run in
//! different sessions.

use memory_core::{EntityId, MemoryFilter, Store};
use memory_pg::{PgOptions, PgStore, Pooler};
use memory_testkit::store::{Suite, Tolerance};
use memory_testkit::{SeededRng, fixtures};

use crate::support::connect;
use crate::support::pgbouncer::with_pgbouncer;

#[tokio::test(flavor = "multi_thread")]
async fn conforms_through_pgbouncer() {
    with_pgbouncer(|pooled, _| async move {
        let url = format!("{pooled}&pooler=transaction");
        let suite = Suite::new()
            .reopens()
            .tolerance(Tolerance::HALF_PRECISION)
            .defers_accesses();
        suite.run(|| PgStore::connect(&url)).await.assert();
    })
    .await;
}

/// More callers than sessions, from several pools.
#[tokio::test(flavor = "multi_thread")]
async fn shared_sessions_keep_no_state() {
    with_pgbouncer(|pooled, direct| async move {
        let options = || PgOptions::new().pooler(Pooler::Transaction);
        let mut tasks = Vec::new();
        for number in 0..4 {
            let store = options().connect(&pooled).await.unwrap();
            assert!(store.watch().await.unwrap().is_none());
            for part in 0..5 {
                let store = store.clone();
                tasks.push(tokio::spawn(async move {
                    let entity = EntityId::from(format!("entity {number}"));
                    let mut rng = SeededRng::new(number * 100 + part);
                    for _ in 0..5 {
                        let batch = fixtures::varied_memories(&entity, 3, &mut rng);
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
        let mut other = connect(&direct).await;
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_prepared_statements")
            .fetch_one(&mut other)
            .await
            .unwrap();
        // The query itself, in this session.
        assert_eq!(left, 1);
    })
    .await;
}
