//! Access counts of recalls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use memory_core::{
    AccessCounting, EntityId, ErrorKind, ListRequest, ListScope, MemoryConfig, MemoryError,
    MemoryId, MemoryResult,
};
use memory_engine::RecallRequest;
use memory_testkit::{HookedStore, InMemoryStore, StoreCall, StoreHooks, StoreOperation};
use tokio::time::{Instant, sleep, timeout};

use crate::fixture::{Fixture, fixture, fixture_on, fixture_with, item, mira, now};

async fn counted(b: &Fixture, id: &MemoryId) -> u64 {
    let found = b.store.get(&mira(), &[*id]).await.unwrap().memories;
    found[0].as_ref().unwrap().access_count
}

/// The runtime's time is paused and advanced by the test.
#[tokio::test(start_paused = true)]
async fn recalls_are_counted_in_the_background_without_a_new_generation() {
    let b = fixture();
    let ids = b.retain(vec![item("horse"), item("ferry")]).await;
    let generation = b.engine.entity_stats(&mira()).await.unwrap().generation;
    let one = RecallRequest::new("horse").limit(1);
    for _ in 0..3 {
        b.engine.recall(&mira(), &one).await.unwrap();
    }
    b.clock.advance(TimeDelta::minutes(1));
    b.engine
        .recall(&mira(), &RecallRequest::new("horse"))
        .await
        .unwrap();
    assert_eq!(counted(&b, &ids[0]).await, 0, "no read waits for it");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        (counted(&b, &ids[0]).await, counted(&b, &ids[1]).await),
        (4, 1)
    );
    let found = b.store.get(&mira(), &ids).await.unwrap();
    let last = found.memories[0].as_ref().unwrap().last_accessed;
    assert_eq!(last, Some(now() + TimeDelta::minutes(1)));
    assert_eq!(found.generation, generation);
    // And again, by the next flush.
    b.engine.recall(&mira(), &one).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(counted(&b, &ids[0]).await, 5);
}

#[tokio::test(start_paused = true)]
async fn counts_that_were_written_are_listed() {
    let b = fixture();
    b.retain(vec![item("horse")]).await;
    assert_eq!(b.all(ListScope::Live).await[0].access_count, 0);
    let request = RecallRequest::new("horse");
    b.engine.recall(&mira(), &request).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(b.all(ListScope::Live).await[0].access_count, 1);
}

#[tokio::test(start_paused = true)]
async fn many_counts_are_flushed_early_and_historical_recalls_do_not_count() {
    let b = fixture();
    let all = RecallRequest::new("horse").limit(1_000);
    let mut ids = Vec::new();
    for owner in (0..9)
        .map(|n| EntityId::from(format!("stable {n}")))
        .chain([mira()])
    {
        let horses = (0..1_000).map(|n| {
            let mut horse = item(&format!("horse {n}"));
            horse.entity_id = owner.clone();
            horse
        });
        ids = b.retain(horses.collect()).await;
        b.engine.recall(&owner, &all).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(
        counted(&b, &ids[999]).await,
        1,
        "ten thousand are flushed at once"
    );

    let few = RecallRequest::new("horse").limit(1_000).as_of(now());
    b.engine.recall(&mira(), &few).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        counted(&b, &ids[999]).await,
        1,
        "a historical recall is not counted"
    );
    b.engine.get_memory(&mira(), &ids[0]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        counted(&b, &ids[0]).await,
        1,
        "reading by id is not counted"
    );
}

/// Entities that another writer has locked, and how often each was listed.
#[derive(Debug, Default)]
struct Locks {
    locked: Mutex<Vec<EntityId>>,
    /// Whether recording accesses does not end.
    hangs: AtomicBool,
    /// How many batches of accesses are recorded before the store is unavailable.
    batches_left: Mutex<Option<usize>>,
    lists: Mutex<BTreeMap<EntityId, usize>>,
}

impl Locks {
    fn set(&self, entities: &[EntityId]) {
        *self.locked.lock().unwrap() = entities.to_vec();
    }
}

