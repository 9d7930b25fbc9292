//! Embedding again while memories are forgotten, altered and consolidated, by several
//! systems at once, and cut off at every step.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use memory_core::{
    Embedder, EntityId, ErrorKind, Fingerprint, ListRequest, MemoryBatchItem, MemoryError,
    MemoryId, MemoryKind, MemoryPatch, MemoryResult, Store,
};
use memory_engine::{ConsolidateRequest, Engine, RecallRequest, ReembedReport, ReembedRequest};
use memory_moka::MokaBackend;
use memory_testkit::{
    HashEmbedder, HookedStore, InMemorySharedCache, InMemoryStore, StoreCall, StoreHooks,
    StoreOperation,
};

use crate::fixture::{item, mira};

const MILL: &str = "the mill burned down";
const FERRY: &str = "the ferry runs again";

fn first_model() -> HashEmbedder {
    HashEmbedder::new()
}

fn second_model() -> HashEmbedder {
    HashEmbedder::new().with_dimensions(48)
}

/// A system of a process, on a store that others use as well.
fn engine(store: &InMemoryStore, model: &HashEmbedder, cache: &InMemorySharedCache) -> Engine {
    Engine::builder(MokaBackend)
        .shared_cache(Arc::new(cache.connect()))
        .build(Arc::new(store.clone()), Arc::new(model.clone()))
        .unwrap()
}

async fn retain(engine: &Engine, contents: &[&str]) {
    let items = contents.iter().map(|content| item(content)).collect();
    engine.retain_batch(items).await.unwrap();
}

async fn id_of(store: &InMemoryStore, content: &str) -> MemoryId {
    let page = store.list(&mira(), &ListRequest::new(1_000)).await.unwrap();
    let found = page.memories.iter().find(|it| it.content == content);
    found.unwrap().id
}

async fn counts(store: &InMemoryStore, entity: &EntityId) -> BTreeMap<Fingerprint, u64> {
    store.count_by_model(entity).await.unwrap()
}

fn only(model: &HashEmbedder, memories: u64) -> BTreeMap<Fingerprint, u64> {
    BTreeMap::from([(model.profile().fingerprint.clone(), memories)])
}

