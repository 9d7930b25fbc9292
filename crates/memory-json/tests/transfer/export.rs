//! What an export reads while the entity changes, and how often it reads.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use memory::{Memory, MemoryBatchItem, MemoryId, MemoryKind, MemoryResult, MemorySystem};
use memory_json::ExportReader;
use memory_testkit::{StoreCall, StoreHooks, StoreOperation};

use crate::{import, system};

/// Counts pages of lists.
#[derive(Debug, Default)]
struct Pages(AtomicUsize);

#[async_trait]
impl StoreHooks for Pages {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        if call.operation == StoreOperation::List {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// The rest of an export.
async fn read(reader: &mut ExportReader) -> Vec<Memory> {
    let mut memories = Vec::new();
    while let Some(page) = reader.next_page().await.unwrap() {
        memories.extend(page);
    }
    memories
}

fn ids(memories: &[Memory]) -> Vec<MemoryId> {
    memories.iter().map(|memory| memory.id).collect()
}

#[tokio::test]
async fn a_chain_of_summaries_takes_no_more_pages_than_other_memories() {
    let pages = Arc::new(Pages::default());
    let system = system(pages.clone()).await;
    let chain: Vec<MemoryId> = (0..300).map(|_| MemoryId::new()).collect();
    let mut lines: Vec<String> = chain
        .windows(2)
        .map(|it| {
            let (id, summary) = (it[0], it[1]);
            format!(r#"{{"id":"{id}","content":"{id}","archived_by":"{summary}"}}"#)
        })
        .collect();
    lines.push(format!(
        r#"{{"id":"{}","content":"The last."}}"#,
        chain[299]
    ));
    assert_eq!(import(&system, &lines).await.imported, 300);
    let stats = system.entity_stats("mira").await.unwrap();
    assert_eq!((stats.memory_count, stats.archived_count), (1, 299));

    pages.0.store(0, Ordering::SeqCst);
    let mut reader = ExportReader::open(&system, "mira".into()).await.unwrap();
    assert_eq!(ids(&read(&mut reader).await), chain, "sources come first");
    let pages = pages.0.load(Ordering::SeqCst);
    assert!(pages <= 4, "{pages} pages of 128");
}

/// A system with 300 memories, and two older ones that say the same.
async fn with_duplicates() -> (MemorySystem, [MemoryId; 2]) {
    let system = system(Arc::new(())).await;
    let duplicates = [MemoryId::new(), MemoryId::new()];
    let old = memory_json::time::parse("2020-03-01T09:30:00Z").unwrap();
    let duplicates_of = duplicates.map(|id| {
        let content = "Tam sold me a lame horse.";
        let item = MemoryBatchItem::new("mira", MemoryKind::Experience, content);
        item.with_id(id).with_timestamp(old)
    });
    let others = (0..300).map(|day| {
        // No word in common.
        let content = format!("a{day} b{day} c{day} d{day}");
        MemoryBatchItem::new("mira", MemoryKind::Experience, content)
    });
    let all = others.chain(duplicates_of);
    system.retain_batch(all).await.unwrap();
    (system, duplicates)
}

#[track_caller]
fn assert_once(memories: &[Memory], expected: impl IntoIterator<Item = MemoryId>) {
    let found = ids(memories);
    let distinct: HashSet<MemoryId> = found.iter().copied().collect();
    assert_eq!(distinct.len(), found.len(), "nothing is returned twice");
    for id in expected {
        assert!(distinct.contains(&id), "{id} is missing");
    }
}

#[tokio::test]
async fn what_is_archived_meanwhile_is_returned() {
    let (system, duplicates) = with_duplicates().await;
    let mut reader = ExportReader::open(&system, "mira".into()).await.unwrap();
    let mut memories = reader.next_page().await.unwrap().unwrap();
    let report = system.consolidate("mira").await.unwrap();
    assert_eq!(report.summaries.len(), 1);
    memories.extend(read(&mut reader).await);
    assert_once(&memories, duplicates);
    assert!(memories.len() >= 302, "{}", memories.len());
}

#[tokio::test]
async fn what_was_returned_before_it_is_archived_is_not_returned_again() {
    let (system, _) = with_duplicates().await;
    let mut reader = ExportReader::open(&system, "mira".into()).await.unwrap();
    let mut memories = reader.next_page().await.unwrap().unwrap();
    // Two of the page are the same from now on.
    let twins = [memories[0].id, memories[1].id];
    for id in twins {
        let patch = memory::MemoryPatch::new().content("The mill stands still.");
        system.alter_memory("mira", id, patch).await.unwrap();
    }
    let report = system.consolidate("mira").await.unwrap();
    assert_eq!(report.summaries.len(), 2);
    memories.extend(read(&mut reader).await);
    assert_once(&memories, twins);
}

#[tokio::test]
async fn what_is_restored_meanwhile_is_returned_once() {
    for is_read_before in [false, true] {
        let (system, duplicates) = with_duplicates().await;
        let report = system.consolidate("mira").await.unwrap();
        let summary = report.summaries[0].id;
        let mut reader = ExportReader::open(&system, "mira".into()).await.unwrap();
        let mut memories = Vec::new();
        if is_read_before {
            memories.extend(reader.next_page().await.unwrap().unwrap());
            assert_once(&memories, duplicates);
        }
        system.undo_consolidation("mira", summary).await.unwrap();
        memories.extend(read(&mut reader).await);
        assert_once(&memories, duplicates);
    }
}
