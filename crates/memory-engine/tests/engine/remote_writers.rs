//! Several systems on one store: each sees the others' writes as its
//! consistency promises, with news and without.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::fixture::{Fixture, StoreGate, fixture_at, item, mira};
use chrono::{DateTime, TimeDelta};
use memory_core::{
    AccessCounting, Consistency, ListRequest, ManualClock, MemoryConfig, MemoryId, MemoryPatch,
};
use memory_engine::{Engine, RecallRequest};
use tokio::task::JoinHandle;

const BOUND: Duration = Duration::from_secs(60);

/// Two systems on one store, and the second one's clock.
struct Pair {
    writer: Fixture,
    reader: Fixture,
    clock: Arc<ManualClock>,
    id: MemoryId,
}

async fn pair(consistency: Consistency, no_watch: bool) -> Pair {
    let store = StoreGate::new();
    store.no_watch.store(no_watch, Ordering::SeqCst);
    let clock = Arc::new(ManualClock::new(
        DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
    ));
    let at = |consistency| {
        let config = MemoryConfig {
            consistency: Some(consistency),
            access_counting: AccessCounting::Off,
            ..MemoryConfig::default()
        };
        fixture_at(Arc::clone(&store), config, Arc::clone(&clock) as _)
    };
    let (writer, reader) = (at(Consistency::Local), at(consistency));
    let id = writer
        .engine
        .retain_batch(vec![item("the mill stands")])
        .await
        .unwrap()[0];
    heard().await;
    let pair = Pair {
        writer,
        reader,
        clock,
        id,
    };
    // Twice: what was read while the channel was not there yet is not kept.
    for _ in 0..2 {
        assert_eq!(pair.shown().await, ["the mill stands"; 3]);
    }
    pair
}

/// Lets the task that listens run.
async fn heard() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

impl Pair {
    async fn write(&self, content: &str) {
        let patch = MemoryPatch::new().content(content);
        self.writer
            .engine
            .alter_memory(&mira(), &self.id, &patch)
            .await
            .unwrap();
    }

    /// What the reader reads by id, what it recalls, and what it lists.
    async fn shown(&self) -> [String; 3] {
        let got = self
            .reader
            .engine
            .get_memory(&mira(), &self.id)
            .await
            .unwrap();
        let request = RecallRequest::new("the mill");
        let recalled = self.reader.engine.recall(&mira(), &request).await.unwrap();
        let request = ListRequest::new(10);
        let listed = self.reader.engine.list_memories(&mira(), &request).await;
        [&*got, &*recalled[0].memory, &listed.unwrap().memories[0]]
            .map(|memory| memory.content.clone())
    }

    fn reads(&self) -> u64 {
        self.writer.store.reads()
    }
}

#[tokio::test]
async fn what_is_checked_is_seen_at_once() {
    for no_watch in [false, true] {
        let pair = pair(Consistency::Checked, no_watch).await;
        for content in ["the mill burned", "the mill was rebuilt"] {
            pair.write(content).await;
            assert_eq!(pair.shown().await, [content; 3]);
        }
    }
}

#[tokio::test]
async fn within_the_bound_the_store_is_not_asked_and_after_it_is() {
    let pair = pair(Consistency::Bounded(BOUND), true).await;
    pair.write("the mill burned").await;
    let before = pair.reads();
    pair.clock.advance(TimeDelta::from_std(BOUND).unwrap());
    assert_eq!(
        pair.shown().await,
        ["the mill stands"; 3],
        "as old as it may be"
    );
    assert_eq!(pair.reads(), before);
    pair.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(pair.shown().await, ["the mill burned"; 3]);
    assert_eq!(
        StoreGate::count(&pair.writer.store.full_loads),
        1,
        "by what changed"
    );
}

#[tokio::test]
async fn what_was_found_to_be_current_is_trusted_for_another_bound() {
    let pair = pair(Consistency::Bounded(BOUND), true).await;
    pair.clock.advance(TimeDelta::from_std(BOUND * 2).unwrap());
    pair.shown().await;
    let before = pair.reads();
    pair.clock.advance(TimeDelta::from_std(BOUND).unwrap());
    pair.shown().await;
    assert_eq!(
        pair.reads(),
        before,
        "verified, and read again, one bound ago"
    );
}

#[tokio::test]
async fn a_clock_that_is_turned_back_is_not_believed() {
    let pair = pair(Consistency::Bounded(BOUND), true).await;
    pair.write("the mill burned").await;
    pair.clock.advance(TimeDelta::hours(-1));
    assert_eq!(pair.shown().await, ["the mill burned"; 3]);
}

