//! Reads that fail: which are tried again, which connections are kept, and which replicas.

use std::time::{Duration, Instant};

use memory_core::{ErrorKind, MemoryFilter, MemoryKind, Store};
use memory_pg::{PgOptions, PgStore};

use crate::fault_proxy::FaultProxy;
use crate::loads::{
    changes, mira, serves, slow_down, slow_down_standby, until_idle, until_serves, with_replica,
};
use crate::memories;
use crate::server_process::with_standby;
use crate::support::pgbouncer::with_pgbouncer;
use crate::support::{connect, run, with_database};

/// Fewer than are read by a load.
const MEMORIES: usize = 3;

async fn populated(url: &str) {
    let store = PgStore::connect(url).await.unwrap();
    store.insert(&memories("mira", MEMORIES)).await.unwrap();
    store.close().await.unwrap();
}

/// Such as a conflict of a standby with what it replays.
#[tokio::test(flavor = "multi_thread")]
async fn reads_that_conflict_are_tried_again() {
    with_database(|url| async move {
        populated(&url).await;
        let mut admin = connect(&url).await;
        run(
            &mut admin,
            "CREATE SEQUENCE attempts; CREATE TABLE allowed (failures bigint); \
             INSERT INTO allowed VALUES (5); \
             CREATE FUNCTION lose() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN \
               IF nextval('attempts') <= (SELECT failures FROM allowed) THEN \
                 RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; \
               END IF; RETURN true; END $$; \
             ALTER TABLE memory_embedding RENAME TO vectors; \
             CREATE VIEW memory_embedding AS SELECT * FROM vectors WHERE lose()",
        )
        .await;
        let store = PgStore::connect(&url).await.unwrap();
        assert_eq!(changes(&store).await.unwrap().len(), MEMORIES);
        run(&mut admin, "UPDATE allowed SET failures = 1000").await;
        let refused = changes(&store).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        assert!(
            refused.to_string().contains("after 6 attempts"),
            "{refused}"
        );
        store.close().await.unwrap();
    })
    .await;
}

/// The server has ended the statement, and not the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_read_costs_no_connection() {
    with_database(|url| async move {
        populated(&url).await;
        slow_down(&url, "2").await;
        let proxy = FaultProxy::new(&url).await;
        let options = PgOptions::new().statement_timeout(Duration::from_millis(300));
        let store = proxy.connect(options).await;
        let before = proxy.accepted();
        for _ in 0..3 {
            let refused = changes(&store).await.unwrap_err();
            assert!(
                refused.to_string().contains("statement_timeout"),
                "{refused}"
            );
        }
        store.entity_stats(&mira()).await.unwrap();
        assert_eq!(proxy.accepted(), before);
        store.close().await.unwrap();
        proxy.remove();
    })
    .await;
}

/// Callers that give up and come again make the server work on hardly more statements than
/// the pool has connections, and none goes on for long.
async fn abandon_reads(url: &str, direct: &str) {
    populated(direct).await;
    // It does nothing by itself, which would use its connection.
    let options = PgOptions::new().read_only().max_connections(1);
    let options = options.lock_timeout(Duration::from_secs(600));
    let options = options.statement_timeout(Duration::from_secs(600));
    let store = options.connect(url).await.unwrap();
    let mut other = connect(direct).await;
    run(
        &mut other,
        "BEGIN; LOCK TABLE memory IN ACCESS EXCLUSIVE MODE",
    )
    .await;
    let sessions = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..8 {
        let (mira, filter) = (mira(), MemoryFilter::new().kind(MemoryKind::World));
        let counting = store.count(&mira, &filter);
        let counted = tokio::time::timeout(Duration::from_millis(1_200), counting).await;
        assert!(counted.is_err(), "the table is locked");
        let count: i64 = sqlx::query_scalar(sessions)
            .fetch_one(&mut other)
            .await
            .unwrap();
        assert!(count <= 3, "{count} statements");
    }
    until_idle(direct, Duration::from_secs(10)).await;
    run(&mut other, "ROLLBACK").await;
    store.entity_stats(&mira()).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_reads_are_ended() {
    with_database(|url| async move { abandon_reads(&url, &url).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_reads_are_ended_through_pgbouncer() {
    with_pgbouncer(|pooled, direct| async move {
        abandon_reads(&format!("{pooled}&pooler=transaction"), &direct).await;
    })
    .await;
}

/// The replica answers other reads while one of them takes longer than a statement may, or
/// than a replica may.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_read_suspends_no_replica() {
    with_standby(|primary, standby| async move {
        populated(&primary.url()).await;
        slow_down_standby(&primary, &standby, "true THEN 6").await;
        for limit in [1, 30] {
            let options = PgOptions::new().statement_timeout(Duration::from_secs(limit));
            let store = with_replica(&primary, &standby, options).await;
            for _ in 0..2 {
                until_serves(&store, &standby).await;
                let start = Instant::now();
                assert_eq!(changes(&store).await.unwrap().len(), MEMORIES);
                assert!(start.elapsed() > Duration::from_secs(1), "by the primary");
                assert!(serves(&store, &standby).await, "after {limit} s");
            }
            store.close().await.unwrap();
        }
    })
    .await;
}
