//! Waits are limited: for a connection, for a lock, for a statement.

use std::time::Duration;

use memory_core::{EntityId, ErrorKind, MemoryFilter, MemoryId, MemoryPatch, Store};
use memory_pg::PgOptions;
use sqlx::Connection;
use sqlx::postgres::PgPoolOptions;

use crate::fault_proxy::FaultProxy;
use crate::memories;
use crate::support::{connect, run, with_database};

#[tokio::test(flavor = "multi_thread")]
async fn lock_timeout_is_unavailable_and_rolls_back() {
    with_database(|url| async move {
        let options = PgOptions::new().lock_timeout(Duration::from_millis(100));
        let store = options.connect(&url).await.unwrap();
        let batch = memories("mira", 4);
        store.insert(&batch[..2]).await.unwrap();
        let mut other = connect(&url).await;
        run(
            &mut other,
            "BEGIN; UPDATE entity SET generation = generation",
        )
        .await;
        let refused = store.insert(&batch).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        let id = batch[0].memory.id;
        let patch = MemoryPatch::new().importance(0.5);
        let mira = EntityId::from("mira");
        let refused = store.update(&mira, &id, &patch, None).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        run(&mut other, "ROLLBACK").await;
        let again = store.insert(&batch).await.unwrap();
        assert_eq!(again.inserted, [false, false, true, true]);
        other.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exhausted_pool_is_unavailable() {
    with_database(|url| async move {
        let wait = Duration::from_millis(100);
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(wait);
        let pool = pool.connect(&url).await.unwrap();
        let store = PgOptions::new().with_pool(pool.clone()).await.unwrap();
        let held = pool.acquire().await.unwrap();
        let mira = EntityId::from("mira");
        let refused = store.entity_stats(&mira).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        let message = refused.to_string();
        assert!(message.contains("(at most 1) are in use"), "{message}");
        drop(held);
        store.entity_stats(&mira).await.unwrap();
        // The pool belongs to the caller and outlives the store.
        store.close().await.unwrap();
        let refused = store.entity_stats(&mira).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        assert!(!pool.is_closed());
        pool.close().await;
    })
    .await;
}

/// Callers that the pool gives no connection find out why together: a connection for each
/// would take from the server what the pool's limit spares it.
#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_pool_is_explained_by_few_connections() {
    const CALLERS: usize = 30;
    with_database(|url| async move {
        let proxy = FaultProxy::new(&url).await;
        let options = PgOptions::new()
            .acquire_timeout(Duration::from_millis(500))
            .lock_timeout(Duration::from_secs(60));
        let store = proxy.connect(options).await;
        let mira = EntityId::from("mira");
        store.insert(&memories("mira", 2)).await.unwrap();
        let mut other = connect(&url).await;
        let lock = "BEGIN; UPDATE entity SET generation = generation";
        run(&mut other, lock).await;
        let (writing, batch) = (store.clone(), memories("mira", 3));
        let holds_connection = tokio::spawn(async move { writing.insert(&batch).await });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = proxy.accepted();
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (store, mira) = (store.clone(), mira.clone());
                tokio::spawn(async move { store.entity_stats(&mira).await.unwrap_err() })
            })
            .collect();
        for caller in callers {
            let refused = caller.await.unwrap();
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
            let message = refused.to_string();
            assert!(message.contains("(at most 1) are in use"), "{message}");
            assert!(message.contains("entity_stats"), "{message}");
        }
        let probes = proxy.accepted() - before;
        assert!((1..=CALLERS / 3).contains(&probes), "{probes} connections");
        run(&mut other, "ROLLBACK").await;
        holds_connection.await.unwrap().unwrap();
        other.close().await.unwrap();
        proxy.remove();
    })
    .await;
}

/// A future that is dropped at any moment leaves the only connection usable.
#[tokio::test(flavor = "multi_thread")]
async fn dropped_futures_leave_the_connection_usable() {
    with_database(|url| async move {
        let store = PgOptions::new()
            .max_connections(1)
            .connect(&url)
            .await
            .unwrap();
        let mira = EntityId::from("mira");
        let all = memories("mira", 400);
        let mut whole = 0;
        for (round, batch) in all.chunks(4).enumerate() {
            let limit = Duration::from_micros(40 * round as u64);
            let _ = tokio::time::timeout(limit, store.insert(batch)).await;
            let ids: Vec<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
            let _ = tokio::time::timeout(limit, store.get(&mira, &ids)).await;
            let found = store.get(&mira, &ids).await.unwrap();
            let there = found.memories.iter().flatten().count();
            assert!(there == 0 || there == 4, "{there} of a batch of 4");
            whole += usize::from(there == 4);
        }
        // The last of the dropped writes may still be running.
        let settled = store.insert(&all).await.unwrap();
        assert_eq!(settled.inserted.len(), 400);
        let count = store.count(&mira, &MemoryFilter::new()).await.unwrap();
        assert_eq!(count, 400, "{whole} batches were seen whole");
        let mut other = connect(&url).await;
        let idle: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND state LIKE 'idle in transaction%'",
        )
        .fetch_one(&mut other)
        .await
        .unwrap();
        assert_eq!(idle, 0, "a transaction was left open");
    })
    .await;
}

/// Two writers that lock two entities each, in opposite orders.
#[tokio::test(flavor = "multi_thread")]
async fn writers_of_the_same_entities_do_not_deadlock() {
    with_database(|url| async move {
        let store = PgOptions::new().connect(&url).await.unwrap();
        let (mira, tam) = (memories("mira", 60), memories("tam", 60));
        let tasks: Vec<_> = (0..60)
            .map(|number| {
                let store = store.clone();
                let mut pair = vec![mira[number].clone(), tam[number].clone()];
                if number % 2 == 0 {
                    pair.reverse();
                }
                tokio::spawn(async move { store.insert(&pair).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let stats = store.entity_stats(&EntityId::from("tam")).await.unwrap();
        assert_eq!((stats.generation.0, stats.memory_count), (60, 60));
    })
    .await;
}