#[async_trait]
impl StoreHooks for Locks {
    fn defers_accesses(&self, entity: &EntityId) -> bool {
        self.locked.lock().unwrap().contains(entity)
    }

    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        if let (StoreOperation::List, Some(entity)) = (call.operation, call.entity) {
            *self
                .lists
                .lock()
                .unwrap()
                .entry(entity.clone())
                .or_default() += 1;
        }
        // It stays open, so that a test can read what was written before.
        match call.operation {
            StoreOperation::RecordAccesses if self.hangs.load(Ordering::SeqCst) => {
                std::future::pending().await
            }
            StoreOperation::RecordAccesses => match &mut *self.batches_left.lock().unwrap() {
                Some(0) => {
                    let message = "not reachable";
                    Err(MemoryError::store(ErrorKind::Unavailable, "test", message))
                }
                Some(batches) => {
                    *batches -= 1;
                    Ok(())
                }
                None => Ok(()),
            },
            StoreOperation::Close => {
                Err(MemoryError::store(ErrorKind::Other, "close", "kept open"))
            }
            _ => Ok(()),
        }
    }
}

/// A memory each of two entities, of which the first is locked.
async fn with_locked_entity() -> (Fixture, Arc<Locks>, [(EntityId, MemoryId); 2]) {
    let locks = Arc::new(Locks::default());
    let hooks = Arc::clone(&locks) as Arc<dyn StoreHooks>;
    let store = HookedStore::new(Arc::new(InMemoryStore::new()), hooks);
    let b = fixture_on(Arc::new(store), MemoryConfig::default(), None);
    let mut of_tam = item("horse");
    of_tam.entity_id = "tam".into();
    let ids = b.retain(vec![item("horse"), of_tam]).await;
    locks.set(&[mira()]);
    (b, locks, [(mira(), ids[0]), ("tam".into(), ids[1])])
}

/// What the store has counted.
async fn stored(b: &Fixture, (entity, id): &(EntityId, MemoryId)) -> u64 {
    let found = b.store.get(entity, &[*id]).await.unwrap().memories;
    found[0].as_ref().unwrap().access_count
}

#[tokio::test(start_paused = true)]
async fn counts_of_a_locked_entity_are_written_by_a_later_flush() {
    let (b, locks, [hers, his]) = with_locked_entity().await;
    let listed = async |(entity, _): &(EntityId, MemoryId)| {
        let page = b.engine.list_memories(entity, &ListRequest::new(10)).await;
        page.unwrap().memories[0].access_count
    };
    for one in [&hers, &his] {
        let horse = RecallRequest::new("horse");
        b.engine.recall(&one.0, &horse).await.unwrap();
        assert_eq!(listed(one).await, 0);
    }
    sleep(Duration::from_secs(8)).await;
    assert_eq!((stored(&b, &hers).await, stored(&b, &his).await), (0, 1));
    // What was not written is still current.
    assert_eq!((listed(&hers).await, listed(&his).await), (0, 1));
    let lists = locks.lists.lock().unwrap().clone();
    assert_eq!((lists[&hers.0], lists[&his.0]), (1, 2));
    b.recall("horse").await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(stored(&b, &hers).await, 0);
    locks.set(&[]);
    // Without another access.
    sleep(Duration::from_secs(8)).await;
    assert_eq!((stored(&b, &hers).await, stored(&b, &his).await), (2, 1));
    assert_eq!((listed(&hers).await, listed(&his).await), (2, 1));
    sleep(Duration::from_secs(60)).await;
    assert_eq!((stored(&b, &hers).await, stored(&b, &his).await), (2, 1));
}

