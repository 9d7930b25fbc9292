//! `kill -9` of the server during writes: acknowledged writes are kept, others can
//! be retried, and none is partial.

use std::sync::Arc;
use std::time::Duration;

use memory_core::{EmbeddedMemory, EntityId, ErrorKind, Generation, MemoryFilter, Store};
use memory_pg::{PgOptions, PgStore};

use crate::memories;
use crate::server_process::with_server_process;

const WRITERS: usize = 3;
const BATCHES: usize = 400;
const SIZE: usize = 20;

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
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.kill().await;
        let mut acknowledged = Vec::new();
        for writer in writers {
            acknowledged.push(writer.await.unwrap());
        }
        assert!(
            acknowledged.iter().any(|count| *count < BATCHES),
            "too late to kill"
        );

        server.start().await;
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
