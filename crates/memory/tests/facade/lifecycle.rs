//! A memory's life on the default store: SQLite in a file.

use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use memory::{
    AccessCounting, ConsolidateRequest, ErrorKind, LimitPolicy, ListRequest, ListScope, Memory,
    MemoryBatchItem, MemoryConfig, MemoryId, MemoryKind, MemorySystem,
};
use memory_testkit::HashEmbedder;

const SECRET: &str = "The silver key lies below the chapel stairs.";

async fn open_with(folder: &Path, config: MemoryConfig) -> (MemorySystem, HashEmbedder) {
    let embedder = HashEmbedder::new();
    let memory = MemorySystem::builder()
        .url(format!("sqlite://{}", folder.join("agent.db").display()))
        .embedder(Arc::new(embedder.clone()))
        .config(config)
        .build()
        .await
        .unwrap();
    (memory, embedder)
}

async fn open(folder: &Path) -> MemorySystem {
    open_with(folder, MemoryConfig::default()).await.0
}

fn item(content: &str) -> MemoryBatchItem {
    MemoryBatchItem::new("mira", MemoryKind::Experience, content)
}

async fn all(memory: &MemorySystem, scope: ListScope) -> Vec<Memory> {
    let request = ListRequest::new(1_000).scope(scope);
    memory
        .list_memories("mira", &request)
        .await
        .unwrap()
        .memories
        .clone()
}

/// Whether any file of the database holds any of these words.
fn holds(folder: &Path, words: &[&str]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        words.iter().any(|word| {
            let word = word.as_bytes();
            bytes.windows(word.len()).any(|window| window == word)
        })
    })
}

