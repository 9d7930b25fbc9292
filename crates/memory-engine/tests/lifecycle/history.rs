//! What was live at an earlier moment, after consolidations and recalls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{
    AccessUpdate, ByteSize, ErrorKind, ListRequest, ListScope, MemoryConfig, MemoryFilter,
    MemoryId, MemoryPatch, MemoryResult, limits,
};
use memory_engine::{ConsolidateRequest, Engine, RecallHit, RecallPath, RecallRequest};

use memory_testkit::{HookedStore, InMemoryStore, StoreCall, StoreHooks, StoreOperation};

use crate::fixture::{
    Fixture, Interleaving, Lists, days_ago, fixture, fixture_on, fixture_with, item, mira, now,
};

async fn listed(b: &Fixture, as_of: DateTime<Utc>, limit: usize) -> Vec<MemoryId> {
    let (mut request, mut ids) = (ListRequest::new(limit), Vec::new());
    loop {
        let page = b.engine.list_memories_as_of(&mira(), as_of, &request).await;
        let page = page.unwrap();
        assert!(page.memories.len() <= limit);
        assert!(
            page.memories
                .iter()
                .all(|memory| memory.archived_by.is_none())
        );
        ids.extend(page.memories.iter().map(|memory| memory.id));
        match page.next {
            Some(next) => request = request.after(next),
            None => return ids,
        }
    }
}

async fn recalled(b: &Fixture, as_of: DateTime<Utc>) -> Vec<RecallHit> {
    let request = RecallRequest::new("lame horse").limit(100).as_of(as_of);
    b.engine.recall(&mira(), &request).await.unwrap()
}

fn sorted(ids: impl IntoIterator<Item = MemoryId>) -> Vec<MemoryId> {
    let mut ids: Vec<MemoryId> = ids.into_iter().collect();
    ids.sort();
    ids
}

/// Six of the same on days 9 to 4, and others between them; consolidated now,
/// and again a day later with one more.
async fn two_consolidations(b: &Fixture) -> (Vec<MemoryId>, Vec<MemoryId>) {
    let about = |content: &str| item(content).with_context("the market");
    let same = (4..10)
        .rev()
        .map(|day| about("Tam sold me a lame horse").with_timestamp(days_ago(day)));
    let sources = b.retain(same.collect()).await;
    let others = (3..10).map(|day| about(&format!("day {day}")).with_timestamp(days_ago(day)));
    let others = b.retain(others.collect()).await;
    let request = ConsolidateRequest::new();
    let first = b.engine.consolidate(&mira(), &request).await.unwrap();
    b.clock.advance(TimeDelta::days(1));
    b.retain(vec![
        about("Tam sold me a lame horse").with_timestamp(now() + TimeDelta::hours(1)),
    ])
    .await;
    let second = b.engine.consolidate(&mira(), &request).await.unwrap();
    assert_eq!(second.summaries[0].sources.len(), 2);
    assert_eq!(second.summaries[0].sources[0], first.summaries[0].id);
    (sources, others)
}

#[tokio::test]
async fn sources_are_found_as_of_a_moment_before_their_summary() {
    let b = fixture();
    let (sources, others) = two_consolidations(&b).await;
    // Sources of days 9 to 7, and the others of these days.
    let then = days_ago(7);
    let expected = sorted(
        sources[..3]
            .iter()
            .chain(&others[4..])
            .copied()
            .collect::<Vec<_>>(),
    );
    assert_eq!(
        sorted(recalled(&b, then).await.iter().map(|hit| hit.memory.id)),
        expected
    );
    for limit in [1, 2, 3, 100] {
        assert_eq!(sorted(listed(&b, then, limit).await), expected, "{limit}");
    }
    let best = &recalled(&b, then).await[0];
    assert!(sources.contains(&best.memory.id) && best.similarity > Some(0.5));
    assert_eq!(best.memory.archived_by, None);
    // Between the two consolidations only the first summary was live.
    let between = now() + TimeDelta::minutes(1);
    let ids = listed(&b, between, 2).await;
    assert_eq!(ids.len(), 8);
    assert_eq!(
        sorted(recalled(&b, between).await.iter().map(|hit| hit.memory.id)),
        sorted(ids)
    );
    // The present is unchanged.
    let present = b.all(ListScope::Live).await;
    assert_eq!(present.len(), 8);
    let later = now() + TimeDelta::days(2);
    assert_eq!(listed(&b, later, 3).await.len(), 8);
}

