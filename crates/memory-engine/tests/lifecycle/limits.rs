//! Limits on memories per entity, eviction and pruning.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{
    EmbedRole, Embedder, EmbedderProfile, ErrorKind, LimitPolicy, ListScope, MemoryConfig,
    MemoryError, MemoryFilter, MemoryId, MemoryPatch, MemoryResult,
};
use memory_engine::{ConsolidateRequest, Engine};
use memory_moka::MokaBackend;
use memory_testkit::{
    HashEmbedder, HookedStore, InMemoryStore, SeededRng, StoreCall, StoreHooks, StoreOperation,
};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::fixture::{
    Fixture, Interleaving, Lists, days_ago, fixture, fixture_on, fixture_with, item, mira,
};

fn limited(max: u64, limit_policy: LimitPolicy, prune_min_keep: u64) -> Fixture {
    let config = MemoryConfig {
        max_memories_per_entity: Some(max),
        limit_policy,
        prune_min_keep,
        ..MemoryConfig::default()
    };
    fixture_with(config, None)
}

async fn live(b: &Fixture) -> u64 {
    b.engine.entity_stats(&mira()).await.unwrap().memory_count
}

#[tokio::test]
async fn a_full_entity_refuses_and_names_its_limit() {
    let b = limited(3, LimitPolicy::Reject, 0);
    let id = MemoryId::new();
    b.retain(vec![item("a").with_id(id), item("b")]).await;
    let batch = vec![item("c"), item("d")];
    let error = b.engine.retain_batch(batch).await.unwrap_err();
    assert!(matches!(
        error,
        MemoryError::LimitReached {
            count: 4,
            max: 3,
            ..
        }
    ));
    assert_eq!((error.kind(), live(&b).await), (ErrorKind::LimitReached, 2));
    b.retain(vec![item("c")]).await;
    // Existing memories do not count again; another entity has its own limit.
    b.retain(vec![item("a").with_id(id)]).await;
    let mut other = item("z");
    other.entity_id = "tam".into();
    b.retain(vec![other]).await;
    assert_eq!(live(&b).await, 3);
    assert_eq!(b.recall("c").await.len(), 3, "the refusal changed no tier");
}

#[tokio::test]
async fn the_least_important_memories_are_evicted() {
    let b = limited(4, LimitPolicy::Prune, 1);
    b.retain(vec![
        item("weighty").with_importance(0.9),
        item("faded")
            .with_importance(0.9)
            .with_timestamp(days_ago(400)),
        item("slight").with_importance(0.1),
        item("usual"),
    ])
    .await;
    assert_eq!(b.recall("usual").await.len(), 4);
    b.retain(vec![item("new one"), item("new two")]).await;
    let mut left = b.recall("new").await;
    left.sort();
    assert_eq!(left, ["new one", "new two", "usual", "weighty"]);
    // The vectors of evicted memories are gone from the embedding tier.
    let before = b.embedder.texts();
    let texts = ["faded", "usual"].map(String::from);
    b.engine.generate_embeddings_batch(&texts).await.unwrap();
    assert_eq!(
        b.embedder.texts(),
        before + 1,
        "only evicted memories are embedded again"
    );
}

