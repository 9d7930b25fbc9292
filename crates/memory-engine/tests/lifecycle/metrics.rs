//! Publishing what the tiers count.

use std::sync::Arc;
use std::time::Duration;

use memory_core::{MemoryBatchItem, MemoryKind};
use memory_engine::Engine;
use memory_testkit::{HashEmbedder, InMemoryStore, MapBackend};
use metrics_util::CompositeKey;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

type Recorded = (
    CompositeKey,
    Option<metrics::Unit>,
    Option<metrics::SharedString>,
    DebugValue,
);

/// The values of a metric, by its labels.
fn values<'a>(snapshot: &'a [Recorded], name: &str) -> Vec<(String, &'a DebugValue)> {
    let metrics = snapshot.iter();
    let named = metrics.filter(|(key, ..)| key.key().name() == name);
    named
        .map(|(key, _, _, value)| {
            let labels = key.key().labels();
            let labels: Vec<_> = labels.map(metrics::Label::value).collect();
            (labels.join(" "), value)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn tiers_are_published_every_five_seconds_to_a_recorder_that_came_later() {
    let engine = Engine::builder(MapBackend)
        .build(
            Arc::new(InMemoryStore::new()),
            Arc::new(HashEmbedder::new()),
        )
        .unwrap();
    let mira = "mira".into();
    let item = MemoryBatchItem::new("mira", MemoryKind::World, "The mill burned down.");
    let id = engine.retain_batch(vec![item]).await.unwrap()[0];
    for _ in 0..4 {
        engine.get_memory(&mira, &id).await.unwrap();
    }
    engine.get_memories(&mira, &[id]).await.unwrap();

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    tokio::time::sleep(Duration::from_secs(6)).await;
    check(&snapshotter);

    let late = DebuggingRecorder::new();
    metrics::with_local_recorder(&late, memory_metrics::publish);
    check(&late.snapshotter());
}

/// Checks what four reads by id, of which the first loads, and one of a list count.
fn check(snapshotter: &Snapshotter) {
    let snapshot = snapshotter.snapshot().into_vec();
    let hits = values(&snapshot, "memory.cache.hits");
    let expected = ("memory".to_owned(), &DebugValue::Counter(4));
    assert!(hits.contains(&expected), "{hits:?}");
    let gets = values(&snapshot, "memory.operations.total");
    let expected = ("get_memory ok".to_owned(), &DebugValue::Counter(4));
    assert!(gets.contains(&expected), "{gets:?}");
}
