//! Lines that depend on others: a repeated id, and summaries after their sources.

use std::num::NonZeroUsize;
use std::sync::Arc;

use memory::{MemoryBatchItem, MemoryId, MemoryKind, MemorySystem};
use memory_json::{ImportItem, Location, RefusalKind};

use crate::{import, import_in_batches, limited_system, system};

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
    let system = system(Arc::new(())).await;
    let [first, second, summary] = std::array::from_fn(|_| MemoryId::new());
    let other = MemoryBatchItem::new("mira", MemoryKind::World, "Other.").with_id(second);
    system.retain_batch([other]).await.unwrap();
    let lines = [
        archived(first, "Rain.", summary),
        archived(second, "Snow.", summary),
        line(summary, "Wet.", ""),
    ];
    let result = import(&system, &lines).await;
    assert_eq!((result.imported, result.refused.len()), (2, 1));
    assert_eq!(result.orphans, 0);
    system.delete_memory("mira", second).await.unwrap();
    for imported in [1, 0] {
        let result = import(&system, &lines).await;
        assert_eq!((result.imported, result.refused.len()), (imported, 1));
        assert_eq!(result.refused[0].location, Location::Line(3));
        assert_eq!(result.refused[0].kind, RefusalKind::Conflict);
        let message = &result.refused[0].message;
        let reason = format!("its source {second} is not archived under it");
        assert!(message.contains(&reason), "{message}");
        assert!(!message.contains("other content"), "{message}");
        assert_eq!(result.orphans, 1, "the second is live");
    }
    // As the message advises.
    system.undo_consolidation("mira", summary).await.unwrap();
    let result = import(&system, &lines).await;
    assert_eq!((result.imported, result.already_there), (1, 2));
    assert_eq!(result.orphans, 0);
    for id in [first, second] {
        assert_eq!(summary_of(&system, id).await, Some(summary));
    }
}

#[tokio::test]
async fn sources_of_a_summary_that_is_refused_are_counted_as_live() {
    let system = system(Arc::new(())).await;
    let [elsewhere, above, summary] = std::array::from_fn(|_| MemoryId::new());
    let before = [
        archived(elsewhere, "Fog.", above),
        line(above, "It was foggy.", ""),
    ];
    assert_eq!(import(&system, &before).await.imported, 2);
    let lines = [
        archived(MemoryId::new(), "Rain.", summary),
        archived(MemoryId::new(), "Snow.", summary),
        archived(elsewhere, "Fog.", summary),
        line(summary, "Wet.", ""),
    ];
    let result = import(&system, &lines).await;
    assert_eq!((result.imported, result.already_there), (2, 1));
    assert_eq!(result.refused.len(), 1, "a source is archived elsewhere");
    assert_eq!(result.refused[0].location, Location::Line(4));
    assert_eq!(result.orphans, 2);
    assert_eq!(summary_of(&system, elsewhere).await, Some(above));
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
        let system = limited_system(2).await;
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
