//! Tombstones: read only by those who need them, and dropped when there are
//! more than an entity has memories.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{ChangeSet, Generation, Memory, MemoryId, Store};
use memory_sqlite::SqliteStore;
use memory_testkit::SeededRng;
use memory_testkit::fixtures::{fingerprint, varied_memories};
use sqlx::Connection;
use tempfile::tempdir;

use crate::common::{connect, ids, memories, mira, open};

type State = BTreeMap<MemoryId, Memory>;

async fn changes(store: &SqliteStore, since: u64) -> ChangeSet {
    store
        .changes_since(&mira(), Generation(since), &fingerprint())
        .await
        .unwrap()
}

/// The state after applying changes to an earlier one.
fn apply(mut state: State, changes: ChangeSet) -> State {
    if changes.reset {
        state.clear();
    }
    for id in changes.removed {
        state.remove(&id);
    }
    let written = changes.written.into_iter();
    state.extend(written.map(|one| (one.memory.id, one.memory)));
    state
}

async fn count_tombstones(path: &std::path::Path) -> i64 {
    let mut conn = connect(path).await;
    let count = sqlx::query_scalar("SELECT count(*) FROM memory_tombstone")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    count
}

/// An agent that forgets as much as it learns: 20 memories, 6,000 ever.
#[tokio::test]
async fn tombstones_do_not_outgrow_the_memories() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    store.insert(&memories(20, 1)).await.unwrap();
    let mut states: Vec<(u64, State)> = Vec::new();
    let mut rng = SeededRng::new(2);
    let mut largest = 0;
    for round in 0..20 {
        let whole = changes(&store, 0).await;
        assert_eq!(
            whole.removed,
            [],
            "a load of the whole state reads no removals"
        );
        states.push((whole.generation.0, apply(State::new(), whole)));
        let batch = varied_memories(&mira(), 300, &mut rng);
        store.insert(&batch).await.unwrap();
        store.delete(&mira(), &ids(&batch)).await.unwrap();
        if round % 5 == 4 {
            largest = largest.max(count_tombstones(&path).await);
        }
    }
    assert!((500..=1_000).contains(&largest), "{largest} tombstones");

    let (mut resets, mut deltas) = (0, 0);
    let present = apply(State::new(), changes(&store, 0).await);
    assert_eq!(present.len(), 20);
    for (generation, state) in states {
        let changes = changes(&store, generation).await;
        if changes.reset {
            assert_eq!(changes.removed, []);
            resets += 1;
        } else {
            deltas += 1;
        }
        assert!(apply(state, changes) == present, "from {generation}");
    }
    assert!(resets > 0, "old readers start over");
    assert!(deltas > 0, "recent readers do not");
}

/// Ids that come and go again are counted exactly before anything is dropped.
#[tokio::test]
async fn inserting_ids_again_drops_no_tombstones() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let batch = memories(400, 1);
    for _ in 0..4 {
        store.insert(&batch).await.unwrap();
        store.delete(&mira(), &ids(&batch)).await.unwrap();
    }
    let changes = changes(&store, 1).await;
    assert!(!changes.reset);
    let removed: BTreeSet<MemoryId> = changes.removed.into_iter().collect();
    assert!(removed == ids(&batch).into_iter().collect());
}

/// One removal larger than the limit drops its own tombstones.
#[tokio::test]
async fn a_large_removal_is_compacted_at_once() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let kept = memories(3, 1);
    let batch = memories(2_000, 2);
    store.insert(&kept).await.unwrap();
    store.insert(&batch).await.unwrap();
    // More than the memories that were there before: no tombstone is dropped
    // while there are as many memories.
    store.delete(&mira(), &ids(&batch[..900])).await.unwrap();
    store.delete(&mira(), &ids(&batch[900..])).await.unwrap();
    assert!(count_tombstones(&path).await <= 1_100);
    let changes = changes(&store, 1).await;
    assert!(changes.reset);
    assert_eq!(changes.written.len(), 3);
    assert_eq!(changes.generation, Generation(4));
}
