//! Notifications of other processes' writes, and reconnecting.

use std::time::Duration;

use memory_core::{ChangeStream, EntityId, ErrorKind, Generation, MemoryResult, Store, StoreEvent};
use memory_pg::{PgOptions, PgStore};
use memory_testkit::store::{Suite, Tolerance};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgConnection};
use tokio::time::timeout;

use crate::fault_proxy::{CUT_BEFORE, FaultProxy, PASS, RESET, SILENT};
use crate::memories;
use crate::support::{connect, run, with_database};

/// Far longer than a notification takes.
const TIMEOUT: Duration = Duration::from_secs(30);

fn changed(entity: &str, generation: u64) -> StoreEvent {
    StoreEvent::Changed {
        entity: entity.into(),
        generation: Generation(generation),
    }
}

async fn notifying(url: &str) -> PgStore {
    notifying_store(url).await.unwrap()
}

async fn notifying_store(url: &str) -> MemoryResult<PgStore> {
    PgOptions::new().notify_changes(true).connect(url).await
}

async fn next(watch: &mut Box<dyn ChangeStream>) -> StoreEvent {
    timeout(TIMEOUT, watch.next())
        .await
        .expect("no event arrived")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_committed_write_is_notified() {
    with_database(|url| async move {
        let store = notifying(&url).await;
        let other = notifying(&url).await;
        let mut watch = store.watch().await.unwrap().unwrap();
        let batch = memories("mira of the mill", 3);
        other.insert(&batch).await.unwrap();
        assert_eq!(next(&mut watch).await, changed("mira of the mill", 1));
        // A write that changes nothing is not notified.
        other.insert(&batch).await.unwrap();
        let mira = EntityId::from("mira of the mill");
        other.delete(&mira, &[batch[0].memory.id]).await.unwrap();
        // Cancelling `next` loses no event.
        let event = match timeout(Duration::from_micros(1), watch.next()).await {
            Ok(event) => event,
            Err(_) => next(&mut watch).await,
        };
        assert_eq!(event, changed("mira of the mill", 2));
        // The store's own writes are notified as well.
        let patch = memory_core::MemoryPatch::new().importance(0.25);
        let id = &batch[1].memory.id;
        store.update(&mira, id, &patch, None).await.unwrap();
        assert_eq!(next(&mut watch).await, changed("mira of the mill", 3));
        store.close().await.unwrap();
        assert_eq!(next(&mut watch).await, StoreEvent::Closed);
        assert_eq!(next(&mut watch).await, StoreEvent::Closed);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_connection_is_reported_and_restored() {
    with_database(|url| async move {
        let store = notifying(&url).await;
        let mut watch = store.watch().await.unwrap().unwrap();
        let mut admin = connect(&url).await;
        run(
            &mut admin,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        .await;
        assert_eq!(next(&mut watch).await, StoreEvent::Disconnected);
        assert_eq!(next(&mut watch).await, StoreEvent::Reconnected);
        store.insert(&memories("tam", 1)).await.unwrap();
        assert_eq!(next(&mut watch).await, changed("tam", 1));
    })
    .await;
}

async fn listeners(connection: &mut PgConnection) -> i64 {
    let query = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    );
    query.fetch_one(connection).await.unwrap()
}

/// The server, or what is between, does not know the connection any more.
#[tokio::test(flavor = "multi_thread")]
async fn reset_connection_is_reported_and_restored() {
    with_database(|url| async move {
        let proxy = FaultProxy::on_tcp(&url).await;
        let store = notifying(proxy.url()).await;
        let mut watch = store.watch().await.unwrap().unwrap();
        for name in ["tam", "ona"] {
            proxy.set_mode(RESET);
            assert_eq!(next(&mut watch).await, StoreEvent::Disconnected);
            proxy.set_mode(PASS);
            assert_eq!(next(&mut watch).await, StoreEvent::Reconnected);
            let writer = notifying(&url).await;
            writer.insert(&memories(name, 1)).await.unwrap();
            assert_eq!(next(&mut watch).await, changed(name, 1));
        }
    })
    .await;
}

/// The server stops answering and closes nothing. When it answers again, it has a listener
/// that reads what it sends, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn unanswered_listener_is_closed_and_replaced() {
    with_database(|url| async move {
        let proxy = FaultProxy::new(&url).await;
        let options = PgOptions::new()
            .notify_changes(true)
            .statement_timeout(Duration::from_millis(200))
            .acquire_timeout(Duration::from_millis(500));
        let store = proxy.connect(options).await;
        let mut watch = store.watch().await.unwrap().unwrap();
        proxy.set_mode(SILENT);
        assert_eq!(next(&mut watch).await, StoreEvent::Disconnected);
        proxy.set_mode(PASS);
        assert_eq!(next(&mut watch).await, StoreEvent::Reconnected);
        let mut admin = connect(&url).await;
        let start = std::time::Instant::now();
        while listeners(&mut admin).await != 1 {
            assert!(start.elapsed() < TIMEOUT, "the server has another listener");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        notifying(&url)
            .await
            .insert(&memories("tam", 1))
            .await
            .unwrap();
        assert_eq!(next(&mut watch).await, changed("tam", 1));
        proxy.remove();
    })
    .await;
}

/// The connections of an application's pool are not like others of its address.
#[tokio::test(flavor = "multi_thread")]
async fn the_channel_is_that_of_the_applications_pool() {
    with_database(|url| async move {
        let create = "CREATE EXTENSION vector; CREATE EXTENSION btree_gin; CREATE SCHEMA own";
        run(&mut connect(&url).await, create).await;
        let pool = PgPoolOptions::new().after_connect(|connection, _| {
            Box::pin(async move {
                let set = "SET search_path = own, public";
                connection.execute(set).await.map(drop)
            })
        });
        let pool = pool.connect(&url).await.unwrap();
        let options = PgOptions::new().notify_changes(true);
        let store = options.with_pool(pool.clone()).await.unwrap();
        let mut watch = store.watch().await.unwrap().unwrap();
        store.insert(&memories("mira", 1)).await.unwrap();
        assert_eq!(next(&mut watch).await, changed("mira", 1));
        store.close().await.unwrap();
        pool.close().await;
    })
    .await;
}

/// A name that an identifier has only in quotes, next to a schema that has it without.
#[tokio::test(flavor = "multi_thread")]
async fn conforms_in_a_schema_of_any_name() {
    for (name, folded) in [
        (r#""Odd. ""Name""#, "odd"),
        (r#""GameA""#, "gamea"),
        (r#""2026""#, "x"),
    ] {
        with_database(move |url| async move {
            let create = format!(
                "CREATE EXTENSION vector; CREATE EXTENSION btree_gin; CREATE SCHEMA {name}; \
                 CREATE SCHEMA {folded}"
            );
            let mut admin = connect(&url).await;
            run(&mut admin, &create).await;
            let set = format!(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = {name}, public', \
                 current_database()); END $$"
            );
            run(&mut admin, &set).await;
            let store = notifying(&url).await;
            let mut watch = store.watch().await.unwrap().unwrap();
            let folded = format!("{url}&options=-c search_path={folded},public");
            notifying(&folded)
                .await
                .insert(&memories("theirs", 1))
                .await
                .unwrap();
            store.insert(&memories("mira", 1)).await.unwrap();
            assert_eq!(next(&mut watch).await, changed("mira", 1));
            if name.contains('.') {
                let suite = Suite::new()
                    .tolerance(Tolerance::HALF_PRECISION)
                    .defers_accesses();
                suite.run(|| notifying_store(&url)).await.assert();
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_server_is_named_with_the_cause() {
    with_database(|url| async move {
        let proxy = FaultProxy::new(&url).await;
        let wait = Duration::from_millis(300);
        let options = PgOptions::new().notify_changes(true).acquire_timeout(wait);
        let store = proxy.connect(options).await;
        // Its only connection breaks, and the server is not reachable any more.
        proxy.set_mode(CUT_BEFORE);
        store.insert(&memories("mira", 1)).await.unwrap_err();
        let socket = proxy.remove();
        let watched = store.watch().await.map(drop).unwrap_err();
        let read = store.entity_stats(&"mira".into()).await.unwrap_err();
        for refused in [watched, read] {
            assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
            let message = refused.to_string();
            assert!(message.contains(socket.to_str().unwrap()), "{message}");
            assert!(message.contains("No such file"), "{message}");
        }
    })
    .await;
}

/// Two schemas of one database have separate channels.
#[tokio::test(flavor = "multi_thread")]
async fn notifications_stay_within_their_schema() {
    with_database(|url| async move {
        let mut admin = connect(&url).await;
        run(
            &mut admin,
            "CREATE EXTENSION vector; CREATE EXTENSION btree_gin; CREATE SCHEMA other",
        )
        .await;
        let here = notifying(&url).await;
        let other_schema = format!("{url}&options=-c search_path=other,public");
        let there = notifying(&other_schema).await;
        let mut watch = here.watch().await.unwrap().unwrap();
        there.insert(&memories("theirs", 1)).await.unwrap();
        here.insert(&memories("ours", 1)).await.unwrap();
        assert_eq!(next(&mut watch).await, changed("ours", 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_notifications_there_is_no_change_stream() {
    with_database(|url| async move {
        let quiet = PgStore::connect(&url).await.unwrap();
        assert!(quiet.watch().await.unwrap().is_none());
    })
    .await;
}
