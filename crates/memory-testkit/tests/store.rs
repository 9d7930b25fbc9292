//! The reference store passes the suite, in every form that a suite accepts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use memory_core::{EntityId, ErrorKind, MemoryError, MemoryResult, Store};
use memory_testkit::{HookedStore, InMemoryStore, StoreCall, StoreHooks, StoreOperation, store};

#[tokio::test]
async fn the_reference_store_conforms() {
    let report = store::conformance(|| async { InMemoryStore::with_snapshot_pages() }).await;
    report.assert();
    assert_eq!(report.outcomes().len(), store::CHECKS.len());
    assert_eq!(report.not_applicable().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_does_on_a_runtime_of_many_threads() {
    store::conformance(|| async { InMemoryStore::new() })
        .await
        .assert();
}

#[tokio::test]
async fn one_without_a_lexical_arm_conforms_by_saying_so() {
    let report = store::conformance(|| async { InMemoryStore::without_lexical() }).await;
    report.assert();
    assert!(report.not_applicable().count() > 0);
    assert!(
        report
            .passed()
            .any(|name| name == "search_lexical::answers_as_capabilities_say")
    );
}

/// Locks an entity while a memory of it is updated.
#[derive(Debug, Default)]
struct Locks(Mutex<Option<EntityId>>);

impl Locks {
    fn lock(&self) -> MutexGuard<'_, Option<EntityId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StoreHooks for Locks {
    fn defers_accesses(&self, entity: &EntityId) -> bool {
        self.lock().as_ref() == Some(entity)
    }

    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        if call.operation == StoreOperation::Update {
            *self.lock() = call.entity.cloned();
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn after(&self, call: StoreCall<'_>, _: Result<(), &MemoryError>) -> MemoryResult<()> {
        if call.operation == StoreOperation::Update {
            *self.lock() = None;
        }
        Ok(())
    }
}

#[tokio::test]
async fn one_that_has_to_defer_accesses_is_rejected_if_it_does_not() {
    let check = "record_accesses::writes_or_defers_each_update";
    let any = store::Suite::new().only([check]);
    let deferring = store::Suite::new().only([check]).defers_accesses();
    let plain = || async { InMemoryStore::new() };
    any.run(plain).await.assert();
    assert!(!deferring.run(plain).await.is_conformant());
    let locking =
        || async { HookedStore::new(Arc::new(InMemoryStore::new()), Arc::new(Locks::default())) };
    any.run(locking).await.assert();
    deferring.run(locking).await.assert();
}

#[tokio::test]
async fn a_store_may_come_shared_boxed_erased_or_in_a_result() {
    let few = store::Suite::new().only(["insert::writes_the_whole_batch"]);
    let reports = [
        few.run(|| async { Arc::new(InMemoryStore::new()) }).await,
        few.run(|| async { Arc::new(InMemoryStore::new()) as Arc<dyn Store> })
            .await,
        few.run(|| async { Box::new(InMemoryStore::new()) as Box<dyn Store> })
            .await,
        few.run(|| async { MemoryResult::Ok(InMemoryStore::new()) })
            .await,
        few.run(|| async { MemoryResult::Ok(Arc::new(InMemoryStore::new()) as Arc<dyn Store>) })
            .await,
    ];
    for report in reports {
        report.assert();
        assert_eq!(report.outcomes().len(), 1);
    }
}

#[tokio::test]
async fn a_store_that_does_not_open_fails() {
    let report = store::conformance(|| async {
        let full = MemoryError::store(ErrorKind::Full, "open", "no room");
        MemoryResult::<InMemoryStore>::Err(full)
    })
    .await;
    assert!(!report.is_conformant());
    assert_eq!(report.failed().collect::<Vec<_>>(), ["open"]);
}

#[tokio::test]
async fn the_reference_store_agrees_with_the_model() {
    store::model_check(|| async { InMemoryStore::new() }, 64, 60)
        .await
        .assert();
    store::model_check(|| async { InMemoryStore::without_lexical() }, 4, 60)
        .await
        .assert();
}