/// Also those that were deferred before it, and without another access: a process that is
/// idle would lose them in a crash.
#[tokio::test(start_paused = true)]
async fn counts_are_written_by_a_later_flush_when_the_store_is_available_again() {
    // In the first batch, and while it waits for the locked entity.
    for (batches, of_his) in [(0, 0), (1, 1)] {
        let (b, locks, [hers, his]) = with_locked_entity().await;
        let horse = RecallRequest::new("horse");
        for one in [&hers, &his] {
            b.engine.recall(&one.0, &horse).await.unwrap();
        }
        *locks.batches_left.lock().unwrap() = Some(batches);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(
            (stored(&b, &hers).await, stored(&b, &his).await),
            (0, of_his)
        );
        locks.set(&[]);
        *locks.batches_left.lock().unwrap() = None;
        sleep(Duration::from_secs(8)).await;
        assert_eq!((stored(&b, &hers).await, stored(&b, &his).await), (1, 1));
    }
}

/// Also where a flush in the background has the counts when the close begins.
#[tokio::test(start_paused = true)]
async fn close_waits_for_a_locked_entity() {
    for pause in [Duration::ZERO, Duration::from_millis(5_500)] {
        let (b, locks, [hers, his]) = with_locked_entity().await;
        let horse = RecallRequest::new("horse");
        for one in [&hers, &his] {
            b.engine.recall(&one.0, &horse).await.unwrap();
        }
        sleep(pause).await;
        let unlock = async {
            sleep(Duration::from_secs(2)).await;
            locks.set(&[]);
        };
        let (closed, ()) = tokio::join!(b.engine.close(), unlock);
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::Other);
        assert_eq!((stored(&b, &hers).await, stored(&b, &his).await), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn close_does_not_wait_long_for_a_locked_entity() {
    let (b, _, [hers, his]) = with_locked_entity().await;
    let horse = RecallRequest::new("horse");
    for one in [&hers, &his] {
        b.engine.recall(&one.0, &horse).await.unwrap();
    }
    let start = Instant::now();
    let closed = b.engine.close().await;
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Other);
    assert!(start.elapsed() < Duration::from_secs(7));
    assert_eq!((stored(&b, &hers).await, stored(&b, &his).await), (0, 1));
}

/// But those that the store may be writing.
#[tokio::test(start_paused = true)]
async fn close_that_is_dropped_loses_no_counts() {
    let (b, locks, [hers, his]) = with_locked_entity().await;
    let horse = RecallRequest::new("horse");
    for one in [&hers, &his] {
        b.engine.recall(&one.0, &horse).await.unwrap();
    }
    // While it waits for a lock.
    let closed = timeout(Duration::from_secs(2), b.engine.close()).await;
    assert!(closed.is_err());
    locks.set(&[]);
    sleep(Duration::from_secs(8)).await;
    assert_eq!((stored(&b, &hers).await, stored(&b, &his).await), (1, 1));

    // While the store writes those of the first entities.
    let mut everyone = Vec::new();
    for number in 0..70 {
        let mut horse = item("horse");
        horse.entity_id = format!("stable {number}").into();
        let ids = b.retain(vec![horse.clone()]).await;
        everyone.push((horse.entity_id, ids[0]));
    }
    let sum = async || {
        let mut sum = 0;
        for one in &everyone {
            sum += stored(&b, one).await;
        }
        sum
    };
    for limit in [Duration::from_millis(500), Duration::from_secs(60)] {
        let before = sum().await;
        for one in &everyone {
            b.engine.recall(&one.0, &horse).await.unwrap();
        }
        locks.hangs.store(true, Ordering::SeqCst);
        // It gives up by itself after a second.
        let closed = timeout(limit, b.engine.close()).await;
        assert_eq!(closed.is_ok(), limit > Duration::from_secs(1));
        locks.hangs.store(false, Ordering::SeqCst);
        sleep(Duration::from_secs(8)).await;
        assert_eq!(
            sum().await - before,
            20,
            "50 are written in one transaction"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn access_counting_can_be_turned_off() {
    let config = MemoryConfig {
        access_counting: AccessCounting::Off,
        ..MemoryConfig::default()
    };
    let b = fixture_with(config, None);
    let ids = b.retain(vec![item("horse")]).await;
    b.recall("horse").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(counted(&b, &ids[0]).await, 0);
}