#[tokio::test]
async fn a_forgotten_memory_is_in_no_file_and_no_cache() {
    let folder = tempfile::tempdir().unwrap();
    let (memory, embedder) = open_with(folder.path(), MemoryConfig::default()).await;
    let secrets = [
        "The silver key lies below the chapel stairs, Ondrej said.",
        "The silver key lies below the chapel stairs, Ondrej said!",
    ];
    let ids = memory
        .retain_batch(secrets.map(item).to_vec())
        .await
        .unwrap();
    memory
        .retain("mira", MemoryKind::World, "Bread is dear.")
        .await
        .unwrap();
    let request = ConsolidateRequest::new().min_similarity(0.6);
    let done = memory.consolidate_with("mira", &request).await.unwrap();
    let summary = done.summaries[0].id;
    memory
        .relate("mira", summary, ids[0], "tells of")
        .await
        .unwrap();
    assert_eq!(memory.recall("mira", "silver key").await.unwrap().len(), 2);
    // Words of the text, and as the index keeps them.
    let words = ["chapel", "Ondrej", "ondrej"];
    assert!(holds(folder.path(), &words));

    let gone = memory.forget("mira", summary).await.unwrap();
    assert_eq!(gone.len(), 3);
    assert!(!holds(folder.path(), &words), "while the database is open");
    for id in gone {
        let error = memory.get_memory("mira", id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    let left = memory.recall("mira", "silver key").await.unwrap();
    assert_eq!(left.len(), 1);
    let embedded = embedder.texts();
    let texts = secrets.map(String::from);
    memory.generate_embeddings_batch(&texts).await.unwrap();
    assert_eq!(embedder.texts(), embedded + 2, "no cache holds its vectors");
    memory.close().await.unwrap();
    assert!(!holds(folder.path(), &words), "and when it is closed");
}

#[tokio::test]
async fn consolidation_is_undone_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing but the consolidation is to leave a trace.
    let config = || MemoryConfig {
        access_counting: AccessCounting::Off,
        ..MemoryConfig::default()
    };
    let (memory, _) = open_with(folder.path(), config()).await;
    let ids = memory
        .retain_batch(vec![
            item("The ferry left the harbour at dawn.").with_importance(0.3),
            item("The ferry left the harbour at dawn!").with_tag("ferry"),
            item("Bread is dear."),
        ])
        .await
        .unwrap();
    let before = all(&memory, ListScope::Live).await;
    let request = ConsolidateRequest::new().min_similarity(0.6);
    let done = memory.consolidate_with("mira", &request).await.unwrap();
    assert_eq!(done.summaries.len(), 1);
    let found = memory.recall("mira", "ferry harbour").await.unwrap();
    assert_eq!(found[0].memory.id, done.summaries[0].id);
    assert_eq!(
        (found.len(), all(&memory, ListScope::Archived).await.len()),
        (2, 2)
    );
    memory.close().await.unwrap();

    let (memory, _) = open_with(folder.path(), config()).await;
    let mut restored = memory
        .undo_consolidation("mira", done.summaries[0].id)
        .await
        .unwrap();
    restored.sort();
    assert_eq!(restored, ids[..2]);
    assert_eq!(all(&memory, ListScope::Live).await, before);
    let text = "The ferry left the harbour at dawn.";
    let found = memory.recall("mira", text).await.unwrap();
    assert_eq!(found.len(), 3);
    assert!(
        found.iter().any(|one| one.similarity > Some(0.99)),
        "its vectors came back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_is_exact_under_sixteen_writers() {
    for policy in [LimitPolicy::Reject, LimitPolicy::Prune] {
        let folder = tempfile::tempdir().unwrap();
        let config = MemoryConfig {
            max_memories_per_entity: Some(20),
            limit_policy: policy,
            ..MemoryConfig::default()
        };
        let (memory, _) = open_with(folder.path(), config).await;
        let writers: Vec<_> = (0..16)
            .map(|writer| {
                let memory = memory.clone();
                tokio::spawn(async move {
                    let mut written = 0;
                    for n in 0..4 {
                        let said = item(&format!("writer {writer} says {n}"));
                        match memory.retain_batch(vec![said]).await {
                            Ok(_) => written += 1,
                            Err(error) => assert_eq!(error.kind(), ErrorKind::LimitReached),
                        }
                    }
                    written
                })
            })
            .collect();
        let mut written = 0;
        for writer in writers {
            written += writer.await.unwrap();
        }
        let expected = if policy == LimitPolicy::Prune { 64 } else { 20 };
        assert_eq!(written, expected);
        assert_eq!(memory.entity_stats("mira").await.unwrap().memory_count, 20);
    }
}

#[tokio::test]
async fn what_was_recalled_is_counted_when_the_system_closes() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    let id = memory
        .retain("mira", MemoryKind::World, SECRET)
        .await
        .unwrap();
    for _ in 0..3 {
        memory.recall("mira", "key").await.unwrap();
    }
    memory.close().await.unwrap();
    let memory = open(folder.path()).await;
    let counted = memory.get_memory("mira", id).await.unwrap();
    assert_eq!(counted.access_count, 3);
    assert!(counted.last_accessed.is_some());
}

fn numbered(n: u128) -> MemoryBatchItem {
    item(&format!("On day {n} the well was {n} feet deep."))
        .with_id(MemoryId::from(uuid::Uuid::from_u128(n + 1)))
}

#[tokio::test]
async fn a_stream_is_retained_batch_by_batch_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (memory, embedder) = open_with(folder.path(), MemoryConfig::default()).await;
    let mut progress = memory.retain_stream_in(stream::iter((0..1_000).map(numbered)), 64);
    let mut told = 0;
    while told < 256 {
        let batch = progress.next().await.unwrap().unwrap();
        assert_eq!(batch.ids.len(), 64);
        told += 64;
        assert_eq!(batch.retained, told);
    }
    drop(progress);
    let held = memory.entity_stats("mira").await.unwrap().memory_count;
    assert!(
        (256..=384).contains(&held),
        "two batches at most were under way: {held}"
    );

    let before = embedder.texts();
    let all: Vec<_> = memory
        .retain_stream(stream::iter((0..1_000).map(numbered)))
        .collect()
        .await;
    assert_eq!(all.len(), 4);
    assert_eq!(all.last().unwrap().as_ref().unwrap().retained, 1_000);
    let stats = memory.entity_stats("mira").await.unwrap();
    assert_eq!(stats.memory_count, 1_000);
    assert!(
        embedder.texts() - before <= 1_000 - 256,
        "what is there is passed over"
    );
}

#[tokio::test]
async fn a_stream_ends_with_its_first_error() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    let items = (0..100).map(|n| if n == 35 { item(" ") } else { numbered(n) });
    let mut progress = memory.retain_stream_in(stream::iter(items), 10);
    let mut told = Vec::new();
    while let Some(batch) = progress.next().await {
        told.push(batch);
    }
    assert_eq!(told.len(), 4);
    assert!(progress.next().await.is_none());
    let all = memory.entity_stats("mira").await.unwrap().memory_count;
    assert!(all <= 40, "at most one batch after the failed one: {all}");
    assert!(told[..3].iter().all(Result::is_ok));
    let error = told[3].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("item 5"), "{error}");
}
