//! Loads from pages that the store keeps: they change nothing that is recalled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{
    AccessCounting, AccessUpdate, Language, ManualClock, MemoryBatchItem, MemoryConfig,
    MemoryError, MemoryId, MemoryPatch, MemoryResult, Store,
};
use memory_engine::{Engine, RecallPath, RecallRequest};
use memory_moka::MokaBackend;
use memory_testkit::{
    HashEmbedder, HookedStore, InMemoryStore, SeededRng, StoreCall, StoreHooks, StoreOperation,
};

use crate::fixture::{item, mira};

/// The reference store keeps pages of 8 memories: 37 complete ones.
const MEMORIES: usize = 300;
const PAGES: u64 = 37;

/// Pages that the engine writes in one call.
const PAGES_PER_WRITE: u64 = 8;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// Counts the writes of pages.
#[derive(Debug, Default)]
struct Writes(AtomicU64);

#[async_trait]
impl StoreHooks for Writes {
    async fn after(&self, call: StoreCall<'_>, _: Result<(), &MemoryError>) -> MemoryResult<()> {
        if call.operation == StoreOperation::WriteSnapshotPages {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

struct System {
    engine: Engine,
    store: InMemoryStore,
    writes: Arc<Writes>,
}

impl System {
    fn new(store: InMemoryStore) -> Self {
        Self::with_language(store, None)
    }

    fn with_language(store: InMemoryStore, language: Option<Language>) -> Self {
        let writes = Arc::new(Writes::default());
        let hooks = Arc::clone(&writes) as Arc<dyn StoreHooks>;
        let hooked = HookedStore::new(Arc::new(store.clone()), hooks);
        let config = MemoryConfig {
            access_counting: AccessCounting::Off,
            language,
            ..MemoryConfig::default()
        };
        let engine = Engine::builder(MokaBackend)
            .config(config)
            .clock(Arc::new(ManualClock::new(now())))
            .build(Arc::new(hooked), Arc::new(HashEmbedder::new()))
            .unwrap();
        Self {
            engine,
            store,
            writes,
        }
    }

    /// Loads the entity, and returns what questions find, with every score.
    async fn load_and_recall(&self) -> Vec<String> {
        let questions = ["the mill by the river", "who sold horse 42?", "Tam in May"];
        self.load_and_ask(&questions).await
    }

    async fn load_and_ask(&self, questions: &[&str]) -> Vec<String> {
        self.engine.clear_all_caches();
        let mut found = Vec::new();
        // The first recall is the store's, the others are the snapshot's.
        for question in questions.iter().take(1).chain(questions) {
            let request = RecallRequest::new(*question).limit(MEMORIES);
            let hits = self.engine.recall(&mira(), &request).await.unwrap();
            found.push(format!("{hits:?}"));
        }
        found.split_off(1)
    }

    /// What answers a recall.
    async fn path(&self) -> RecallPath {
        let request = RecallRequest::new("which number?");
        let hits = self.engine.recall(&mira(), &request).await.unwrap();
        hits[0].explanation.path
    }

    /// Waits until pages were written so often.
    async fn wait_for_writes(&self, expected: u64) {
        for _ in 0..2_000 {
            if self.writes.0.load(Ordering::SeqCst) >= expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(self.writes.0.load(Ordering::SeqCst), expected);
    }
}

fn items() -> Vec<MemoryBatchItem> {
    const WORDS: [&str; 8] = [
        "mill", "river", "horse", "sold", "market", "May", "bridge", "not",
    ];
    let mut rng = SeededRng::new(3);
    let mut ids: Vec<MemoryId> = (0..MEMORIES).map(|_| rng.id()).collect();
    ids.sort_unstable();
    let items = ids.into_iter().enumerate().map(|(number, id)| {
        let words: Vec<&str> = (0..9).map(|_| *rng.pick(&WORDS)).collect();
        let minutes = i64::try_from(number).unwrap();
        item(&format!("{} {number}", words.join(" ")))
            .with_id(id)
            .with_timestamp(now() - TimeDelta::minutes(minutes))
            .with_context(format!("day {}", number / 10))
            .with_tag(WORDS[number % 8])
            .with_entity("Tam", "seller")
    });
    items.collect()
}

#[tokio::test]
async fn what_is_recalled_is_the_same_with_pages_and_without() {
    let with = System::new(InMemoryStore::with_snapshot_pages());
    let without = System::new(InMemoryStore::new());
    for system in [&with, &without] {
        system.engine.retain_batch(items()).await.unwrap();
    }
    let expected = without.load_and_recall().await;
    assert_eq!(with.load_and_recall().await, expected, "pages are made");
    let writes = PAGES.div_ceil(PAGES_PER_WRITE);
    with.wait_for_writes(writes).await;
    assert_eq!(with.load_and_recall().await, expected, "from pages");

    let ids: Vec<MemoryId> = items().iter().filter_map(|item| item.id).collect();
    for system in [&with, &without] {
        let (engine, store) = (&system.engine, &system.store);
        let accesses = [3, 40, 299].map(|number: usize| {
            let last = now() - TimeDelta::hours(1);
            AccessUpdate::new(mira(), ids[number], 5 + number as u64, last)
        });
        store
            .record_accesses(&accesses, Duration::ZERO)
            .await
            .unwrap();
        engine.delete_memory(&mira(), &ids[17]).await.unwrap();
        let patch = MemoryPatch::new().content("Tam did not sell the horse in May");
        let altered = engine.alter_memory(&mira(), &ids[100], &patch).await;
        altered.unwrap();
    }
    let changed = without.load_and_recall().await;
    assert_ne!(changed, expected);
    assert!(changed.iter().any(|hits| hits.contains("access_count: 8")));
    assert_eq!(with.load_and_recall().await, changed, "pages and others");
    with.wait_for_writes(writes + 1).await;
    assert_eq!(with.load_and_recall().await, changed, "all from pages");
    with.wait_for_writes(writes + 1).await;
    assert_eq!(without.writes.0.load(Ordering::SeqCst), 0);
}

/// Two languages have different stems of the same texts: what one made is of no use to
/// the other, and each replaces the other's pages.
#[tokio::test]
async fn pages_of_another_language_are_not_read() {
    // Without a function word, so that no language is detected.
    let memories = || {
        let numbered = items().into_iter().zip(0..);
        let german = numbered.map(|(mut item, number)| {
            item.content = format!("Katzen füttern {number}");
            item
        });
        german.collect::<Vec<_>>()
    };
    let german = Some(Language::German);
    let [plain, stemmed] = [None, german].map(|language| async move {
        let system = System::with_language(InMemoryStore::new(), language);
        system.engine.retain_batch(memories()).await.unwrap();
        system.load_and_ask(&["Katze"]).await
    });
    let (plain, stemmed) = (plain.await, stemmed.await);
    assert_ne!(plain, stemmed);

    let store = InMemoryStore::with_snapshot_pages();
    let one = System::new(store.clone());
    one.engine.retain_batch(memories()).await.unwrap();
    let other = System::with_language(store, german);
    let writes = PAGES.div_ceil(PAGES_PER_WRITE);
    for round in 1..=2 {
        assert_eq!(one.load_and_ask(&["Katze"]).await, plain, "round {round}");
        one.wait_for_writes(round * writes).await;
        assert_eq!(one.load_and_ask(&["Katze"]).await, plain, "from pages");
        one.wait_for_writes(round * writes).await;
        let found = other.load_and_ask(&["Katze"]).await;
        assert_eq!(found, stemmed, "round {round}");
        other.wait_for_writes(round * writes).await;
    }
}

/// A load from pages takes no longer than a search of the store.
#[tokio::test]
async fn the_first_recall_waits_for_a_load_from_pages() {
    // More than any recall waits for without pages.
    const LARGE: usize = 600;
    let store = InMemoryStore::with_snapshot_pages();
    let first = System::new(store.clone());
    let items = (0..LARGE).map(|number| item(&format!("memory number {number}")));
    let ids = first.engine.retain_batch(items.collect()).await.unwrap();
    assert_eq!(first.path().await, RecallPath::Store, "no pages");
    assert_eq!(first.path().await, RecallPath::Store, "no pages");
    first
        .wait_for_writes((LARGE as u64 / 8).div_ceil(PAGES_PER_WRITE))
        .await;

    let second = System::new(store.clone());
    assert_eq!(second.path().await, RecallPath::Snapshot);
    let other = System::with_language(store.clone(), Some(Language::German));
    assert_eq!(other.path().await, RecallPath::Store, "no pages of it");

    // One memory of each page.
    for ids in ids.chunks(8) {
        second.engine.delete_memory(&mira(), &ids[0]).await.unwrap();
    }
    let third = System::new(store);
    assert_eq!(third.path().await, RecallPath::Store, "no pages left");
}