/// Entities that are too large for a snapshot are searched in the store.
#[tokio::test]
async fn an_entity_without_a_snapshot_has_the_same_earlier_state() {
    let config = MemoryConfig {
        entity_cache_max_bytes: ByteSize(0),
        ..MemoryConfig::default()
    };
    let b = fixture_with(config, None);
    let (sources, _) = two_consolidations(&b).await;
    for as_of in [
        days_ago(9),
        days_ago(7),
        days_ago(1),
        now() + TimeDelta::minutes(1),
        now() + TimeDelta::days(2),
    ] {
        let hits = recalled(&b, as_of).await;
        let ids = hits.iter().map(|hit| hit.memory.id);
        assert_eq!(sorted(ids), sorted(listed(&b, as_of, 3).await), "{as_of}");
        for hit in &hits {
            assert_eq!(hit.explanation.path, RecallPath::Store);
            assert_eq!(hit.memory.archived_by, None);
        }
    }
    let best = &recalled(&b, days_ago(7)).await[0];
    assert!(sources.contains(&best.memory.id) && best.similarity > Some(0.5));
}

/// What surrounds the best of what the store finds, too.
#[tokio::test]
async fn no_later_summary_is_a_neighbor_at_an_earlier_moment() {
    let config = MemoryConfig {
        entity_cache_max_bytes: ByteSize(0),
        ..MemoryConfig::default()
    };
    let b = fixture_with(config, None);
    let about = |content: &str, day| {
        let item = item(content).with_context("the market");
        item.with_timestamp(days_ago(day))
    };
    let memories = vec![
        about("Tam sold me a lame horse", 9),
        about("Tam sold me a lame horse", 8),
        about("the day was dry", 7),
    ];
    b.retain(memories).await;
    let request = ConsolidateRequest::new();
    let report = b.engine.consolidate(&mira(), &request).await.unwrap();
    assert_eq!(report.summaries.len(), 1);
    let before = days_ago(1);
    assert_eq!(listed(&b, before, 3).await.len(), 3);
    for question in ["lame horse", "dry day"] {
        let request = RecallRequest::new(question).limit(100).as_of(before);
        let hits = b.engine.recall(&mira(), &request).await.unwrap();
        let ids = hits.iter().map(|hit| hit.memory.id);
        assert_eq!(sorted(ids), sorted(listed(&b, before, 3).await));
    }
}

/// The store would find what is live today: such a recall waits for the load.
#[tokio::test]
async fn an_earlier_state_of_a_large_entity_is_that_of_a_snapshot() {
    let b = fixture();
    let (sources, _) = two_consolidations(&b).await;
    let others = (0..600).map(|n| item(&format!("note {n}")).with_timestamp(days_ago(20)));
    b.retain(others.collect()).await;
    for _ in 0..2 {
        let hits = recalled(&b, days_ago(7)).await;
        assert!(
            hits.iter()
                .all(|hit| hit.explanation.path == RecallPath::Snapshot)
        );
        let ids: Vec<MemoryId> = hits.iter().map(|hit| hit.memory.id).collect();
        assert!(sources[..3].iter().all(|source| ids.contains(source)));
        assert!(!sources[3..].iter().any(|source| ids.contains(source)));
    }
}

