//! Notifications of other processes' writes, and reconnecting.

use std::time::Duration;

use memory_core::{ChangeStream, EntityId, ErrorKind, Generation, Store, StoreEvent};
use memory_pg::{PgOptions, PgStore};
use tokio::time::timeout;

use crate::fault_proxy::{CUT_BEFORE, FaultProxy};
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
    let options = PgOptions::new().notify_changes(true);
    options.connect(url).await.unwrap()
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