#[tokio::test]
async fn ones_own_writes_are_seen_at_once_within_any_bound() {
    let pair = pair(Consistency::Bounded(BOUND), true).await;
    pair.write("the mill burned").await;
    let patch = MemoryPatch::new().importance(0.9);
    let altered = pair
        .reader
        .engine
        .alter_memory(&mira(), &pair.id, &patch)
        .await
        .unwrap();
    assert_eq!(altered.content, "the mill burned");
    assert_eq!(
        pair.shown().await,
        ["the mill burned"; 3],
        "with what lies between"
    );
}

#[tokio::test]
async fn news_is_seen_before_the_bound_ends() {
    let pair = pair(Consistency::Bounded(BOUND), false).await;
    let before = pair.reads();
    assert_eq!(pair.shown().await, ["the mill stands"; 3]);
    assert_eq!(pair.reads(), before, "warm while nothing is told");
    pair.write("the mill burned").await;
    heard().await;
    assert_eq!(pair.shown().await, ["the mill burned"; 3]);
}

#[tokio::test]
async fn while_news_is_lost_the_tiers_are_bypassed_and_then_cleared() {
    let pair = pair(Consistency::Bounded(BOUND), false).await;
    pair.writer.store.inner.disconnect();
    heard().await;
    for content in ["the mill burned", "the mill was rebuilt"] {
        pair.write(content).await;
        assert_eq!(pair.shown().await, [content; 3], "each read asks");
    }
    pair.writer.store.inner.reconnect();
    heard().await;
    let stats = pair.reader.engine.cache_stats();
    assert_eq!(
        (stats.memory.entries, stats.entity.entries),
        (0, 0),
        "cleared"
    );
    assert!(stats.embedding.entries > 0, "a vector cannot be stale");
    pair.shown().await;
    let before = pair.reads();
    pair.shown().await;
    assert_eq!(pair.reads(), before, "trusted again");
}

#[tokio::test]
async fn a_write_of_ones_own_is_no_news() {
    let pair = pair(Consistency::Bounded(BOUND), false).await;
    let before = pair.reads();
    let reader = &pair.reader.engine;
    for importance in [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9] {
        let patch = MemoryPatch::new().importance(importance);
        reader
            .alter_memory(&mira(), &pair.id, &patch)
            .await
            .unwrap();
        heard().await;
        let request = RecallRequest::new("the mill");
        let recalled = reader.recall(&mira(), &request).await.unwrap();
        assert_eq!(recalled[0].memory.importance, importance);
    }
    assert_eq!(pair.reads(), before);
}

#[tokio::test]
async fn whoever_reads_after_a_foreign_write_joins_no_load_from_before_it() {
    let pair = pair(Consistency::Checked, true).await;
    let write = async |importance| {
        let patch = MemoryPatch::new().importance(importance);
        let writer = &pair.writer.engine;
        writer
            .alter_memory(&mira(), &pair.id, &patch)
            .await
            .unwrap();
    };
    let get = |engine: Engine, id: MemoryId| {
        tokio::spawn(async move { engine.get_memory(&mira(), &id).await.unwrap().importance })
    };
    let recall = |engine: Engine| {
        tokio::spawn(async move {
            let request = RecallRequest::new("the mill");
            engine.recall(&mira(), &request).await.unwrap()[0]
                .memory
                .importance
        })
    };
    let list = |engine: Engine| {
        tokio::spawn(async move {
            let request = ListRequest::new(10);
            let page = engine.list_memories(&mira(), &request).await.unwrap();
            page.memories[0].importance
        })
    };
    let reader = || pair.reader.engine.clone();
    let start = || [get(reader(), pair.id), recall(reader()), list(reader())];
    write(0.25).await;
    pair.writer.store.hold_reads();
    let early = start();
    heard().await;
    write(0.75).await;
    let late = start();
    heard().await;
    pair.writer.store.release();
    let importances = async |[get, recall, list]: [JoinHandle<f32>; 3]| {
        [
            get.await.unwrap(),
            recall.await.unwrap(),
            list.await.unwrap(),
        ]
    };
    assert_eq!(importances(early).await, [0.25; 3], "they had read already");
    assert_eq!(importances(late).await, [0.75; 3]);
}

#[tokio::test]
async fn the_task_that_listens_ends_with_its_engine() {
    let alive = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let none = alive();
    // Each of the two engines has a task that publishes metrics.
    let dropped = pair(Consistency::Bounded(BOUND), false).await;
    assert_eq!(alive(), none + 3, "only the reader listens");
    drop(dropped);
    heard().await;
    assert_eq!(alive(), none);
    let closed = pair(Consistency::Checked, false).await;
    assert_eq!(alive(), none + 3);
    closed.reader.engine.close().await.unwrap();
    heard().await;
    assert_eq!(alive(), none + 1, "the writer is open");
}