#[tokio::test]
async fn a_filter_applies_to_an_earlier_state_too() {
    let b = fixture();
    let (sources, _) = two_consolidations(&b).await;
    let since = MemoryFilter {
        since: Some(days_ago(8)),
        until: Some(days_ago(6)),
        ..MemoryFilter::new()
    };
    let request = ListRequest::new(10).filter(since.clone());
    let as_of = days_ago(1);
    let page = b.engine.list_memories_as_of(&mira(), as_of, &request).await;
    let ids: Vec<_> = page.unwrap().memories.iter().map(|m| m.id).collect();
    assert_eq!(ids.len(), 4);
    assert!(ids.contains(&sources[1]) && ids.contains(&sources[2]));
    let request = RecallRequest::new("horse").filter(since).as_of(as_of);
    let hits = b.engine.recall(&mira(), &request).await.unwrap();
    assert_eq!(sorted(hits.iter().map(|hit| hit.memory.id)), sorted(ids));
}

#[tokio::test]
async fn accesses_after_the_moment_do_not_count() {
    let b = fixture();
    let ids = b
        .retain(vec![
            item("Tam sold me a lame horse").with_timestamp(days_ago(9)),
            item("Tam sold me a lame horse, too").with_timestamp(days_ago(9)),
        ])
        .await;
    let before = recalled(&b, days_ago(5)).await;
    let update = |id, last| AccessUpdate::new(mira(), id, 1_000, last);
    let updates = [update(ids[0], days_ago(1)), update(ids[1], days_ago(6))];
    b.store
        .record_accesses(&updates, Duration::ZERO)
        .await
        .unwrap();
    b.engine.clear_all_caches();
    let after = recalled(&b, days_ago(5)).await;
    let of = |hits: &[RecallHit], id| hits.iter().find(|hit| hit.memory.id == id).unwrap().clone();
    let (first, second) = (of(&after, ids[0]), of(&after, ids[1]));
    assert_eq!(
        first.explanation.importance,
        of(&before, ids[0]).explanation.importance
    );
    assert_eq!(
        (first.memory.access_count, first.memory.last_accessed),
        (0, None)
    );
    assert!(second.explanation.importance > of(&before, ids[1]).explanation.importance);
    assert_eq!(second.memory.access_count, 1_000);
    let page = b
        .engine
        .list_memories_as_of(&mira(), days_ago(5), &ListRequest::new(10))
        .await
        .unwrap();
    let counts: Vec<u64> = page.memories.iter().map(|m| m.access_count).collect();
    assert_eq!(sorted_counts(counts), [0, 1_000]);
}

fn sorted_counts(mut counts: Vec<u64>) -> Vec<u64> {
    counts.sort_unstable();
    counts
}

/// What a summary shows of its history is not lost with its other metadata.
#[tokio::test]
async fn a_summary_with_new_metadata_is_no_older() {
    let b = fixture();
    let (sources, _) = two_consolidations(&b).await;
    let expected = listed(&b, days_ago(7), 3).await;
    for summary in b.all(ListScope::Live).await {
        let patch = MemoryPatch::new()
            .metadata(BTreeMap::from([("note".to_owned(), "checked".to_owned())]));
        let altered = b.engine.alter_memory(&mira(), &summary.id, &patch).await;
        let altered = altered.unwrap();
        assert_eq!(altered.metadata["note"], "checked");
        let is_summary = altered.metadata.contains_key("consolidation.sources");
        assert_eq!(
            is_summary,
            summary.metadata.contains_key("consolidation.sources")
        );
    }
    assert!(sources[..3].iter().all(|source| expected.contains(source)));
    assert_eq!(listed(&b, days_ago(7), 3).await, expected);
    let ids = recalled(&b, days_ago(7)).await;
    let ids = ids.iter().map(|hit| hit.memory.id);
    assert_eq!(sorted(ids), sorted(expected));
}

