//! What stays warm, and what is worth loading.

use std::sync::Arc;

use crate::background_loads::recall_from_snapshot;
use crate::fixture::{StoreGate, fixture, fixture_at, fixture_on, fixture_with, item, mira};
use memory_core::{
    AccessCounting, Consistency, ErrorKind, ListRequest, ManualClock, MemoryBatchItem,
    MemoryConfig, MemoryKind, MemoryPatch,
};
use memory_engine::{RecallPath, RecallRequest};

/// More than an entity whose load a recall waits for.
const LARGE: usize = 1_200;

/// Fewer, and more than an entity that is loaded at first sight.
const MEDIUM: usize = 400;

fn large() -> Vec<MemoryBatchItem> {
    (0..LARGE)
        .map(|n| item(&format!("memory number {n}")))
        .collect()
}

#[tokio::test]
async fn retaining_and_recalling_in_turn_stays_warm() {
    for first in [vec![item("the first day")], large()] {
        let b = fixture();
        b.engine.retain_batch(first).await.unwrap();
        recall_from_snapshot(&b.engine, &mira()).await;
        let before = b.engine.cache_stats().entity;
        let deltas = StoreGate::count(&b.store.deltas);
        for n in 0..100 {
            let content = format!("what happened on day {n}");
            b.engine.retain_batch(vec![item(&content)]).await.unwrap();
            let request = RecallRequest::new(content.as_str());
            let found = b.engine.recall(&mira(), &request).await.unwrap();
            assert_eq!(found[0].memory.content, content);
        }
        let entity = b.engine.cache_stats().entity;
        let (hits, misses) = (entity.hits - before.hits, entity.misses - before.misses);
        assert!(hits >= 95 && misses <= 5, "{hits} hits, {misses} misses");
        assert_eq!(StoreGate::count(&b.store.full_loads), 1);
        assert_eq!(StoreGate::count(&b.store.deltas), deltas);
    }
}

#[tokio::test]
async fn the_generation_of_a_warm_entity_costs_no_read() {
    let b = fixture();
    let generation = async || b.engine.entity_generation(&mira()).await.unwrap();
    b.engine
        .retain_batch(vec![item("a red horse")])
        .await
        .unwrap();
    let cold = generation().await;
    let request = RecallRequest::new("which animals?");
    b.engine.recall(&mira(), &request).await.unwrap();
    let before = b.store.reads();
    assert_eq!(generation().await, cold);
    assert_eq!(b.store.reads(), before);
    b.engine
        .retain_batch(vec![item("a gray mare")])
        .await
        .unwrap();
    let written = generation().await;
    assert!(written > cold);
    let stats = b.engine.entity_stats(&mira()).await.unwrap();
    assert_eq!(written, stats.generation);
    assert!(b.engine.entity_generation(&" ".into()).await.is_err());
}

#[tokio::test]
async fn altering_and_deleting_stay_warm_too() {
    let b = fixture();
    let contents = ["a red horse", "a gray mare", "a black mule"].map(item);
    let ids = b.engine.retain_batch(contents.to_vec()).await.unwrap();
    let recall = async || {
        let request = RecallRequest::new("which animals?");
        b.engine.recall(&mira(), &request).await.unwrap()
    };
    recall().await;
    b.engine.get_memory(&mira(), &ids[0]).await.unwrap();
    let before = b.store.reads();
    let patch = MemoryPatch::new().content("a white horse");
    b.engine
        .alter_memory(&mira(), &ids[0], &patch)
        .await
        .unwrap();
    let patch = MemoryPatch::new().importance(0.75);
    b.engine
        .alter_memory(&mira(), &ids[1], &patch)
        .await
        .unwrap();
    let recalled = recall().await;
    let of = |n: usize| recalled.iter().find(|r| r.memory.id == ids[n]).unwrap();
    assert_eq!(of(0).memory.content, "a white horse");
    assert_eq!(of(1).memory.importance, 0.75);
    assert!(of(1).similarity.is_some(), "its vector is what it was");
    assert_eq!(
        b.engine.get_memory(&mira(), &ids[0]).await.unwrap().content,
        "a white horse"
    );
    assert_eq!(
        b.store.reads() - before,
        1,
        "of the content that was replaced, whose vectors are forgotten"
    );
    b.engine.delete_memory(&mira(), &ids[2]).await.unwrap();
    let loads = StoreGate::count(&b.store.deltas);
    assert_eq!(recall().await.len(), 2);
    assert_eq!(StoreGate::count(&b.store.deltas), loads);
}

