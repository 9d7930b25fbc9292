//! The reference store's channel, and how a test breaks and mends it.

#![allow(clippy::unwrap_used)]

use futures_util::FutureExt;
use memory_core::{ChangeStream, EntityId, Generation, MemoryResult, Store, StoreEvent};
use memory_testkit::{InMemoryStore, SeededRng, fixtures};

async fn write(store: &InMemoryStore, seed: u64) -> MemoryResult<()> {
    let item = fixtures::varied(&EntityId::from("mira"), 0, &mut SeededRng::new(seed));
    store.insert(&[item]).await.map(drop)
}

fn written(generation: u64) -> StoreEvent {
    StoreEvent::Changed {
        entity: EntityId::from("mira"),
        generation: Generation(generation),
    }
}

async fn listen(store: &InMemoryStore) -> Box<dyn ChangeStream> {
    store.watch().await.unwrap().unwrap()
}

#[tokio::test]
async fn what_is_written_is_told_and_a_dropped_wait_loses_nothing() {
    let store = InMemoryStore::new();
    write(&store, 0).await.unwrap();
    let mut watch = listen(&store).await;
    assert!(
        watch.next().now_or_never().is_none(),
        "notified of an earlier write"
    );
    let (news, done) = tokio::join!(watch.next(), write(&store, 1));
    done.unwrap();
    assert_eq!(news, written(2));
    store.insert(&[]).await.unwrap();
    assert!(
        watch.next().now_or_never().is_none(),
        "notified without a write"
    );
}

#[tokio::test]
async fn a_broken_channel_says_so_and_tells_again_once_mended() {
    let store = InMemoryStore::new();
    let mut early = listen(&store).await;
    write(&store, 0).await.unwrap();
    store.disconnect();
    store.disconnect();
    let mut late = listen(&store).await;
    write(&store, 1).await.unwrap();
    store.reconnect();
    store.reconnect();
    write(&store, 2).await.unwrap();
    assert_eq!(early.next().await, written(1));
    for watch in [&mut early, &mut late] {
        assert_eq!(watch.next().await, StoreEvent::Disconnected);
        assert_eq!(watch.next().await, StoreEvent::Reconnected);
        assert_eq!(watch.next().await, written(3));
    }
}

#[tokio::test]
async fn closing_or_dropping_the_store_ends_the_channel() {
    let store = InMemoryStore::new();
    let mut closed = listen(&store).await;
    write(&store, 0).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(closed.next().await, written(1));
    assert_eq!(closed.next().await, StoreEvent::Closed);
    assert_eq!(closed.next().await, StoreEvent::Closed);
    assert!(store.watch().await.is_err());
    let mut dropped = listen(&InMemoryStore::new()).await;
    assert_eq!(dropped.next().await, StoreEvent::Closed);
}
