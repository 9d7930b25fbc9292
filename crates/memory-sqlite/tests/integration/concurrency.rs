//! Many tasks on one store, and dropped futures.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use memory_core::{
    DenseQuery, EmbeddedMemory, EntityId, ErrorKind, Generation, InsertOptions, ListRequest,
    MemoryError, MemoryFilter, MemoryId, SearchRequest, Store,
};
use memory_sqlite::SqliteStore;
use memory_testkit::fixtures::{DIMENSIONS, fingerprint, varied_memories};
use memory_testkit::{SeededRng, wait_until};
use tempfile::tempdir;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::common::{ids, memories, mira, open};
use crate::running_conversion::HeldConversion;

fn both_retrievers(rng: &mut SeededRng) -> SearchRequest {
    SearchRequest {
        sample: 0,
        filter: MemoryFilter::new(),
        limit: 10,
        dense: Some(DenseQuery {
            chunk_discount: 0.0,
            fingerprint: fingerprint(),
            vector: rng.vector(DIMENSIONS),
        }),
        lexical: Some("amber lantern saddle".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_tasks_write_and_read_at_once() {
    const ROUNDS: u64 = 12;
    let folder = tempdir().unwrap();
    let store = Arc::new(open(&folder.path().join("agent.db")).await);
    let shared = EntityId::from("shared");
    let tasks: Vec<_> = (0..8u64)
        .map(|task| {
            let (store, shared) = (Arc::clone(&store), shared.clone());
            tokio::spawn(async move {
                let mut rng = SeededRng::new(task);
                let own = EntityId::from(format!("own{task}"));
                for round in 0..ROUNDS {
                    let mut batch = varied_memories(&own, 5, &mut rng);
                    batch.extend(varied_memories(&shared, 3, &mut rng));
                    let outcome = store.insert(&batch).await.unwrap();
                    assert_eq!(outcome.generations[&own], Generation(2 * round + 1));
                    let removed = store.delete(&own, &ids(&batch[..2])).await.unwrap();
                    assert_eq!(removed.removed.len(), 2);
                    let stats = store.entity_stats(&own).await.unwrap();
                    assert_eq!(stats.memory_count, 3 * (round + 1));
                    let found = store
                        .search(&own, &both_retrievers(&mut rng))
                        .await
                        .unwrap();
                    assert!(found.candidates.len() >= 3);
                    let stats = store.entity_stats(&shared).await.unwrap();
                    assert_eq!(stats.memory_count, stats.generation.0 * 3, "whole batches");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let stats = store.entity_stats(&shared).await.unwrap();
    assert_eq!(stats.generation, Generation(8 * ROUNDS));
    assert_eq!(store.list_entities(None, 100).await.unwrap().len(), 9);
}

/// Inserts that wait share a transaction; one that fails takes no other along,
/// and each caller gets its own outcome.
#[tokio::test]
async fn inserts_at_the_same_time_have_their_own_outcomes() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let mut rng = SeededRng::new(5);
    let entity = |number: usize| EntityId::from(format!("agent-{number}"));
    let known = varied_memories(&entity(0), 2, &mut rng);
    store.insert(&known).await.unwrap();

    let mut batches: Vec<_> = (1..40)
        .map(|number| varied_memories(&entity(number % 30), 1 + number % 3, &mut rng))
        .collect();
    let mut conflict = known[0].clone();
    conflict.memory.content.push_str(" and more");
    batches.insert(
        7,
        vec![
            varied_memories(&entity(50), 1, &mut rng).remove(0),
            conflict,
        ],
    );
    let unlimited = InsertOptions::unlimited();
    let limited = InsertOptions {
        max_memories: Some(1),
        ..InsertOptions::default()
    };
    let over_limit = varied_memories(&entity(60), 2, &mut rng);
    let again = known.clone();
    let inserts = batches
        .iter()
        .map(|batch| store.insert_opts(batch, &unlimited))
        .chain([
            store.insert_opts(&over_limit, &limited),
            store.insert_opts(&again, &unlimited),
        ]);
    let mut outcomes = futures_util::future::join_all(inserts).await;

    assert_eq!(outcomes.pop().unwrap().unwrap().inserted, [false, false]);
    let refused = outcomes.pop().unwrap().unwrap_err();
    assert!(
        matches!(
            refused,
            MemoryError::LimitReached {
                count: 2,
                max: 1,
                ..
            }
        ),
        "{refused}"
    );
    let refused = outcomes.remove(7).unwrap_err();
    assert!(matches!(refused, MemoryError::Conflict { .. }), "{refused}");
    batches.remove(7);
    for (batch, outcome) in batches.iter().zip(outcomes) {
        let outcome = outcome.unwrap();
        assert_eq!(outcome.inserted, vec![true; batch.len()]);
        let name = &batch[0].memory.entity_id;
        assert_eq!(outcome.generations.keys().collect::<Vec<_>>(), [name]);
        let stored = store.get(name, &ids(batch)).await.unwrap();
        assert_eq!(stored.memories.iter().flatten().count(), batch.len());
    }
    for (number, generation) in [(1, 2), (9, 2), (10, 1), (0, 2), (50, 0), (60, 0)] {
        let stats = store.entity_stats(&entity(number)).await.unwrap();
        assert_eq!(stats.generation, Generation(generation), "agent {number}");
    }
    store.close().await.unwrap();
}

/// Each insert begins while the task that ran the one before is ending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inserts_in_a_row_have_their_outcomes() {
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    for seed in 0..1_000 {
        let outcome = store.insert(&memories(1, seed)).await.unwrap();
        assert_eq!(outcome.inserted, [true]);
    }
}

/// Futures dropped at any moment leave the connections usable and no partial
/// write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_futures_leave_no_partial_write() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let mut rng = SeededRng::new(3);
    for round in 0..150u64 {
        let delay = Duration::from_micros(rng.below(4_000) as u64);
        let batch = memories(20, 1_000 + round);
        let request = both_retrievers(&mut rng);
        let dropped = async {
            store.insert(&batch).await.unwrap();
            store.search(&mira(), &request).await.unwrap();
            store.delete(&mira(), &ids(&batch[..10])).await.unwrap();
        };
        let _ = tokio::time::timeout(delay, dropped).await;
    }
    let last = memories(20, 9);
    store.insert(&last).await.unwrap();
    let stats = store.entity_stats(&mira()).await.unwrap();
    assert_eq!(stats.memory_count % 10, 0, "whole batches only");
    let listed = store.list(&mira(), &ListRequest::new(1)).await.unwrap();
    assert_eq!(listed.generation, stats.generation);
    let got = store.get(&mira(), &ids(&last)).await.unwrap();
    assert_eq!(got.memories.iter().flatten().count(), 20);
    store.close().await.unwrap();
}

/// A database in memory is one connection, which dropped futures must not
/// close.
#[tokio::test]
async fn dropped_futures_do_not_lose_a_database_in_memory() {
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    store.insert(&memories(20, 1)).await.unwrap();
    let mira = mira();
    for steps in (0..40).cycle().take(2_000) {
        let mut call = store.entity_stats(&mira);
        for _ in 0..steps {
            if poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready())).await {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let stats = store.entity_stats(&mira).await.unwrap();
    assert_eq!(stats.memory_count, 20);
}

/// More rows than one block, so that blocking threads process them.
#[tokio::test]
async fn large_entities_are_read_completely() {
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    let batch = memories(5_000, 4);
    let outcome = store.insert(&batch).await.unwrap();
    assert_eq!(outcome.inserted, vec![true; 5_000]);
    let changes = store
        .changes_since(&mira(), Generation::ZERO, &fingerprint())
        .await
        .unwrap();
    let mut got = changes.written;
    let mut wanted = batch.clone();
    got.sort_by_key(|one| one.memory.id);
    wanted.sort_by_key(|one| one.memory.id);
    assert!(got == wanted);
    // The most similar memory to a stored vector is its own, in every block.
    for one in batch.iter().step_by(701) {
        let request = SearchRequest {
            sample: 0,
            filter: MemoryFilter::new(),
            limit: 1,
            dense: Some(DenseQuery {
                chunk_discount: 0.0,
                fingerprint: fingerprint(),
                vector: one.embedding.vectors[0].clone(),
            }),
            lexical: None,
        };
        let found = store.search(&mira(), &request).await.unwrap();
        assert_eq!(found.candidates[0].memory.id, one.memory.id);
    }
    let again = store.insert(&batch).await.unwrap();
    assert_eq!(again.inserted, vec![false; 5_000]);
    assert_eq!(again.generations[&mira()], Generation(1));
    let removed = store.delete(&mira(), &ids(&batch)).await.unwrap();
    let gone: BTreeSet<MemoryId> = removed.removed.into_iter().collect();
    assert!(gone == ids(&batch).into_iter().collect());
    assert_eq!(store.entity_stats(&mira()).await.unwrap().memory_count, 0);
}

/// Each insert that runs or waits when the store is closed is complete, or refused and absent.
#[tokio::test(flavor = "multi_thread")]
async fn inserts_during_a_close_are_acknowledged_or_absent() {
    // An insert may not have come to the connection when the close begins.
    const ATTEMPTS: usize = 20;
    for _ in 0..ATTEMPTS {
        if insert_during_a_close().await > 0 {
            return;
        }
    }
    panic!("no insert was running when the store was closed");
}

/// Returns how many inserts that ran or waited at the close were written.
async fn insert_during_a_close() -> usize {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = Arc::new(open(&path).await);
    let batch = memories(200, 3);
    let insert = |item: &EmbeddedMemory| {
        let (store, item) = (Arc::clone(&store), item.clone());
        tokio::spawn(async move { store.insert(&[item]).await })
    };
    // Nothing is written before the close begins.
    let held = HeldConversion::hold(&path).await;
    let mut inserts: Vec<_> = batch[..150].iter().map(insert).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let closed = Arc::clone(&store);
    let close = tokio::spawn(async move { closed.close().await });
    let (owner, none) = (mira(), MemoryFilter::new());
    wait_until("the store is closed", async || {
        store.count(&owner, &none).await.is_err()
    })
    .await;
    inserts.extend(batch[150..].iter().map(insert));
    held.release().await;
    close.await.unwrap().unwrap();
    let (mut written, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for (insert, id) in inserts.into_iter().zip(ids(&batch)) {
        match insert.await.unwrap() {
            Ok(_) => written.insert(id),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
                refused.insert(id)
            }
        };
    }
    assert!(refused.len() >= 50, "those after the close are refused");
    let store = open(&path).await;
    for (ids, is_there) in [(&written, true), (&refused, false)] {
        let ids: Vec<MemoryId> = ids.iter().copied().collect();
        let found = store.get(&mira(), &ids).await.unwrap();
        assert!(found.memories.iter().all(|it| it.is_some() == is_there));
    }
    written.len()
}

/// Long computations of a transaction would wait for a second thread forever.
#[test]
fn a_runtime_with_one_blocking_thread_is_enough() {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let work = async {
        let store = open(&path).await;
        for seed in 1..=4 {
            store.insert(&memories(513, seed)).await.unwrap();
        }
        let request = both_retrievers(&mut SeededRng::new(1));
        // The second one meets the pages that are being made.
        for _ in 0..2 {
            store.search(&mira(), &request).await.unwrap();
            store.insert(&memories(1, 9)).await.unwrap();
        }
        store.close().await.unwrap();
    };
    runtime
        .block_on(async { timeout(Duration::from_secs(60), work).await })
        .unwrap();
}