#[tokio::test]
async fn a_repeated_list_is_shared_until_its_entity_is_written_to() {
    let b = fixture();
    let contents = ["a red horse", "a gray mare", "a black mule"].map(item);
    b.engine.retain_batch(contents.to_vec()).await.unwrap();
    let list = async |limit| {
        let request = ListRequest::new(limit);
        b.engine.list_memories(&mira(), &request).await.unwrap()
    };
    let first = list(10).await;
    assert_eq!(first.memories.len(), 3);
    for limit in [1, 2, 3] {
        assert_eq!(list(limit).await.memories, first.memories[..limit]);
    }
    let reads = b.store.reads();
    assert!(Arc::ptr_eq(&first, &list(10).await));
    assert_eq!(b.store.reads(), reads);
    list(4).await;
    list(3).await;
    assert_eq!(b.store.reads() - reads, 1, "four pages are kept");
    list(10).await;
    assert_eq!(b.store.reads() - reads, 2, "the one read first is dropped");
    let other = MemoryBatchItem::new("tam", MemoryKind::World, "a brown dog");
    b.engine.retain_batch(vec![other]).await.unwrap();
    let reads = b.store.reads();
    list(10).await;
    assert_eq!(b.store.reads(), reads, "another entity was written to");
    b.engine
        .retain_batch(vec![item("a white cow")])
        .await
        .unwrap();
    for limit in [10, 4, 3] {
        assert_eq!(list(limit).await.memories.len(), limit.min(4));
    }
    assert_eq!(b.store.reads() - reads, 3);
}

/// What a snapshot that followed every write shows, and one that is loaded.
#[tokio::test]
async fn a_snapshot_that_followed_is_what_the_store_would_give() {
    // Counts that are written meanwhile would be in the loaded one only.
    let config = MemoryConfig {
        access_counting: AccessCounting::Off,
        ..MemoryConfig::default()
    };
    // Scores depend on the time.
    let clock = Arc::new(ManualClock::new(chrono::Utc::now()));
    let b = fixture_at(StoreGate::new(), config, clock);
    let ids = b.engine.retain_batch(large()).await.unwrap();
    recall_from_snapshot(&b.engine, &mira()).await;
    for (n, id) in ids.iter().enumerate().take(150) {
        if n % 2 == 0 {
            b.engine.delete_memory(&mira(), id).await.unwrap();
        } else {
            let patch = MemoryPatch::new().content(format!("day {n} at the river"));
            b.engine.alter_memory(&mira(), id, &patch).await.unwrap();
        }
    }
    b.engine
        .retain_batch(vec![item("a bridge over the river")])
        .await
        .unwrap();
    let request = RecallRequest::new("the river on day 7").limit(1_000);
    let scores = async || {
        let recalled = b.engine.recall(&mira(), &request).await.unwrap();
        let mut scores: Vec<_> = recalled
            .iter()
            .map(|r| (r.memory.id, r.score.to_bits(), r.memory.content.clone()))
            .collect();
        scores.sort_unstable();
        scores
    };
    let followed = scores().await;
    assert_eq!(StoreGate::count(&b.store.full_loads), 1, "it was followed");
    b.engine.clear_all_caches();
    recall_from_snapshot(&b.engine, &mira()).await;
    assert_eq!(scores().await, followed);
    assert_eq!(StoreGate::count(&b.store.full_loads), 2);
}

#[tokio::test]
async fn who_comes_once_is_searched_and_who_comes_again_is_loaded() {
    let b = fixture();
    let medium = large()[..MEDIUM].to_vec();
    b.engine.retain_batch(medium).await.unwrap();
    let mut paths = Vec::new();
    for _ in 0..3 {
        let found = b
            .engine
            .recall(&mira(), &RecallRequest::new("memory number 7"))
            .await
            .unwrap();
        assert_eq!(found[0].memory.content, "memory number 7");
        paths.push(found[0].explanation.path);
    }
    use RecallPath::{Snapshot, Store};
    assert_eq!(paths, [Store, Snapshot, Snapshot]);
    assert_eq!(StoreGate::count(&b.store.searches), 1);
    assert_eq!(StoreGate::count(&b.store.full_loads), 1);
}

#[tokio::test]
async fn a_small_entity_is_loaded_at_first_sight() {
    let b = fixture();
    b.engine
        .retain_batch(large()[..200].to_vec())
        .await
        .unwrap();
    b.engine
        .recall(&mira(), &RecallRequest::new("number"))
        .await
        .unwrap();
    assert_eq!(StoreGate::count(&b.store.searches), 0);
    assert_eq!(StoreGate::count(&b.store.full_loads), 1);
}