/// The model, which does something before it embeds its first batch of passages, when
/// they were read and are not written yet.
fn meanwhile<F>(model: HashEmbedder, does: impl Fn() -> F + Send + Sync + 'static) -> HashEmbedder
where
    F: Future<Output = ()> + Send + 'static,
{
    let is_first = Arc::new(AtomicBool::new(true));
    model.with_hook(move |texts| {
        let once = texts > 1 && is_first.swap(false, Ordering::SeqCst);
        let done = once.then(&does);
        async move {
            if let Some(done) = done {
                done.await;
            }
            Ok(())
        }
    })
}

/// How many texts retaining a content embeds: none where its vector is cached.
async fn embedded_for(engine: &Engine, model: &HashEmbedder, content: &str) -> u64 {
    let before = model.texts();
    retain(engine, &[content]).await;
    model.texts() - before
}

#[tokio::test]
async fn what_is_forgotten_while_it_is_embedded_leaves_no_vector() {
    let (store, cache) = (InMemoryStore::new(), InMemorySharedCache::new());
    let first = engine(&store, &first_model(), &cache);
    retain(&first, &[MILL, FERRY]).await;
    let id = id_of(&store, MILL).await;
    let model = meanwhile(second_model(), move || {
        let first = first.clone();
        async move {
            first.forget(&mira(), &id).await.unwrap();
        }
    });
    let second = engine(&store, &model, &cache);
    let report = second.reembed(&mira(), &ReembedRequest::new()).await;
    let report = report.unwrap();
    assert_eq!((report.reembedded, report.changed), (1, 1), "{report:?}");
    assert!(report.is_complete, "{report:?}");
    assert_eq!(counts(&store, &mira()).await, only(&model, 1));
    assert_eq!(embedded_for(&second, &model, FERRY).await, 0, "it is kept");
    assert_eq!(embedded_for(&second, &model, MILL).await, 1);
    // Neither in the cache that processes share: another one has its own tiers.
    second
        .forget(&mira(), &id_of(&store, MILL).await)
        .await
        .unwrap();
    let other = second_model();
    let third = engine(&store, &other, &cache);
    assert_eq!(embedded_for(&third, &other, FERRY).await, 0, "it is shared");
    assert_eq!(embedded_for(&third, &other, MILL).await, 1);
}

#[tokio::test]
async fn forgetting_drops_the_vectors_that_the_previous_model_shares() {
    let (store, cache) = (InMemoryStore::new(), InMemorySharedCache::new());
    retain(&engine(&store, &first_model(), &cache), &[MILL, FERRY]).await;
    let second = Engine::builder(MokaBackend)
        .shared_cache(Arc::new(cache.connect()))
        .previous_embedder(Arc::new(first_model()))
        .build(Arc::new(store.clone()), Arc::new(second_model()))
        .unwrap();
    let id = id_of(&store, MILL).await;
    second.forget(&mira(), &id).await.unwrap();
    let model = first_model();
    let other = engine(&store, &model, &cache);
    assert_eq!(embedded_for(&other, &model, FERRY).await, 0, "it is shared");
    assert_eq!(embedded_for(&other, &model, MILL).await, 1);
}

#[tokio::test]
async fn what_is_altered_while_it_is_embedded_has_vectors_of_its_new_content() {
    let (store, cache) = (InMemoryStore::new(), InMemorySharedCache::new());
    let first = engine(&store, &first_model(), &cache);
    retain(&first, &[MILL, FERRY]).await;
    let id = id_of(&store, MILL).await;
    let model = meanwhile(second_model(), move || {
        let first = first.clone();
        async move {
            let patch = MemoryPatch::new().content("bread is expensive");
            first.alter_memory(&mira(), &id, &patch).await.unwrap();
        }
    });
    let second = engine(&store, &model, &cache);
    let report = second.reembed(&mira(), &ReembedRequest::new()).await;
    let report = report.unwrap();
    assert!(report.is_complete && report.changed == 1, "{report:?}");
    assert_eq!(counts(&store, &mira()).await, only(&model, 2));
    let request = RecallRequest::new("bread is expensive");
    let found = second.recall_report(&mira(), &request).await.unwrap();
    assert_eq!(found.hits[0].memory.id, id);
    assert!(found.hits[0].similarity > Some(0.99) && found.without_vectors == 0);
    assert_eq!(embedded_for(&second, &model, MILL).await, 1, "not cached");
}

#[tokio::test]
async fn what_is_consolidated_and_undone_meanwhile_is_embedded_as_well() {
    let (store, cache) = (InMemoryStore::new(), InMemorySharedCache::new());
    let first = engine(&store, &first_model(), &cache);
    retain(&first, &[MILL, MILL, FERRY]).await;
    let model = meanwhile(second_model(), {
        let first = first.clone();
        move || {
            let first = first.clone();
            async move {
                let request = ConsolidateRequest::new();
                let report = first.consolidate(&mira(), &request).await.unwrap();
                assert_eq!(report.summaries.len(), 1);
            }
        }
    });
    let second = engine(&store, &model, &cache);
    let keep = ReembedRequest::new().keep_others(true);
    let report = second.reembed(&mira(), &keep).await.unwrap();
    assert!(report.is_complete && report.changed == 2, "{report:?}");
    let both = counts(&store, &mira()).await;
    assert_eq!(both.into_values().collect::<Vec<_>>(), [4, 4]);

    // The sources are live again, with the vectors of both models.
    let page = store.list(&mira(), &ListRequest::new(10)).await.unwrap();
    let summary = page.memories.iter().find(|it| it.content != FERRY).unwrap();
    let undone = first.undo_consolidation(&mira(), &summary.id).await;
    assert_eq!(undone.unwrap().len(), 2);
    let report = second.reembed(&mira(), &ReembedRequest::new()).await;
    let report = report.unwrap();
    assert_eq!((report.reembedded, report.cleared), (0, 3), "{report:?}");
    assert_eq!(counts(&store, &mira()).await, only(&model, 3));
}

/// As many memories as several pages have, and two of another entity.
async fn many(store: &InMemoryStore) -> u64 {
    let first = engine(store, &first_model(), &InMemorySharedCache::new());
    let contents: Vec<String> = (0..450).map(|n| format!("distinct memory {n}")).collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    retain(&first, &contents).await;
    let bran = |n: usize| MemoryBatchItem::new("bran", MemoryKind::World, contents[n]);
    first.retain_batch(vec![bran(0), bran(1)]).await.unwrap();
    450
}

async fn is_whole(store: &InMemoryStore, total: u64) -> bool {
    let counts = counts(store, &mira()).await;
    counts.values().any(|count| *count == total)
}

#[tokio::test]
async fn two_runs_at_once_complete_the_entity_and_touch_no_other() {
    let store = InMemoryStore::new();
    let total = many(&store).await;
    let cache = InMemorySharedCache::new();
    let runs = [(); 2].map(|()| engine(&store, &second_model(), &cache));
    let run = |engine: Engine| async move {
        let request = ReembedRequest::new();
        let mut steps = engine.start_reembed(mira(), request);
        let mut last = ReembedReport::default();
        while let Some(report) = steps.next().await.unwrap() {
            tokio::task::yield_now().await;
            last = report;
        }
        last
    };
    let [one, other] = runs.map(|engine| tokio::spawn(run(engine)));
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert!(one.is_complete && other.is_complete, "{one:?} {other:?}");
    assert_eq!(counts(&store, &mira()).await, only(&second_model(), total));
    assert_eq!(one.cleared + other.cleared, total, "each is cleared once");
    let bran = EntityId::from("bran");
    assert_eq!(counts(&store, &bran).await, only(&first_model(), 2));
}

#[tokio::test]
async fn cut_off_after_any_step_one_of_the_models_has_every_memory() {
    for steps_done in 0..10 {
        let store = InMemoryStore::new();
        let total = many(&store).await;
        let cache = InMemorySharedCache::new();
        let begun = engine(&store, &second_model(), &cache);
        let mut steps = begun.start_reembed(mira(), ReembedRequest::new());
        for _ in 0..steps_done {
            steps.next().await.unwrap();
        }
        drop(steps);
        assert!(is_whole(&store, total).await, "after {steps_done} steps");
        let next = engine(&store, &second_model(), &cache);
        let report = next.reembed(&mira(), &ReembedRequest::new()).await;
        assert!(report.unwrap().is_complete, "after {steps_done} steps");
        assert_eq!(counts(&store, &mira()).await, only(&second_model(), total));
    }
}

/// Every second list and every second removal of vectors fails, and of every second
/// write of vectors the answer is lost.
#[derive(Debug, Default)]
struct Unreliable {
    lists: AtomicBool,
    removals: AtomicBool,
    writes: AtomicBool,
}

#[async_trait]
impl StoreHooks for Unreliable {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        match call.operation {
            StoreOperation::List => fail_every_second(&self.lists),
            StoreOperation::RemoveOtherVectors => fail_every_second(&self.removals),
            _ => Ok(()),
        }
    }

    async fn after(&self, call: StoreCall<'_>, _: Result<(), &MemoryError>) -> MemoryResult<()> {
        match call.operation {
            StoreOperation::ReplaceVectors => fail_every_second(&self.writes),
            _ => Ok(()),
        }
    }
}

