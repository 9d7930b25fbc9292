//! The wrapper with hooks forwards everything; the one without the provided
//! methods conforms.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use memory_core::{
    EntityId, ErrorKind, Generation, MemoryError, MemoryFilter, MemoryResult, Store,
};
use memory_testkit::{
    HookedStore, InMemoryStore, MinimalStore, SeededRng, StoreCall, StoreHooks, StoreOperation,
    fixtures, store,
};

fn hooked(hooks: impl StoreHooks) -> HookedStore {
    HookedStore::new(
        Arc::new(InMemoryStore::with_snapshot_pages()),
        Arc::new(hooks),
    )
}

#[tokio::test]
async fn a_store_with_the_required_methods_only_conforms() {
    let minimal = || async { MinimalStore::new(Arc::new(InMemoryStore::new())) };
    let report = store::conformance(minimal).await;
    report.assert();
    let passed: Vec<&str> = report.passed().collect();
    for provided in [
        "search_dense::ranks_by_best_vector",
        "search_lexical::answers_as_capabilities_say",
        "filters::count_agrees",
        "entities::stats_follow_writes",
        "score_stats::dense_covers_all_matches",
        "close::answers_as_capabilities_say",
    ] {
        assert!(passed.contains(&provided), "{provided}: {report}");
    }
    store::model_check(minimal, 16, 60).await.assert();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_on_a_runtime_of_many_threads() {
    let minimal = || async { MinimalStore::new(Arc::new(InMemoryStore::new())) };
    store::conformance(minimal).await.assert();
}

#[tokio::test]
async fn provided_counts_are_exact_over_many_pages() {
    let inner = InMemoryStore::new();
    let minimal = MinimalStore::new(Arc::new(inner.clone()));
    let mira = EntityId::from("mira");
    let batch = fixtures::varied_memories(&mira, 2_001, &mut SeededRng::new(7));
    inner.insert(&batch).await.unwrap();
    let group = fixtures::consolidation(
        &mira,
        "a summary",
        batch[..1_001].iter().map(|item| item.memory.id),
        &mut SeededRng::new(8),
    );
    inner
        .consolidate(&mira, &[group], Generation(1))
        .await
        .unwrap();
    let stats = minimal.entity_stats(&mira).await.unwrap();
    assert_eq!(stats, inner.entity_stats(&mira).await.unwrap());
    assert_eq!((stats.memory_count, stats.archived_count), (1_001, 1_001));
    let all = MemoryFilter::new();
    assert_eq!(minimal.count(&mira, &all).await.unwrap(), 1_001);
}

/// Writes to the store between two pages of a list, a few times.
#[derive(Debug)]
struct WriteBetweenPages {
    store: InMemoryStore,
    writes_left: Mutex<u64>,
}

#[async_trait]
impl StoreHooks for WriteBetweenPages {
    async fn after(&self, call: StoreCall<'_>, _: Result<(), &MemoryError>) -> MemoryResult<()> {
        let seed = {
            let mut left = self.writes_left.lock().unwrap();
            if call.operation != StoreOperation::List || *left == 0 {
                return Ok(());
            }
            *left -= 1;
            *left
        };
        let entity = call.entity.unwrap();
        let item = fixtures::varied(entity, 0, &mut SeededRng::new(1_000 + seed % 1_000));
        self.store.insert(&[item]).await.map(drop)
    }
}

#[tokio::test]
async fn provided_counts_start_over_where_a_write_comes_between_two_pages() {
    for (writes, expected) in [(3, Ok(1_004)), (u64::MAX, Err(ErrorKind::Unavailable))] {
        let inner = InMemoryStore::new();
        let mira = EntityId::from("mira");
        let batch = fixtures::varied_memories(&mira, 1_001, &mut SeededRng::new(7));
        inner.insert(&batch).await.unwrap();
        let hooks = WriteBetweenPages {
            store: inner.clone(),
            writes_left: Mutex::new(writes),
        };
        let hooked = HookedStore::new(Arc::new(inner), Arc::new(hooks));
        let minimal = MinimalStore::new(Arc::new(hooked));
        let counted = minimal.count(&mira, &MemoryFilter::new()).await;
        assert_eq!(counted.map_err(|error| error.kind()), expected);
    }
}

#[tokio::test]
async fn a_store_with_hooks_conforms() {
    let report = store::conformance(|| async { hooked(()) }).await;
    report.assert();
    // The store has no change marker, no handles and no second one on its memories.
    assert_eq!(report.not_applicable().count(), 6, "{report}");
}

/// Records operations, and fails one of them.
#[derive(Debug, Default)]
struct Recorder {
    log: Mutex<Vec<String>>,
    refused: Option<StoreOperation>,
    lost: Option<StoreOperation>,
}

impl Recorder {
    fn push(&self, moment: &str, call: StoreCall<'_>) {
        let entry = format!("{moment} {}", call.operation.as_str());
        self.log.lock().unwrap().push(entry);
    }
}

#[async_trait]
impl StoreHooks for Recorder {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        self.push("before", call);
        if self.refused == Some(call.operation) {
            return Err(MemoryError::store(
                ErrorKind::Unavailable,
                "hook",
                "refused",
            ));
        }
        Ok(())
    }

    async fn after(&self, call: StoreCall<'_>, _: Result<(), &MemoryError>) -> MemoryResult<()> {
        self.push("after", call);
        if self.lost == Some(call.operation) {
            return Err(MemoryError::store(
                ErrorKind::OutcomeUnknown,
                "hook",
                "lost",
            ));
        }
        Ok(())
    }
}

#[tokio::test]
async fn hooks_see_operations_refuse_them_and_lose_their_answers() {
    let mira = EntityId::from("mira");
    let item = fixtures::varied(&mira, 0, &mut SeededRng::new(0));
    for (refused, lost, expected) in [
        (None, None, None),
        (
            Some(StoreOperation::Insert),
            None,
            Some((ErrorKind::Unavailable, 0)),
        ),
        (
            None,
            Some(StoreOperation::Insert),
            Some((ErrorKind::OutcomeUnknown, 1)),
        ),
    ] {
        let inner = InMemoryStore::new();
        let recorder = Arc::new(Recorder {
            refused,
            lost,
            ..Recorder::default()
        });
        let hooked = HookedStore::new(Arc::new(inner.clone()), recorder.clone());
        let inserted = hooked.insert(std::slice::from_ref(&item)).await;
        let log = recorder.log.lock().unwrap().clone();
        match expected {
            None => {
                inserted.unwrap();
                assert_eq!(log, ["before insert", "after insert"]);
            }
            Some((kind, count)) => {
                assert_eq!(inserted.unwrap_err().kind(), kind);
                let stats = inner.entity_stats(&mira).await.unwrap();
                assert_eq!(stats.memory_count, count);
            }
        }
    }
}
