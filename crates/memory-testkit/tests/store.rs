//! The reference store passes the suite, in every form that a suite accepts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use memory_core::{EntityId, ErrorKind, MemoryError, MemoryResult, Store};
use memory_testkit::{
    HashEmbedder, HookedStore, InMemorySharedCache, InMemoryStore, MapBackend, MinimalStore,
    OverlapReranker, StoreCall, StoreHooks, StoreOperation, cache, embedder, reranker,
    shared_cache, store,
};

#[tokio::test]
async fn the_reference_store_conforms() {
    let report = store::conformance(|| async { InMemoryStore::with_snapshot_pages() }).await;
    report.assert();
    assert_eq!(report.outcomes().len(), store::CHECKS.len());
    let left_out: Vec<&str> = report.not_applicable().collect();
    assert_eq!(left_out, NOT_OF_THE_REFERENCE);
}

/// It has no change marker, and is another database each time it is opened.
const NOT_OF_THE_REFERENCE: [&str; 6] = [
    "change_marker::differs_after_every_write",
    "change_marker::of_a_handle_differs_after_other_writes",
    "second_store::reads_every_write",
    "second_store::is_declared",
    "second_store::changes_the_marker",
    "second_store::is_watched",
];

#[tokio::test]
async fn a_store_that_is_to_keep_its_memories_is_opened_again() {
    let checks = store::CHECKS.iter().map(|check| check.name);
    let second: Vec<_> = checks
        .filter(|it| it.starts_with("second_store::"))
        .collect();
    let suite = store::Suite::new().only(second.clone());
    let lost = suite.run(|| async { InMemoryStore::new() }).await;
    assert_eq!(lost.not_applicable().count(), second.len());
    let suite = suite.reopens();
    let lost = suite.run(|| async { InMemoryStore::new() }).await;
    assert_eq!(lost.failed().count(), second.len(), "{lost}");
    // Clones share their memories, and each says that it is the only writer.
    let shared = InMemoryStore::new();
    let report = suite.run(|| async { shared.clone() }).await;
    assert_eq!(
        report.failed().collect::<Vec<_>>(),
        ["second_store::is_declared"]
    );
}

#[tokio::test]
async fn a_check_that_tried_nothing_does_not_pass() {
    let minimal = || async { MinimalStore::new(Arc::new(InMemoryStore::new())) };
    let report = store::conformance(minimal).await;
    report.assert();
    let left_out: Vec<&str> = report.not_applicable().collect();
    for module in [
        "vectors::",
        "index_maintenance::",
        "change_marker::",
        "watch::",
    ] {
        let checks = store::CHECKS.iter().map(|check| check.name);
        for name in checks.filter(|name| name.starts_with(module)) {
            assert!(left_out.contains(&name), "{name} passed: {report}");
        }
    }
    assert!(left_out.contains(&"entities::are_listed_by_their_last_access"));
}

#[tokio::test]
async fn a_name_of_no_check_fails() {
    let names = ["insert::writes_the_whole_batch", "insert::writes_all"];
    let suite = store::Suite::new().only(names);
    let report = suite.run(|| async { InMemoryStore::new() }).await;
    assert_eq!(report.passed().collect::<Vec<_>>(), [names[0]]);
    assert_eq!(report.failed().collect::<Vec<_>>(), [names[1]]);
    let shared = shared_cache::Suite::new().only(["close::ends_every_call", "no::check"]);
    let shared = shared.run(&InMemorySharedCache::new()).await;
    let cache = cache::Suite::new().only(["values::gives_the_latest", "no::check"]);
    let embedder = embedder::Suite::new().only(["batches::may_be_empty", "no::check"]);
    let embedder = embedder.run(&HashEmbedder::new()).await;
    let reranker = reranker::Suite::new().only(["batches::may_be_empty", "no::check"]);
    let reranker = reranker.run(&OverlapReranker).await;
    for report in [shared, cache.run(&MapBackend), embedder, reranker] {
        assert_eq!(
            report.failed().collect::<Vec<_>>(),
            ["no::check"],
            "{report}"
        );
    }
    // Meaning is not asked for.
    let meaning = embedder::Suite::new().only([embedder::MEANING[0].name]);
    let report = meaning.run(&HashEmbedder::new()).await;
    assert!(!report.is_conformant());
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