fn fail_every_second(succeeds: &AtomicBool) -> MemoryResult<()> {
    if succeeds.fetch_xor(true, Ordering::SeqCst) {
        return Ok(());
    }
    let kind = ErrorKind::OutcomeUnknown;
    Err(MemoryError::store(kind, "test", "the connection was lost"))
}

#[tokio::test]
async fn a_step_that_failed_is_done_again_by_the_next_call() {
    let store = InMemoryStore::new();
    let total = many(&store).await;
    let unreliable = HookedStore::new(Arc::new(store.clone()), Arc::<Unreliable>::default());
    let engine = Engine::builder(MokaBackend)
        .build(Arc::new(unreliable), Arc::new(second_model()))
        .unwrap();
    let mut steps = engine.start_reembed(mira(), ReembedRequest::new());
    let (mut last, mut failed) = (ReembedReport::default(), 0);
    loop {
        match steps.next().await {
            Ok(Some(report)) => last = report,
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
                failed += 1;
            }
        }
        assert!(is_whole(&store, total).await, "{last:?}");
    }
    assert!(failed > 3, "{failed}");
    assert!(last.is_complete, "{last:?}");
    assert_eq!(counts(&store, &mira()).await, only(&second_model(), total));
}

/// Counts lists; the answer to the first write of vectors is lost.
#[derive(Debug, Default)]
struct FirstAnswerLost {
    lists: AtomicU64,
    is_lost: AtomicBool,
}

#[async_trait]
impl StoreHooks for FirstAnswerLost {
    async fn after(&self, call: StoreCall<'_>, _: Result<(), &MemoryError>) -> MemoryResult<()> {
        match call.operation {
            StoreOperation::List => {
                self.lists.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
            StoreOperation::ReplaceVectors if !self.is_lost.swap(true, Ordering::SeqCst) => {
                let kind = ErrorKind::OutcomeUnknown;
                Err(MemoryError::store(kind, "test", "the connection was lost"))
            }
            _ => Ok(()),
        }
    }
}

/// What the repeated step finds has vectors, so that no further pass is needed.
#[tokio::test]
async fn a_page_that_is_read_again_is_counted_once() {
    let store = InMemoryStore::new();
    let cache = InMemorySharedCache::new();
    retain(&engine(&store, &first_model(), &cache), &[MILL, FERRY]).await;
    let hooks = Arc::new(FirstAnswerLost::default());
    let hooked = HookedStore::new(Arc::new(store.clone()), Arc::clone(&hooks) as _);
    let engine = Engine::builder(MokaBackend)
        .build(Arc::new(hooked), Arc::new(second_model()))
        .unwrap();
    let mut steps = engine.start_reembed(mira(), ReembedRequest::new());
    let lost = steps.next().await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::OutcomeUnknown);
    let mut last = ReembedReport::default();
    while let Some(report) = steps.next().await.unwrap() {
        last = report;
    }
    assert!(last.is_complete, "{last:?}");
    assert_eq!(counts(&store, &mira()).await, only(&second_model(), 2));
    let lists = hooks.lists.load(Ordering::SeqCst);
    assert_eq!(
        lists, 5,
        "the first page twice, then the archived, and both to clean up"
    );
}