#[tokio::test]
async fn eviction_keeps_a_minimum() {
    let b = limited(5, LimitPolicy::Prune, 3);
    b.retain((0..5).map(|n| item(&format!("old {n}"))).collect())
        .await;
    let three = || (0..3).map(|n| item(&format!("new {n}"))).collect();
    let error = b.engine.retain_batch(three()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    b.retain(vec![item("new a"), item("new b")]).await;
    let contents = b.recall("old new").await;
    let old = contents.iter().filter(|content| content.starts_with("old"));
    assert_eq!((contents.len(), old.count()), (5, 3));
}

#[tokio::test]
async fn a_summary_is_evicted_with_its_sources() {
    let b = limited(4, LimitPolicy::Prune, 0);
    let text = "the ferry left the old harbour at dawn";
    b.retain((0..4).map(|_| item(text).with_importance(0.05)).collect())
        .await;
    let request = ConsolidateRequest::new();
    let done = b.engine.consolidate(&mira(), &request).await.unwrap();
    assert_eq!(done.summaries[0].sources.len(), 4);
    assert_eq!(live(&b).await, 1);
    b.retain(vec![item("a"), item("b"), item("c"), item("d")])
        .await;
    let stats = b.engine.entity_stats(&mira()).await.unwrap();
    assert_eq!((stats.memory_count, stats.archived_count), (4, 0));
    assert!(!b.recall("ferry").await.contains(&text.to_owned()));
}

async fn sixteen_writers(policy: LimitPolicy) -> (Fixture, usize) {
    const MAX: u64 = 20;
    let b = limited(MAX, policy, 2);
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let engine = b.engine.clone();
            tokio::spawn(async move {
                let mut written = 0;
                for n in 0..10 {
                    let batch = vec![
                        item(&format!("writer {writer} says {n}")),
                        item(&format!("writer {writer} adds {n}")),
                    ];
                    match engine.retain_batch(batch).await {
                        Ok(_) => written += 2,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::LimitReached),
                    }
                    let stats = engine.entity_stats(&mira()).await.unwrap();
                    assert!(stats.memory_count <= MAX, "{stats:?}");
                }
                written
            })
        })
        .collect();
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    assert_eq!(live(&b).await, MAX);
    let found = b.recall("writer says").await;
    assert_eq!(found.len() as u64, MAX, "the tiers match the store");
    (b, written)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_is_exact_under_sixteen_writers() {
    let (_, written) = sixteen_writers(LimitPolicy::Reject).await;
    assert_eq!(written, 20, "exactly what fits was written");
    let (_, written) = sixteen_writers(LimitPolicy::Prune).await;
    assert_eq!(written, 320, "no write was refused");
}

/// Two systems on one store do not share locks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_two_systems_evict_concurrently() {
    let a = limited(10, LimitPolicy::Prune, 2);
    let config = MemoryConfig {
        max_memories_per_entity: Some(10),
        limit_policy: LimitPolicy::Prune,
        prune_min_keep: 2,
        ..MemoryConfig::default()
    };
    let b = fixture_on(Arc::clone(&a.store), config, None);
    let write = |engine: memory_engine::Engine, name: &'static str| {
        tokio::spawn(async move {
            for n in 0..40 {
                let batch = vec![item(&format!("{name} {n}"))];
                engine.retain_batch(batch).await.unwrap();
            }
        })
    };
    let tasks = [
        write(a.engine.clone(), "a"),
        write(b.engine.clone(), "b"),
        write(a.engine.clone(), "c"),
        write(b.engine.clone(), "d"),
    ];
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(live(&a).await, 10);
}

/// Reading all memories serves many evictions, and each evicts what an order of all would,
/// whatever was written and removed meanwhile, also by another system.
#[tokio::test]
async fn evictions_in_turn_read_few_memories_and_evict_the_least_important() {
    const MAX: usize = 320;
    let config = MemoryConfig {
        max_memories_per_entity: Some(MAX as u64),
        limit_policy: LimitPolicy::Prune,
        ..MemoryConfig::default()
    };
    let store = Arc::new(InMemoryStore::new());
    let lists = Arc::new(Lists::default());
    let hooks = Arc::clone(&lists) as Arc<dyn StoreHooks>;
    let hooked = HookedStore::new(Arc::clone(&store) as _, hooks);
    let b = fixture_on(Arc::new(hooked), config, None);
    let other = fixture_on(store, MemoryConfig::default(), None);
    let mut rng = SeededRng::new(7);
    let mut importance = move || f32::from(u16::try_from(rng.below(10_000)).unwrap()) / 10_000.0;
    let mut live: Vec<(f32, MemoryId)> = Vec::new();
    let items: Vec<f32> = (0..MAX).map(|_| importance()).collect();
    let ids = b
        .retain(
            items
                .iter()
                .map(|it| item("x").with_importance(*it))
                .collect(),
        )
        .await;
    live.extend(items.into_iter().zip(ids));
    for round in 0..100 {
        let evicted = live.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0));
        let (_, evicted) = evicted.unwrap();
        let new = importance();
        let ids = b.retain(vec![item("y").with_importance(new)]).await;
        live.retain(|(_, id)| *id != evicted);
        live.push((new, ids[0]));
        let error = b.engine.get_memory(&mira(), &evicted).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "round {round}");
        if round % 10 == 3 {
            let changed = &mut live[round];
            changed.0 = 0.00001;
            let patch = MemoryPatch::new().importance(changed.0);
            let engine = &other.engine;
            engine
                .alter_memory(&mira(), &changed.1, &patch)
                .await
                .unwrap();
        }
    }
    assert_eq!(self::live(&b).await, MAX as u64);
    let reads = lists.0.load(Ordering::SeqCst);
    assert!((1..20).contains(&reads), "{reads} reads of all memories");
}

