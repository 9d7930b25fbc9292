//! News of what others write, and of losing touch.

use std::time::Duration;

use memory_core::{ChangeStream, EntityId, Generation, Store, StoreEvent};
use memory_pg::{PgOptions, PgStore};
use tokio::time::timeout;

use crate::memories;
use crate::support::{connect, run, with_database};

/// Far more than news take.
const PATIENCE: Duration = Duration::from_secs(30);

fn written(entity: &str, generation: u64) -> StoreEvent {
    StoreEvent::Changed {
        entity: entity.into(),
        generation: Generation(generation),
    }
}

async fn announcing(url: &str) -> PgStore {
    let options = PgOptions::new().announcements(true);
    options.connect(url).await.unwrap()
}

async fn next(watch: &mut Box<dyn ChangeStream>) -> StoreEvent {
    timeout(PATIENCE, watch.next()).await.expect("no news came")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_is_told_once_it_is_committed() {
    with_database(|url| async move {
        let store = announcing(&url).await;
        let other = announcing(&url).await;
        let mut watch = store.watch().await.unwrap().unwrap();
        let batch = memories("mira of the mill", 3);
        other.insert(&batch).await.unwrap();
        assert_eq!(next(&mut watch).await, written("mira of the mill", 1));
        // Nobody hears of what changed nothing.
        other.insert(&batch).await.unwrap();
        let mira = EntityId::from("mira of the mill");
        other.delete(&mira, &[batch[0].memory.id]).await.unwrap();
        // A listener that stops waiting loses nothing.
        let news = match timeout(Duration::from_micros(1), watch.next()).await {
            Ok(news) => news,
            Err(_) => next(&mut watch).await,
        };
        assert_eq!(news, written("mira of the mill", 2));
        // Its own writes are told as well.
        let patch = memory_core::MemoryPatch::new().importance(0.25);
        let id = &batch[1].memory.id;
        store.update(&mira, id, &patch, None).await.unwrap();
        assert_eq!(next(&mut watch).await, written("mira of the mill", 3));
        store.close().await.unwrap();
        assert_eq!(next(&mut watch).await, StoreEvent::Closed);
        assert_eq!(next(&mut watch).await, StoreEvent::Closed);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_channel_says_so_and_mends_itself() {
    with_database(|url| async move {
        let store = announcing(&url).await;
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
        assert_eq!(next(&mut watch).await, written("tam", 1));
    })
    .await;
}

/// Two schemas of one database have nothing to tell each other.
#[tokio::test(flavor = "multi_thread")]
async fn news_stay_in_their_schema() {
    with_database(|url| async move {
        let mut admin = connect(&url).await;
        run(
            &mut admin,
            "CREATE EXTENSION vector; CREATE EXTENSION btree_gin; CREATE SCHEMA beside",
        )
        .await;
        let here = announcing(&url).await;
        let beside = format!("{url}&options=-c search_path=beside,public");
        let there = announcing(&beside).await;
        let mut watch = here.watch().await.unwrap().unwrap();
        there.insert(&memories("theirs", 1)).await.unwrap();
        here.insert(&memories("ours", 1)).await.unwrap();
        assert_eq!(next(&mut watch).await, written("ours", 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_announced_there_is_no_channel() {
    with_database(|url| async move {
        let quiet = PgStore::connect(&url).await.unwrap();
        assert!(quiet.watch().await.unwrap().is_none());
    })
    .await;
}
