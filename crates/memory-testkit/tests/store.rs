//! The reference store passes the suite, in every form that a suite accepts.

use std::sync::Arc;

use memory_core::{ErrorKind, MemoryError, MemoryResult, Store};
use memory_testkit::{InMemoryStore, store};

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
