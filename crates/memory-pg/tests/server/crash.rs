//! `kill -9` of the server during writes, also of snapshot pages: acknowledged writes are
//! kept, others can be retried, none is partial, and pages agree with rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memory_core::{
    EmbeddedMemory, EntityId, ErrorKind, Generation, MemoryFilter, MemoryResult, SnapshotPart,
    SnapshotState, Store,
};
use memory_pg::{PgOptions, PgStore};
use memory_testkit::fixtures;

use crate::memories;
use crate::server_process::with_server_process;
use crate::snapshot_pages::{kept, line, offered};

const WRITERS: usize = 3;
const BATCHES: usize = 400;
const SIZE: usize = 20;
/// The first of two formats of snapshot pages.
const FORMATS: u64 = u64::MAX - 4;

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_a_killed_server() {
    with_server_process(|server| async move {
        let options = PgOptions::new().acquire_timeout(Duration::from_millis(500));
        let store = Arc::new(options.connect(&server.url()).await.unwrap());
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { write_until_it_breaks(&store, number).await })
            })
            .collect();
        let pages = Arc::new(AtomicU64::new(0));
        let keepers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (store, pages) = (Arc::clone(&store), Arc::clone(&pages));
                tokio::spawn(
                    async move { keep_pages_until_it_breaks(&store, number, &pages).await },
                )
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(700)).await;
        let started = Instant::now();
        while pages.load(Ordering::SeqCst) < 3 {
            assert!(started.elapsed() < Duration::from_secs(60), "no pages");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill().await;
        for keeper in keepers {
            keeper.await.unwrap();
        }
        let mut acknowledged = Vec::new();
        for writer in writers {
            acknowledged.push(writer.await.unwrap());
        }
        assert!(
            acknowledged.iter().any(|count| *count < BATCHES),
            "too late to kill"
        );

        server.start().await;
        for number in 0..WRITERS {
            check_pages(&store, number).await;
        }
        for (number, acknowledged) in acknowledged.into_iter().enumerate() {
            whole_after_repetition(&store, number, acknowledged).await;
        }
        store.close().await.unwrap();
    })
    .await;
}

/// Writes batch after batch; gives how many were acknowledged.
async fn write_until_it_breaks(store: &PgStore, writer: usize) -> usize {
    for (done, batch) in batches(writer).iter().enumerate() {
        if let Err(error) = store.insert(batch).await {
            let kind = error.kind();
            let expected = [ErrorKind::Unavailable, ErrorKind::OutcomeUnknown];
            assert!(expected.contains(&kind), "{kind:?}: {error}");
            assert!(error.is_retryable());
            return done;
        }
    }
    BATCHES
}

async fn read_pages(store: &PgStore, writer: usize, format: u64) -> MemoryResult<SnapshotState> {
    let (entity, model) = (name(writer), fixtures::fingerprint());
    let pages = store.snapshot_pages().unwrap();
    pages.read(&entity, &model, format).await
}

/// Writes all pages of an entity again and again, and counts them: in two formats, of which
/// those of one replace those of the other.
async fn keep_pages_until_it_breaks(store: &PgStore, writer: usize, written: &AtomicU64) {
    let (entity, model) = (name(writer), fixtures::fingerprint());
    for format in (0..2).map(|format| FORMATS + format).cycle() {
        let kept = async {
            let state = read_pages(store, writer, format).await?;
            let pages = offered(&state);
            let count = pages.len() as u64;
            let store = store.snapshot_pages().unwrap();
            let write = store.write(&entity, &model, format, state.generation, pages);
            write.await.map(|()| count)
        };
        match kept.await {
            Ok(count) => {
                written.fetch_add(count, Ordering::SeqCst);
            }
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                return;
            }
        }
    }
}

/// Pages and rows together have every memory once, as it is.
async fn check_pages(store: &PgStore, writer: usize) {
    let (entity, model) = (name(writer), fixtures::fingerprint());
    let changes = store.changes_since(&entity, Generation::ZERO, &model);
    let live = changes.await.unwrap().written;
    let live: BTreeMap<_, _> = live.iter().map(|it| (it.memory.id, line(it))).collect();
    for format in (0..2).map(|format| FORMATS + format) {
        let state = read_pages(store, writer, format).await.unwrap();
        let rows = state.parts.iter().filter_map(|part| match part {
            SnapshotPart::Memories { memories, .. } => Some(memories),
            SnapshotPart::Page(_) => None,
        });
        let rows = rows.flatten().map(|item| (item.memory.id, line(item)));
        let found: Vec<_> = kept(&state).into_iter().flatten().chain(rows).collect();
        assert_eq!(found.len(), live.len());
        assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), live);
    }
}

async fn whole_after_repetition(store: &PgStore, writer: usize, acknowledged: usize) {
    let entity = name(writer);
    let found = store.count(&entity, &MemoryFilter::new()).await.unwrap();
    // The batch under way went in as a whole, or not at all.
    let whole = [acknowledged * SIZE, (acknowledged + 1) * SIZE];
    assert!(
        whole.contains(&usize::try_from(found).unwrap()),
        "{found} of {whole:?}"
    );
    for (number, batch) in batches(writer)[..(acknowledged + 1).min(BATCHES)]
        .iter()
        .enumerate()
    {
        let outcome = store.insert(batch).await.unwrap();
        if number < acknowledged {
            assert_eq!(
                outcome.inserted,
                vec![false; SIZE],
                "batch {number} was lost"
            );
        }
    }
    let stats = store.entity_stats(&entity).await.unwrap();
    let batches = (acknowledged + 1).min(BATCHES);
    assert_eq!(stats.memory_count, (batches * SIZE) as u64);
    assert_eq!(stats.generation, Generation(batches as u64));
}

fn batches(writer: usize) -> Vec<Vec<EmbeddedMemory>> {
    // The same in every call, ids included.
    let all = memories(name(writer).as_str(), BATCHES * SIZE);
    all.chunks(SIZE).map(<[_]>::to_vec).collect()
}

fn name(writer: usize) -> EntityId {
    EntityId::from(format!("writer {writer}"))
}