#[tokio::test]
async fn nothing_is_found_after_the_moment() {
    let without_snapshots = MemoryConfig {
        entity_cache_max_bytes: ByteSize(0),
        ..MemoryConfig::default()
    };
    for config in [MemoryConfig::default(), without_snapshots] {
        let b = fixture_with(config, None);
        two_consolidations(&b).await;
        let coming = now() + TimeDelta::days(3);
        b.retain(vec![item("a lame horse to come").with_timestamp(coming)])
            .await;
        let moment = days_ago(7);
        let filter = MemoryFilter::new().since(moment + TimeDelta::microseconds(1));
        let request = ListRequest::new(10).filter(filter.clone());
        let page = b
            .engine
            .list_memories_as_of(&mira(), moment, &request)
            .await;
        assert!(page.unwrap().memories.is_empty());
        let request = RecallRequest::new("lame horse")
            .filter(filter)
            .as_of(moment);
        assert!(b.engine.recall(&mira(), &request).await.unwrap().is_empty());
        // Not even in the present, where that is before its time.
        for (moment, count) in [(coming - TimeDelta::days(1), 8), (coming, 9)] {
            assert_eq!(listed(&b, moment, 3).await.len(), count);
            assert_eq!(recalled(&b, moment).await.len(), count);
        }
        let last = DateTime::from_timestamp_micros(limits::MAX_TIMESTAMP_MICROS).unwrap();
        assert_eq!(listed(&b, last, 3).await.len(), 9);
        assert_eq!(recalled(&b, last).await.len(), 9);
    }
}

#[tokio::test]
async fn a_list_as_of_a_moment_is_one_of_live_memories() {
    let b = fixture();
    two_consolidations(&b).await;
    for moment in [days_ago(7), now() + TimeDelta::days(9)] {
        let request = ListRequest::new(10).scope(ListScope::Archived);
        let listed = b
            .engine
            .list_memories_as_of(&mira(), moment, &request)
            .await;
        let error = listed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("live memories"), "{error}");
    }
}

/// A consolidation, or its undo, between the reads of what is live and what is archived.
#[tokio::test]
async fn an_earlier_state_is_one_state() {
    let (hooks, b, other) = Interleaving::fixtures(&MemoryConfig::default());
    let same = (4..7).map(|day| item("Tam sold me a lame horse").with_timestamp(days_ago(day)));
    let sources = sorted(b.retain(same.collect()).await);
    let moment = days_ago(1);
    for is_list in [true, false] {
        // A consolidation, and its undo.
        for _ in 0..2 {
            recalled(&b, moment).await;
            let (other, changed) = (Arc::clone(&other), Arc::new(AtomicBool::new(false)));
            let is_done = Arc::clone(&changed);
            let operation = if is_list {
                StoreOperation::List
            } else {
                StoreOperation::EntityStats
            };
            hooks.after(operation, async move {
                let live = other.all(ListScope::Live).await;
                if let [summary] = &live[..] {
                    let undone = other.engine.undo_consolidation(&mira(), &summary.id).await;
                    undone.unwrap();
                } else {
                    let request = ConsolidateRequest::new();
                    other.engine.consolidate(&mira(), &request).await.unwrap();
                }
                is_done.store(true, Ordering::SeqCst);
            });
            let found = if is_list {
                listed(&b, moment, 2).await
            } else {
                recalled(&b, moment)
                    .await
                    .iter()
                    .map(|hit| hit.memory.id)
                    .collect()
            };
            assert!(changed.load(Ordering::SeqCst));
            assert_eq!(sorted(found), sources, "{is_list}");
        }
    }
}

