//! Lines that depend on others: a repeated id, and summaries after their sources.

use std::sync::Arc;

use memory::{MemoryBatchItem, MemoryId, MemoryKind, MemorySystem};
use memory_json::{Location, RefusalKind};

use crate::{import, system};

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
