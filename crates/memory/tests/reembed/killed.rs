//! Processes that are killed while they embed.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use memory::{MemoryError, MemoryResult, MemorySystem, ReembedRequest};
use memory_testkit::{HookedStore, StoreCall, StoreHooks, StoreOperation};

use crate::other_process::{OtherProcess, TestDatabase};
use crate::{MEMORIES, config, content, fill, first_model, open, open_store, second_model};

/// Where a process stops to be killed: before or after a call of an operation, by the
/// number of the call, and how many memories have lost the vectors of the first model
/// then.
const POINTS: [(&str, u64); 6] = [
    ("before replace_vectors 1", 0),
    ("after replace_vectors 2", 0),
    ("before replace_vectors 2", 0),
    // The rest is embedded, and nothing is removed.
    ("before remove_other_vectors 1", 0),
    ("after remove_other_vectors 1", 200),
    ("after remove_other_vectors 2", 400),
];

/// Has processes embed that are killed one after the other. At any time, one of the
/// models has every memory.
pub(crate) async fn run(database: &TestDatabase) {
    fill(database).await;
    let (entity, total) = (&*database.entity, MEMORIES as u64);
    for (point, removed) in POINTS {
        let other = OtherProcess::start(database, point).await;
        other.kill();
        // A reader that has nothing cached.
        let model = match removed {
            0 => first_model(),
            _ => second_model(),
        };
        let reader = open(&database.url, model).await;
        let wanted = content(314);
        let found = reader.recall_report(entity, &*wanted).await.unwrap();
        let best = &found.hits[0];
        assert_eq!(best.memory.content, wanted, "{point}");
        assert!(best.similarity > Some(0.99), "{point}: {best:?}");
        assert_eq!(found.without_vectors, 0, "{point}");
        let models = reader.count_by_model(entity).await.unwrap();
        let mut counts: Vec<u64> = models.into_values().collect();
        counts.sort_unstable();
        assert_eq!(counts.last(), Some(&total), "{point}: {counts:?}");
        if removed > 0 {
            assert_eq!(counts[0], total - removed, "{point}");
        }
        reader.close().await.unwrap();
    }
    let last = open(&database.url, second_model()).await;
    let report = last.reembed(entity, ReembedRequest::new()).await.unwrap();
    assert!(report.is_complete && report.reembedded == 0, "{report:?}");
    let models = last.count_by_model(entity).await.unwrap();
    assert_eq!(models.into_values().collect::<Vec<_>>(), [total]);
    last.close().await.unwrap();
}

/// The other process: embeds up to a point, says so, and does nothing more.
pub(crate) async fn embed_up_to(database: &TestDatabase, point: &str) {
    let parts: Vec<&str> = point.split(' ').collect();
    let [when, operation, number] = parts[..] else {
        panic!("{point}");
    };
    let stop_point = StopPoint {
        is_before: when == "before",
        operation: operation.to_owned(),
        number: number.parse().unwrap(),
        calls: AtomicU64::new(0),
        database: TestDatabase::of_other(database),
    };
    let store = HookedStore::new(open_store(&database.url).await, Arc::new(stop_point));
    let builder = MemorySystem::builder().store(Arc::new(store));
    let builder = builder.embedder(second_model()).config(config());
    let memory = builder.build().await.unwrap();
    let report = memory
        .reembed(&*database.entity, ReembedRequest::new())
        .await;
    panic!("it did not come to {point}: {report:?}");
}

/// Waits forever at a call.
struct StopPoint {
    is_before: bool,
    operation: String,
    number: u64,
    calls: AtomicU64,
    database: TestDatabase,
}

impl fmt::Debug for StopPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopPoint").finish_non_exhaustive()
    }
}

impl StopPoint {
    async fn pass(&self, operation: StoreOperation, is_before: bool) {
        if operation.as_str() == self.operation
            && is_before == self.is_before
            && self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.number
        {
            self.database.report(self.number);
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl StoreHooks for StopPoint {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        self.pass(call.operation, true).await;
        Ok(())
    }

    async fn after(&self, call: StoreCall<'_>, _: Result<(), &MemoryError>) -> MemoryResult<()> {
        self.pass(call.operation, false).await;
        Ok(())
    }
}
