//! Metrics and traces of every operation: all are emitted, and none contains an id,
//! the name of an entity, or content.

#![cfg(all(feature = "sqlite", feature = "onnx"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod drive;

use std::collections::{BTreeMap, BTreeSet};

use memory::MemorySystem;
use memory::metrics::{ALL, MetricKind, Operation};
use memory_testkit::TraceLog;
use metrics_util::MetricKind as RecordedKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use drive::Driver;

/// What a recorder holds: by name the kind, and label keys and values.
type Recorded = BTreeMap<String, (RecordedKind, BTreeSet<(String, String)>)>;

fn recorded(snapshotter: &Snapshotter) -> Recorded {
    let mut recorded = Recorded::new();
    for (key, ..) in snapshotter.snapshot().into_vec() {
        let (kind, key) = key.into_parts();
        let labels = key.labels();
        let labels = labels.map(|label| (label.key().to_owned(), label.value().to_owned()));
        let name = key.name().to_owned();
        let entry = recorded
            .entry(name)
            .or_insert_with(|| (kind, BTreeSet::new()));
        entry.1.extend(labels);
    }
    recorded
}

/// Whether an operation was counted: outcomes are 0 before their first event.
fn is_recorded(snapshotter: &Snapshotter, operation: Operation) -> bool {
    let values = snapshotter.snapshot().into_vec();
    values.iter().any(|(key, _, _, value)| {
        let mut labels = key.key().labels();
        key.key().name() == "memory.operations.total"
            && !matches!(value, DebugValue::Counter(0))
            && labels.any(|label| (label.key(), label.value()) == ("operation", operation.name()))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_emits_metrics_and_spans_without_names_and_content() {
    let trace = TraceLog::install().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("agent.db").display());
    let memory = MemorySystem::open(&url).await.unwrap();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    // After the system is built: nothing may be bound to a recorder before.
    recorder.install().unwrap();

    let mut drivers = vec![Driver::new(memory, url, folder.path())];
    #[cfg(feature = "postgres")]
    drivers.push(on_postgres(folder.path()).await);
    for driver in &mut drivers {
        run_all(driver, &trace, &snapshotter).await;
    }

    let recorded = recorded(&snapshotter);
    let emitted: BTreeSet<&str> = recorded.keys().map(String::as_str).collect();
    let listed: BTreeSet<&str> = ALL.iter().map(|metric| metric.name()).collect();
    assert_eq!(emitted, listed, "what is emitted is what is listed");
    for metric in ALL {
        let (kind, labels) = &recorded[metric.name()];
        let kind = match kind {
            RecordedKind::Counter => MetricKind::Counter,
            RecordedKind::Gauge => MetricKind::Gauge,
            RecordedKind::Histogram => MetricKind::Histogram,
        };
        assert_eq!(kind, metric.kind(), "{}", metric.name());
        let keys: BTreeSet<&str> = labels.iter().map(|(key, _)| key.as_str()).collect();
        let listed: BTreeSet<&str> = metric.labels().iter().copied().collect();
        assert_eq!(keys, listed, "{}", metric.name());
    }

    let all = format!("{}\n{recorded:?}", trace.since(0)).to_lowercase();
    for word in ["store", "inference", "load", "scan", "embed"] {
        assert!(all.contains(&format!("span {word}")), "no span {word}");
    }
    for secret in drivers.iter().flat_map(Driver::secrets) {
        let at = all.find(&secret.to_lowercase());
        let context = at.map(|at| all[..at].lines().last().unwrap_or_default());
        assert!(context.is_none(), "{secret:?} after {context:?}");
    }
}

/// Runs every operation; each must have a span and a metric. So has each batch of a stream.
async fn run_all(driver: &mut Driver, trace: &TraceLog, snapshotter: &Snapshotter) {
    let before = trace.end();
    driver.retain_stream().await;
    let named = format!("operation=\"{}\"", Operation::RetainBatch.name());
    let spans = trace.since(before);
    assert!(spans.contains(&named), "no span of a batch of a stream");
    for &operation in Operation::ALL {
        let before = trace.end();
        driver.run(operation).await;
        memory::metrics::publish();
        let named = format!("operation=\"{}\"", operation.name());
        let spans = trace.since(before);
        assert!(spans.contains(&named), "no span of {}", operation.name());
        assert!(
            is_recorded(snapshotter, operation),
            "no metric of {}",
            operation.name()
        );
    }
}

/// The same operations on the server that `cargo xtask test` starts: a driver of its
/// own, and the statements that it logs.
#[cfg(feature = "postgres")]
async fn on_postgres(folder: &std::path::Path) -> Driver {
    let url = std::env::var("MEMORY_TEST_PG")
        .or_else(|_| std::env::var("DATABASE_URL"))
        .expect("this test needs a PostgreSQL server with pgvector: run `cargo xtask test`");
    // The server is no standby of itself, so each read tries the replica, and then the
    // server.
    let memory = MemorySystem::builder().url(&url).replicas([&url]).build();
    Driver::new(memory.await.unwrap(), url, folder)
}