/// So many that some wait for the same one of 64 locks.
const OTHERS: u64 = 600;

/// Counts removals. With the first one, other entities are written to, of which some wait for
/// the same lock.
#[derive(Debug, Default)]
struct Removals {
    removals: AtomicU64,
    lists: AtomicU64,
    engine: OnceLock<Engine>,
    /// How many removals there were when each write ended.
    others: Mutex<Vec<JoinHandle<u64>>>,
    this: OnceLock<Weak<Self>>,
}

impl Removals {
    fn write_to(&self, n: u64) -> JoinHandle<u64> {
        let this = self.this.get().unwrap().upgrade().unwrap();
        tokio::spawn(async move {
            let mut new = item("new");
            new.entity_id = format!("entity {n}").into();
            let engine = this.engine.get().unwrap();
            engine.retain_batch(vec![new]).await.unwrap();
            this.removals.load(Ordering::SeqCst)
        })
    }
}

#[async_trait]
impl StoreHooks for Removals {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        match call.operation {
            StoreOperation::List => {
                self.lists.fetch_add(1, Ordering::SeqCst);
            }
            StoreOperation::Delete => {
                if self.removals.fetch_add(1, Ordering::SeqCst) == 0 {
                    let writes = (0..OTHERS).map(|n| self.write_to(n));
                    self.others.lock().unwrap().extend(writes);
                }
                // The others get as far as they can.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            _ => {}
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_lower_limit_evicts_in_batches_between_which_others_write() {
    let config = MemoryConfig {
        max_memories_per_entity: Some(600),
        limit_policy: LimitPolicy::Prune,
        ..MemoryConfig::default()
    };
    let store = Arc::new(InMemoryStore::new());
    let removals = Arc::new(Removals::default());
    removals.this.set(Arc::downgrade(&removals)).unwrap();
    let hooks = Arc::clone(&removals) as Arc<dyn StoreHooks>;
    let hooked = HookedStore::new(Arc::clone(&store) as _, hooks);
    let b = fixture_on(Arc::new(hooked), config, None);
    removals.engine.set(b.engine.clone()).unwrap();

    let unlimited = fixture_on(store, MemoryConfig::default(), None);
    let same = (0..3).map(|_| item("the ferry left").with_importance(0.0001));
    unlimited.retain(same.collect()).await;
    let request = ConsolidateRequest::new();
    unlimited
        .engine
        .consolidate(&mira(), &request)
        .await
        .unwrap();
    let importance = |n: u16| f32::from(n + 100) / 10_000.0;
    let items = (0..2_600).map(|n| item(&format!("{n}")).with_importance(importance(n)));
    unlimited.retain(items.collect()).await;

    b.retain(vec![item("new")]).await;
    let stats = b.engine.entity_stats(&mira()).await.unwrap();
    assert_eq!((stats.memory_count, stats.archived_count), (600, 0));
    let left = b.all(ListScope::Live).await;
    let is_kept = |it: &f32| *it > importance(2_000);
    let kept = left.iter().map(|memory| memory.importance).filter(is_kept);
    assert_eq!(
        kept.count(),
        600,
        "those of the lowest importance are evicted"
    );
    let total = removals.removals.load(Ordering::SeqCst);
    assert!((4..8).contains(&total), "{total} transactions");
    let lists = removals.lists.load(Ordering::SeqCst);
    assert!(lists < 20, "{lists} pages were read");
    let others = std::mem::take(&mut *removals.others.lock().unwrap());
    assert_eq!(others.len() as u64, OTHERS);
    for other in others {
        assert!(other.await.unwrap() < total, "it waited for all evictions");
    }
}

#[tokio::test]
async fn faded_memories_are_pruned_down_to_a_minimum() {
    let b = fixture();
    b.retain(vec![
        item("fresh"),
        item("faded").with_timestamp(days_ago(200)),
        item("faint").with_timestamp(days_ago(300)),
        item("old and weighty")
            .with_importance(1.0)
            .with_timestamp(days_ago(200)),
    ])
    .await;
    let keep_all = b.engine.prune_low_importance_memories(&mira(), 4).await;
    assert!(keep_all.unwrap().is_empty());
    let one = b
        .engine
        .prune_low_importance_memories(&mira(), 3)
        .await
        .unwrap();
    assert_eq!(one.len(), 1);
    assert!(
        !b.recall("faint").await.contains(&"faint".to_owned()),
        "the faintest first"
    );
    let rest = b
        .engine
        .prune_low_importance_memories(&mira(), 0)
        .await
        .unwrap();
    assert_eq!(rest.len(), 1);
    let left = b.engine.count_memories(&mira(), &MemoryFilter::new()).await;
    assert_eq!(left.unwrap(), 2, "unfaded memories stay");
    assert!(b.all(ListScope::Archived).await.is_empty());
}

/// An acknowledged change after the scan counts, and so does what others removed.
#[tokio::test]
async fn what_is_no_longer_faded_is_not_pruned() {
    let faded = |n: i64| item(&format!("faded {n}")).with_timestamp(days_ago(200 + n));
    let (hooks, b, other) = Interleaving::fixtures(&MemoryConfig::default());
    let ids = b.retain((0..4).map(faded).collect()).await;
    let (altered, deleted) = (ids[3], ids[0]);
    hooks.after(StoreOperation::List, async move {
        let patch = MemoryPatch::new().importance(1.0);
        let changed = other.engine.alter_memory(&mira(), &altered, &patch).await;
        changed.unwrap();
        let removed = other.engine.delete_memory(&mira(), &deleted).await;
        removed.unwrap();
    });
    let pruned = b.engine.prune_low_importance_memories(&mira(), 2).await;
    assert_eq!(pruned.unwrap().len(), 1, "three were left");
    let left = b.all(ListScope::Live).await;
    assert_eq!(left.len(), 2);
    assert!(left.iter().any(|memory| memory.id == altered));
}

/// An embedder of which one call to split texts takes a while.
#[derive(Debug, Default)]
struct BusyEmbedder {
    inner: HashEmbedder,
    is_next_slow: AtomicBool,
    reached: Notify,
    released: Notify,
}

#[async_trait]
impl Embedder for BusyEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        self.inner.profile()
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        self.inner.embed(texts, role).await
    }

    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        if self.is_next_slow.swap(false, Ordering::SeqCst) {
            self.reached.notify_one();
            self.released.notified().await;
        }
        self.inner.chunk(texts).await
    }
}

