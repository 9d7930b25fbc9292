//! The reference store's channel, and how a test breaks and mends it.

#![allow(clippy::unwrap_used)]

use futures_util::FutureExt;
use memory_core::{EntityId, Generation, MemoryResult, Store, StoreNews, StoreWatch};
use memory_testkit::{MemStore, Seeded, population};

async fn write(store: &MemStore, seed: u64) -> MemoryResult<()> {
    let item = population::varied(&EntityId::from("mira"), 0, &mut Seeded::new(seed));
    store.insert(&[item]).await.map(drop)
}

fn written(generation: u64) -> StoreNews {
    StoreNews::Written {
        entity: EntityId::from("mira"),
        generation: Generation(generation),
    }
}

async fn listen(store: &MemStore) -> Box<dyn StoreWatch> {
    store.watch().await.unwrap().unwrap()
}

#[tokio::test]
async fn what_is_written_is_told_and_a_dropped_wait_loses_nothing() {
    let store = MemStore::new();
    write(&store, 0).await.unwrap();
    let mut watch = listen(&store).await;
    assert!(watch.next().now_or_never().is_none(), "told of the past");
    let (news, done) = tokio::join!(watch.next(), write(&store, 1));
    done.unwrap();
    assert_eq!(news, written(2));
    store.insert(&[]).await.unwrap();
    assert!(watch.next().now_or_never().is_none(), "told of no write");
}

#[tokio::test]
async fn a_broken_channel_says_so_and_tells_again_once_mended() {
    let store = MemStore::new();
    let mut early = listen(&store).await;
    write(&store, 0).await.unwrap();
    store.lose_news();
    store.lose_news();
    let mut late = listen(&store).await;
    write(&store, 1).await.unwrap();
    store.restore_news();
    store.restore_news();
    write(&store, 2).await.unwrap();
    assert_eq!(early.next().await, written(1));
    for watch in [&mut early, &mut late] {
        assert_eq!(watch.next().await, StoreNews::Lost);
        assert_eq!(watch.next().await, StoreNews::Restored);
        assert_eq!(watch.next().await, written(3));
    }
}

#[tokio::test]
async fn closing_or_dropping_the_store_ends_the_channel() {
    let store = MemStore::new();
    let mut closed = listen(&store).await;
    write(&store, 0).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(closed.next().await, written(1));
    assert_eq!(closed.next().await, StoreNews::Closed);
    assert_eq!(closed.next().await, StoreNews::Closed);
    assert!(store.watch().await.is_err());
    let mut dropped = listen(&MemStore::new()).await;
    assert_eq!(dropped.next().await, StoreNews::Closed);
}