/// A consolidation after the archived memories were read, and one just before the search.
#[tokio::test]
async fn an_earlier_state_without_a_snapshot_is_one_state() {
    let uncached = MemoryConfig {
        entity_cache_max_bytes: ByteSize(0),
        ..MemoryConfig::default()
    };
    // More memories than are loaded for the first recall.
    for (config, others) in [(MemoryConfig::default(), 201), (uncached, 0)] {
        for is_before_search in [false, true] {
            let (hooks, b, other) = Interleaving::fixtures(&config);
            let about = |content: &str, day| item(content).with_timestamp(days_ago(day));
            let mut items = vec![about("the ferry left", 9), about("the ferry left", 8)];
            items.extend((0..others).map(|n| about(&format!("note {n}"), 20)));
            other.retain(items).await;
            let consolidate = |other: Arc<Fixture>| async move {
                let request = ConsolidateRequest::new();
                let report = other.engine.consolidate(&mira(), &request).await.unwrap();
                assert_eq!(report.summaries.len(), 1);
            };
            consolidate(Arc::clone(&other)).await;
            let same = (4..7).map(|day| about("Tam sold me a lame horse", day));
            let sources = other.retain(same.collect()).await;
            let changed = Arc::new(AtomicBool::new(false));
            let is_done = Arc::clone(&changed);
            let change = async move {
                consolidate(other).await;
                is_done.store(true, Ordering::SeqCst);
            };
            let again = Arc::clone(&hooks);
            hooks.after(StoreOperation::List, async move {
                match is_before_search {
                    true => again.after(StoreOperation::EntityStats, change),
                    false => change.await,
                }
            });
            let request = RecallRequest::new("lame horse").limit(1_000);
            let hits = b.engine.recall(&mira(), &request.as_of(days_ago(1))).await;
            let hits = hits.unwrap();
            assert!(changed.load(Ordering::SeqCst));
            let found: Vec<MemoryId> = hits.iter().map(|hit| hit.memory.id).collect();
            let context = format!("{others} others, {is_before_search}");
            assert!(sources.iter().all(|id| found.contains(id)), "{context}");
            assert_eq!(found.len(), sources.len() + 2 + others, "{context}");
        }
    }
}

/// Retains a memory at each list of another system, and counts the calls of that system.
#[derive(Debug, Default)]
struct Written {
    other: OnceLock<Engine>,
    searches: AtomicU64,
    lists: AtomicU64,
}

#[async_trait]
impl StoreHooks for Written {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        match call.operation {
            StoreOperation::Search => {
                self.searches.fetch_add(1, Ordering::SeqCst);
            }
            StoreOperation::List => {
                self.lists.fetch_add(1, Ordering::SeqCst);
                let other = self.other.get().unwrap();
                other.retain_batch(vec![item("new")]).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[tokio::test]
async fn an_entity_that_is_written_to_all_the_time_is_searched_twice_at_most() {
    let config = MemoryConfig {
        entity_cache_max_bytes: ByteSize(0),
        ..MemoryConfig::default()
    };
    let (hooks, inner) = (Arc::new(Written::default()), InMemoryStore::new());
    let other = fixture_on(Arc::new(inner.clone()), config.clone(), None);
    hooks.other.set(other.engine.clone()).unwrap();
    let store = HookedStore::new(Arc::new(inner), Arc::clone(&hooks) as _);
    let b = fixture_on(Arc::new(store), config, None);
    let same = (4..7).map(|day| item("Tam sold me a lame horse").with_timestamp(days_ago(day)));
    let sources = sorted(other.retain(same.collect()).await);
    let request = ConsolidateRequest::new();
    other.engine.consolidate(&mira(), &request).await.unwrap();
    let found = recalled(&b, days_ago(1)).await;
    let found: Vec<MemoryId> = found.iter().map(|hit| hit.memory.id).collect();
    assert_eq!(sorted(found), sources);
    assert_eq!(hooks.searches.load(Ordering::SeqCst), 2);
    assert_eq!(hooks.lists.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_short_page_passes_over_many_memories_in_few_reads() {
    let lists = Arc::new(Lists::default());
    let hooks = Arc::clone(&lists) as Arc<dyn StoreHooks>;
    let store = HookedStore::new(Arc::new(InMemoryStore::new()), hooks);
    let b = fixture_on(Arc::new(store), MemoryConfig::default(), None);
    let items = (0..1_000).map(|n| item(&format!("note {n}")).with_timestamp(days_ago(9)));
    let sources = b.retain(items.collect()).await;
    let summary = item("notes").with_timestamp(days_ago(30));
    let summary = summary.into_memory(now()).unwrap();
    let id = summary.id;
    let restored = b.engine.restore_summary(summary.into(), sources);
    assert!(restored.await.unwrap());
    lists.0.store(0, Ordering::SeqCst);
    assert_eq!(listed(&b, days_ago(1), 1).await, [id]);
    let lists = lists.0.load(Ordering::SeqCst);
    assert!(lists <= 16, "{lists} pages were read");
}