/// What a prune removes leaves the tiers through the embedder, which may be busy.
#[tokio::test]
async fn no_writer_waits_for_the_embedder_of_a_prune() {
    let embedder = Arc::new(BusyEmbedder::default());
    let config = MemoryConfig {
        max_memories_per_entity: Some(10),
        limit_policy: LimitPolicy::Prune,
        ..MemoryConfig::default()
    };
    let engine = Engine::builder(MokaBackend)
        .config(config)
        .build(
            Arc::new(InMemoryStore::new()),
            Arc::clone(&embedder) as Arc<dyn Embedder>,
        )
        .unwrap();
    let faded = item("faded").with_timestamp(days_ago(200));
    engine.retain_batch(vec![faded]).await.unwrap();
    embedder.is_next_slow.store(true, Ordering::SeqCst);
    let pruning = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.prune_low_importance_memories(&mira(), 0).await })
    };
    embedder.reached.notified().await;
    // Also takes the lock of the entity.
    engine.retain_batch(vec![item("fresh")]).await.unwrap();
    assert!(!pruning.is_finished());
    embedder.released.notify_one();
    assert_eq!(pruning.await.unwrap().unwrap().len(), 1);
}

/// What is pruned may be a summary of memories that came after the prune began.
#[tokio::test]
async fn what_was_archived_during_a_prune_is_removed_with_its_summary() {
    let (hooks, b, other) = Interleaving::fixtures(&MemoryConfig::default());
    let ids = b
        .retain(vec![item("faded").with_timestamp(days_ago(200))])
        .await;
    let faded = ids[0];
    let summary = b.engine.get_memory(&mira(), &faded).await.unwrap();
    let summary = memory_core::Memory::clone(&summary);
    hooks.after(StoreOperation::List, async move {
        other.engine.delete_memory(&mira(), &faded).await.unwrap();
        let sources = other.retain(vec![item("rain"), item("snow")]).await;
        let restored = other.engine.restore_summary(summary.into(), sources).await;
        assert!(restored.unwrap());
    });
    let pruned = b.engine.prune_low_importance_memories(&mira(), 0).await;
    assert_eq!(pruned.unwrap().len(), 3);
    let stats = b.engine.entity_stats(&mira()).await.unwrap();
    assert_eq!((stats.memory_count, stats.archived_count), (0, 0));
}
