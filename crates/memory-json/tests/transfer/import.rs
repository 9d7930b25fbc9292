//! Lines that depend on others: a repeated id, and summaries after their sources.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use memory::{
    EntityId, LimitPolicy, MemoryBatchItem, MemoryId, MemoryKind, MemoryResult, MemorySystem,
};
use memory_json::{ExportReader, ImportItem, Line, Location, RefusalKind};
use memory_testkit::{HookedStore, InMemoryStore, StoreCall, StoreHooks, StoreOperation};

use crate::{import, import_in_batches, limited_system, limited_system_on, system};

/// A line with this id and content, and with further keys.
fn line(id: MemoryId, content: &str, more: &str) -> String {
    format!(r#"{{"id":"{id}","content":"{content}"{more}}}"#)
}

async fn content(system: &MemorySystem, id: MemoryId) -> Option<String> {
    let found = system.get_memories("mira", [id]).await.unwrap();
    found[0].as_ref().map(|memory| memory.content.clone())
}

#[tokio::test]
async fn a_line_is_compared_with_what_is_stored_and_not_with_one_that_was_refused() {
    let system = system(Arc::new(())).await;
    let id = MemoryId::new();
    let lines = [
        line(id, "Rain.", r#","embedding":[1,2]"#),
        line(id, "Rain.", ""),
    ];
    let result = import(&system, &lines).await;
    assert_eq!((result.imported, result.already_there), (1, 0));
    assert_eq!(result.refused.len(), 1, "two is no number of dimensions");
    assert_eq!(result.refused[0].location, Location::Line(1));
    assert_eq!(content(&system, id).await.as_deref(), Some("Rain."));
}

#[tokio::test]
async fn lines_with_the_id_of_a_stored_memory_are_compared_with_it() {
    let system = system(Arc::new(())).await;
    let id = MemoryId::new();
    let stored = MemoryBatchItem::new("mira", MemoryKind::World, "Snow.").with_id(id);
    system.retain_batch([stored]).await.unwrap();
    let (rain, snow) = (line(id, "Rain.", ""), line(id, "Snow.", ""));
    let twice = import(&system, &[rain.clone(), rain.clone()]).await;
    assert_eq!((twice.refused.len(), twice.already_there), (2, 0));
    let both = import(&system, &[rain, snow]).await;
    assert_eq!((both.refused.len(), both.already_there), (1, 1));
    assert_eq!(both.refused[0].location, Location::Line(1));
    assert_eq!(both.refused[0].kind, RefusalKind::Conflict);
}

#[tokio::test]
async fn a_repeated_id_with_other_content_names_the_line_that_was_stored() {
    let system = system(Arc::new(())).await;
    let id = MemoryId::new();
    let lines = [
        line(id, "Rain.", ""),
        line(id, "Rain.", ""),
        line(id, "Sun.", ""),
        line(id, "Sun.", r#","entity":"tam""#),
    ];
    let result = import(&system, &lines).await;
    assert_eq!((result.imported, result.already_there), (2, 1));
    assert_eq!(result.refused.len(), 1);
    assert_eq!(result.refused[0].location, Location::Line(3));
    let message = &result.refused[0].message;
    assert!(message.contains("line 1"), "{message}");
    assert_eq!(content(&system, id).await.as_deref(), Some("Rain."));
}

#[tokio::test]
async fn a_summary_whose_sources_were_refused_is_a_memory_like_any_other() {
    let system = system(Arc::new(())).await;
    let [source, summary] = [MemoryId::new(), MemoryId::new()];
    let changed = MemoryBatchItem::new("mira", MemoryKind::World, "Changed.").with_id(source);
    system.retain_batch([changed]).await.unwrap();
    let lines = [
        line(source, "Rain.", &format!(r#","archived_by":"{summary}""#)),
        line(summary, "It rained.", ""),
    ];
    for (imported, already_there) in [(1, 0), (0, 1)] {
        let result = import(&system, &lines).await;
        assert_eq!(
            (result.imported, result.already_there),
            (imported, already_there)
        );
        assert_eq!(result.refused.len(), 1);
        assert_eq!(result.refused[0].location, Location::Line(1));
        assert_eq!(result.refused[0].kind, RefusalKind::Conflict);
        assert_eq!(result.orphans, 0);
    }
    assert_eq!(
        content(&system, summary).await.as_deref(),
        Some("It rained.")
    );
}

/// A line of an archived memory.
fn archived(id: MemoryId, content: &str, summary: MemoryId) -> String {
    line(id, content, &format!(r#","archived_by":"{summary}""#))
}

async fn summary_of(system: &MemorySystem, id: MemoryId) -> Option<MemoryId> {
    let memory = system.get_memory("mira", id).await.unwrap();
    memory.archived_by
}

#[tokio::test]
async fn a_summary_that_is_there_without_a_source_is_refused_for_that_reason() {
    check_summary_without_a_source(&system(Arc::new(())).await).await;
    check_summary_without_a_source(&limited_system(100, LimitPolicy::Reject).await).await;
}

async fn check_summary_without_a_source(system: &MemorySystem) {
    let [first, second, summary] = std::array::from_fn(|_| MemoryId::new());
    let other = MemoryBatchItem::new("mira", MemoryKind::World, "Other.").with_id(second);
    system.retain_batch([other]).await.unwrap();
    let lines = [
        archived(first, "Rain.", summary),
        archived(second, "Snow.", summary),
        line(summary, "Wet.", ""),
    ];
    let result = import(system, &lines).await;
    assert_eq!((result.imported, result.refused.len()), (2, 1));
    assert_eq!(result.orphans, 0);
    system.delete_memory("mira", second).await.unwrap();
    for imported in [1, 0] {
        let result = import(system, &lines).await;
        assert_eq!((result.imported, result.refused.len()), (imported, 1));
        assert_eq!(result.refused[0].location, Location::Line(3));
        assert_eq!(result.refused[0].kind, RefusalKind::Conflict);
        let message = &result.refused[0].message;
        let reason = format!("its source {second} is not archived under it");
        assert!(message.contains(&reason), "{message}");
        assert!(!message.contains("other content"), "{message}");
        assert!(
            !message.contains("forget"),
            "it would remove the sources: {message}"
        );
        assert_eq!(result.orphans, 1, "the second is live");
    }
    // As the message advises.
    system.undo_consolidation("mira", summary).await.unwrap();
    let result = import(system, &lines).await;
    assert_eq!((result.imported, result.already_there), (1, 2));
    assert_eq!(result.orphans, 0);
    for id in [first, second] {
        assert_eq!(summary_of(system, id).await, Some(summary));
    }
}

#[tokio::test]
async fn a_summary_that_became_a_plain_memory_is_deleted_before_it_is_imported_again() {
    check_summary_above_nothing(&system(Arc::new(())).await).await;
    check_summary_above_nothing(&limited_system(100, LimitPolicy::Reject).await).await;
}

async fn check_summary_above_nothing(system: &MemorySystem) {
    let [source, summary] = [MemoryId::new(), MemoryId::new()];
    let other = MemoryBatchItem::new("mira", MemoryKind::World, "Other.").with_id(source);
    system.retain_batch([other]).await.unwrap();
    let lines = [
        archived(source, "Rain.", summary),
        line(summary, "Wet.", ""),
    ];
    assert_eq!(import(system, &lines).await.imported, 1);
    system.delete_memory("mira", source).await.unwrap();
    let result = import(system, &lines).await;
    assert_eq!((result.imported, result.refused.len()), (1, 1));
    let message = &result.refused[0].message;
    let advice = "delete the summary where it is above no memory";
    assert!(message.contains(advice), "{message}");
    system.delete_memory("mira", summary).await.unwrap();
    let result = import(system, &lines).await;
    assert_eq!((result.imported, result.already_there), (1, 1));
    assert_eq!(summary_of(system, source).await, Some(summary));
}

#[tokio::test]
async fn sources_of_a_summary_that_is_refused_are_counted_as_live() {
    check_sources_of_a_refused_summary(&system(Arc::new(())).await).await;
    check_sources_of_a_refused_summary(&limited_system(100, LimitPolicy::Reject).await).await;
}

async fn check_sources_of_a_refused_summary(system: &MemorySystem) {
    let [elsewhere, above, summary] = std::array::from_fn(|_| MemoryId::new());
    let before = [
        archived(elsewhere, "Fog.", above),
        line(above, "It was foggy.", ""),
    ];
    assert_eq!(import(system, &before).await.imported, 2);
    let lines = [
        archived(MemoryId::new(), "Rain.", summary),
        archived(MemoryId::new(), "Snow.", summary),
        archived(elsewhere, "Fog.", summary),
        line(summary, "Wet.", ""),
    ];
    let result = import(system, &lines).await;
    assert_eq!((result.imported, result.already_there), (2, 1));
    assert_eq!(result.refused.len(), 1, "a source is archived elsewhere");
    assert_eq!(result.refused[0].location, Location::Line(4));
    assert_eq!(result.orphans, 2);
    assert_eq!(summary_of(system, elsewhere).await, Some(above));
}

#[tokio::test]
async fn an_entity_that_is_full_does_not_end_the_import_of_others() {
    let mut lines = Vec::new();
    for content in ["Rain.", "Snow.", "Fog.", "Sun."] {
        lines.push(line(MemoryId::new(), content, ""));
    }
    for content in ["Ice.", "Hail."] {
        lines.push(line(MemoryId::new(), content, r#","entity":"tam""#));
    }
    for batch in [1, 2, 3, 100] {
        let system = limited_system(2, LimitPolicy::Reject).await;
        let batch = NonZeroUsize::new(batch).unwrap();
        // Again as at first: what is there is still there.
        for (imported, already_there) in [(4, 0), (0, 4)] {
            let result = import_in_batches(&system, &lines, batch).await;
            assert_eq!(
                (result.imported, result.already_there),
                (imported, already_there)
            );
            assert_eq!(result.refused.len(), 2);
            for refusal in &result.refused {
                // Batches that are written at the same time have no order.
                assert!(
                    matches!(refusal.location, Location::Line(1..=4)),
                    "{refusal:?}"
                );
                assert_eq!(refusal.kind, RefusalKind::LimitReached);
                let message = &refusal.message;
                assert!(message.contains("at most 2 are allowed"), "{message}");
            }
        }
    }
}

#[tokio::test]
async fn a_link_of_a_memory_to_itself_is_left_out_and_counted() {
    let system = system(Arc::new(())).await;
    let [own, other] = [MemoryId::new(), MemoryId::new()];
    let related = format!(r#","related":{{"{own}":"next","{other}":"next"}}"#);
    let lines = [line(own, "Rain.", &related), line(other, "Snow.", &related)];
    let result = import(&system, &lines).await;
    assert_eq!((result.imported, result.own_links), (2, 2));
    for (id, links_to) in [(own, other), (other, own)] {
        let memory = system.get_memory("mira", id).await.unwrap();
        let related: Vec<_> = memory.related.keys().copied().collect();
        assert_eq!(related, [links_to]);
    }
    // A new memory of a request is not one of an earlier version.
    let refused = memory_json::parse(&lines[0], Some(&"mira".into())).unwrap_err();
    assert!(refused.contains("cannot be related to itself"), "{refused}");
}

#[test]
fn a_memory_is_not_its_own_summary() {
    let id = MemoryId::new();
    let own = line(id, "Rain.", &format!(r#","archived_by":"{id}""#));
    let refused = ImportItem::from_line(&own, Some(&"mira".into()), |_| MemoryId::new());
    let refused = refused.unwrap_err();
    assert!(refused.contains("the memory's own id"), "{refused}");
}

/// The lines of an export of "mira".
async fn export(system: &MemorySystem) -> Vec<String> {
    let mira = EntityId::from("mira");
    let mut reader = ExportReader::open(system, mira).await.unwrap();
    let mut lines = Vec::new();
    while let Some(page) = reader.next_page().await.unwrap() {
        let texts = page.iter().map(|it| serde_json::to_string(&Line::from(it)));
        lines.extend(texts.map(Result::unwrap));
    }
    lines
}

/// Four live memories, two of which are summaries, one at two levels, of nine in all.
async fn summaries_in_a_file() -> Vec<String> {
    let ids: [MemoryId; 13] = std::array::from_fn(|_| MemoryId::new());
    let summaries = [(0..3, 9), (3..6, 10), (6..8, 11), (10..11, 11)];
    let lines: Vec<String> = (0..13)
        .map(|n| {
            let summary = summaries.iter().find(|(sources, _)| sources.contains(&n));
            let more = summary.map_or(String::new(), |(_, summary)| {
                format!(r#","archived_by":"{}""#, ids[*summary])
            });
            line(ids[n], &format!("Text {n}."), &more)
        })
        .collect();
    let system = system(Arc::new(())).await;
    assert_eq!(import(&system, &lines).await.imported, 13);
    let stats = system.entity_stats("mira").await.unwrap();
    assert_eq!((stats.memory_count, stats.archived_count), (4, 9));
    export(&system).await
}

#[tokio::test]
async fn a_database_within_its_limit_is_restored_from_its_export() {
    let lines = summaries_in_a_file().await;
    for policy in [LimitPolicy::Reject, LimitPolicy::Prune] {
        for batch in [1, 2, 100] {
            let system = limited_system(4, policy).await;
            let batch = NonZeroUsize::new(batch).unwrap();
            for (imported, already_there) in [(13, 0), (0, 13)] {
                let result = import_in_batches(&system, &lines, batch).await;
                assert_eq!(result.refused, []);
                assert_eq!(
                    (result.imported, result.already_there, result.orphans),
                    (imported, already_there, 0)
                );
                assert_eq!(export(&system).await, lines);
            }
        }
    }
}

#[tokio::test]
async fn a_summary_that_does_not_fit_is_refused_with_its_sources() {
    let lines = summaries_in_a_file().await;
    let system = limited_system(3, LimitPolicy::Reject).await;
    let result = import(&system, &lines).await;
    let stats = system.entity_stats("mira").await.unwrap();
    assert_eq!(stats.memory_count, 3);
    let stored = stats.memory_count + stats.archived_count;
    assert_eq!(result.imported as u64, stored);
    assert_eq!(result.imported + result.refused.len(), 13);
    for refusal in &result.refused {
        assert_eq!(refusal.kind, RefusalKind::LimitReached);
        let message = "would have 4 memories; at most 3 are allowed";
        assert!(refusal.message.contains(message), "{}", refusal.message);
    }

    // What is evicted for it goes with its sources.
    let system = limited_system(3, LimitPolicy::Prune).await;
    let result = import(&system, &lines).await;
    assert_eq!((result.imported, result.refused.len()), (13, 0));
    assert_eq!(system.entity_stats("mira").await.unwrap().memory_count, 3);
}

#[tokio::test]
async fn sources_within_a_limit_are_refused_and_kept_as_without_one() {
    let [source, other, below, low, high, orphan] = std::array::from_fn(|_| MemoryId::new());
    let missing = MemoryId::new();
    let archived_by = |id: MemoryId| format!(r#","archived_by":"{id}""#);
    let lines = [
        line(source, "Rain.", &archived_by(low)),
        line(other, "Snow.", &archived_by(low)),
        line(other, "Snow.", &archived_by(low)),
        line(below, "Fog.", &archived_by(low)),
        line(low, "Weather.", &archived_by(high)),
        line(orphan, "Sun.", &archived_by(missing)),
        line(high, "All weather.", ""),
    ];
    for taken in [source, low, high] {
        let unlimited = system(Arc::new(())).await;
        let limited = limited_system(100, LimitPolicy::Reject).await;
        let mut states = Vec::new();
        for system in [&unlimited, &limited] {
            let item = MemoryBatchItem::new("mira", MemoryKind::World, "Changed.");
            let item = item.with_id(taken).with_timestamp(chrono::Utc::now());
            system.retain_batch([item]).await.unwrap();
            let result = import(system, &lines).await;
            let mut state = vec![format!(
                "{} {} {}",
                result.imported, result.already_there, result.orphans
            )];
            for refusal in &result.refused {
                state.push(format!("{:?} {:?}", refusal.location, refusal.kind));
            }
            let ids = [source, other, below, low, high, orphan];
            let memories = system.get_memories("mira", ids).await.unwrap();
            state.extend(memories.iter().map(|it| {
                let it = it.as_ref().unwrap();
                format!("{} {:?}", it.content, it.archived_by)
            }));
            states.push(state);
        }
        assert_eq!(states[0], states[1], "{taken:?}");
    }
}

/// Counts writes of memories.
#[derive(Debug, Default)]
struct Inserts(AtomicU64);

#[async_trait]
impl StoreHooks for Inserts {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        if call.operation == StoreOperation::InsertOpts {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

#[tokio::test]
async fn sources_that_do_not_fit_are_refused_at_once() {
    let inserts = Arc::new(Inserts::default());
    let hooks = Arc::clone(&inserts) as Arc<dyn StoreHooks>;
    let store = HookedStore::new(Arc::new(InMemoryStore::new()), hooks);
    let system = limited_system_on(store, 5, LimitPolicy::Reject).await;
    let [summary, stored] = [MemoryId::new(), MemoryId::new()];
    let mut items = vec![
        MemoryBatchItem::new("mira", MemoryKind::World, "Other.").with_id(summary),
        MemoryBatchItem::new("mira", MemoryKind::World, "Rain.").with_id(stored),
    ];
    items.extend([MemoryBatchItem::new("mira", MemoryKind::World, "Sun.")]);
    system.retain_batch(items).await.unwrap();
    let mut lines: Vec<String> = (0..100)
        .map(|n| archived(MemoryId::new(), &format!("Snow {n}."), summary))
        .collect();
    lines.insert(50, archived(stored, "Rain.", summary));
    lines.push(line(summary, "Weather.", ""));
    let before = inserts.0.load(Ordering::SeqCst);
    let result = import(&system, &lines).await;
    assert_eq!((result.imported, result.already_there), (2, 1));
    assert_eq!((result.refused.len(), result.orphans), (99, 3));
    let rounds = inserts.0.load(Ordering::SeqCst) - before;
    assert!(rounds <= 2, "{rounds} writes");
}