#[tokio::test]
async fn a_flood_of_passages_leaves_the_questions_warm() {
    let b = fixture_with(MemoryConfig {
        embedding_cache_capacity: 100,
        ..MemoryConfig::default()
    });
    let questions: Vec<String> = (0..40).map(|n| format!("where is horse {n}?")).collect();
    let ask_all = async || {
        for question in &questions {
            b.engine
                .recall(&mira(), &RecallRequest::new(question.as_str()))
                .await
                .unwrap();
        }
    };
    b.engine.retain_batch(vec![item("a stable")]).await.unwrap();
    ask_all().await;
    let flood = (0..2_000)
        .map(|n| MemoryBatchItem::new("tam", MemoryKind::World, format!("unique passage {n}")));
    b.engine.retain_batch(flood.collect()).await.unwrap();
    let embedded = b.embedder.texts();
    ask_all().await;
    assert_eq!(
        b.embedder.texts(),
        embedded,
        "no question was embedded again"
    );
    assert!(b.engine.cache_stats().embedding.entries <= 100);
}

#[tokio::test]
async fn automatic_consolidation_after_a_restart_does_not_read_the_whole_entity() {
    let config = MemoryConfig {
        consolidation_threshold: 100,
        ..MemoryConfig::default()
    };
    let b = fixture_with(config.clone());
    let items = (0..400).map(|n| item(&format!("distinct memory {n}")));
    let mut items: Vec<_> = items.collect();
    items.extend((0..2).map(|_| item("the mill burned down")));
    b.engine.retain_batch(items).await.unwrap();
    let first = b.engine.auto_consolidate_if_needed(&mira()).await.unwrap();
    assert_eq!(first.unwrap().summaries.len(), 1);

    let restarted = fixture_on(Arc::clone(&b.store), config);
    let consolidate = async || restarted.engine.auto_consolidate_if_needed(&mira()).await;
    let full_loads = StoreGate::count(&b.store.full_loads);
    for _ in 0..3 {
        let report = consolidate().await;
        assert_eq!(report.unwrap(), None);
    }
    assert_eq!(StoreGate::count(&b.store.full_loads), full_loads);
    let items = (0..100).map(|n| item(&format!("another memory {n}")));
    restarted
        .engine
        .retain_batch(items.collect())
        .await
        .unwrap();
    assert!(
        consolidate().await.unwrap().is_some(),
        "as many new ones as needed"
    );
}

/// After a restart it is not known that an earlier consolidation found no group,
/// so the next one may be early. It finds what the earlier one found: nothing.
#[tokio::test]
async fn early_automatic_consolidation_writes_nothing() {
    let config = MemoryConfig {
        consolidation_threshold: 100,
        ..MemoryConfig::default()
    };
    let b = fixture_with(config.clone());
    let items = (0..150).map(|n| item(&format!("distinct memory {n}")));
    b.engine.retain_batch(items.collect()).await.unwrap();
    let first = b.engine.auto_consolidate_if_needed(&mira()).await.unwrap();
    assert!(first.unwrap().summaries.is_empty());
    let before = b.engine.entity_stats(&mira()).await.unwrap();

    let restarted = fixture_on(Arc::clone(&b.store), config);
    let early = restarted.engine.auto_consolidate_if_needed(&mira()).await;
    let early = early.unwrap().expect("it is examined once more");
    assert!(early.summaries.is_empty(), "{early:?}");
    let after = restarted.engine.entity_stats(&mira()).await.unwrap();
    assert_eq!(after, before, "nothing was written");
    let again = restarted.engine.auto_consolidate_if_needed(&mira()).await;
    assert_eq!(again.unwrap(), None, "and is remembered from then on");
}

#[tokio::test]
async fn a_write_that_wrote_nothing_leaves_what_is_cached() {
    let config = MemoryConfig {
        consistency: Some(Consistency::Local),
        ..MemoryConfig::default()
    };
    let b = fixture_with(config);
    let id = b.engine.retain_batch(vec![item("rain")]).await.unwrap()[0];
    let read = async || {
        b.engine.get_memory(&mira(), &id).await.unwrap();
        b.engine
            .recall(&mira(), &RecallRequest::new("rain"))
            .await
            .unwrap();
        let request = ListRequest::new(10);
        b.engine.list_memories(&mira(), &request).await.unwrap();
        b.store.reads()
    };
    read().await;
    for (kind, wrote_nothing) in [
        (ErrorKind::InvalidInput, true),
        (ErrorKind::LimitReached, true),
        (ErrorKind::Unsupported, true),
        (ErrorKind::Unavailable, true),
        (ErrorKind::Full, true),
        (ErrorKind::ReadOnly, true),
        (ErrorKind::ForeignData, true),
        (ErrorKind::NewerSchema, true),
        (ErrorKind::Closed, true),
        (ErrorKind::OutcomeUnknown, false),
        (ErrorKind::Other, false),
    ] {
        assert_eq!(kind.is_without_effect(), wrote_nothing, "{kind:?}");
        let before = read().await;
        *b.store.fail_next_insert.lock().unwrap() = Some(kind);
        let error = b.engine.retain_batch(vec![item("snow")]).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(read().await == before, wrote_nothing, "{kind:?}");
    }
}
