//! Tombstones: their number is limited, and readers that are too old get the whole
//! state.

use std::collections::BTreeSet;

use memory_core::{ChangeSet, EntityId, Generation, InsertOptions, MemoryId, Store};
use memory_pg::PgStore;
use memory_testkit::fixtures;

use crate::memories;
use crate::support::{connect, with_database};

const SIZE: usize = 2_600;
const BATCH: usize = 200;

async fn tombstones(url: &str) -> usize {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM memory_tombstone")
        .fetch_one(&mut connect(url).await)
        .await
        .unwrap();
    usize::try_from(count).unwrap()
}

async fn changes(store: &PgStore, since: u64) -> ChangeSet {
    let mira = EntityId::from("mira");
    let model = fixtures::fingerprint();
    let changes = store.changes_since(&mira, Generation(since), &model);
    changes.await.unwrap()
}

fn written(changes: &ChangeSet) -> BTreeSet<MemoryId> {
    changes.written.iter().map(|it| it.memory.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_tombstones_are_removed_and_old_readers_start_over() {
    with_database(|url| async move {
        let store = PgStore::connect(&url).await.unwrap();
        let mira = EntityId::from("mira");
        let all = memories("mira", SIZE);
        let ids: Vec<MemoryId> = all.iter().map(|item| item.memory.id).collect();
        store.insert(&all).await.unwrap();
        let (gone, kept) = ids.split_at(SIZE - BATCH);
        for (round, batch) in gone.chunks(BATCH).enumerate() {
            store.delete(&mira, batch).await.unwrap();
            let left = tombstones(&url).await;
            let live = SIZE - (round + 1) * BATCH;
            assert!(left <= live.max(1_000), "{left} tombstones, {live} live");
        }
        let live: BTreeSet<MemoryId> = kept.iter().copied().collect();
        let generation = store.entity_stats(&mira).await.unwrap().generation;

        let whole = changes(&store, 0).await;
        assert!(!whole.reset);
        assert_eq!(whole.removed, []);
        assert_eq!(written(&whole), live);

        // Every reader ends with the same state, by the changes or the whole.
        let mut were_reset = 0;
        for since in 1..=generation.0 {
            let seen = usize::try_from(since - 1).unwrap() * BATCH;
            let mut state: BTreeSet<MemoryId> = ids[seen..].iter().copied().collect();
            let delta = changes(&store, since).await;
            assert_eq!(delta.generation, generation);
            if delta.reset {
                state.clear();
                assert_eq!(delta.removed, []);
                were_reset += 1;
            }
            state.retain(|id| !delta.removed.contains(id));
            state.extend(written(&delta));
            assert_eq!(state, live, "since {since}");
        }
        assert!(were_reset > 0, "no reader was too old");
        assert!(
            !changes(&store, generation.0 - 1).await.reset,
            "the newest was"
        );
    })
    .await;
}

/// Evictions leave tombstones as well.
#[tokio::test(flavor = "multi_thread")]
async fn evictions_are_compacted_too() {
    with_database(|url| async move {
        let store = PgStore::connect(&url).await.unwrap();
        let mira = EntityId::from("mira");
        let all = memories("mira", 1_300);
        store.insert(&all[..1_200]).await.unwrap();
        let evicted = all[..1_150].iter().map(|item| item.memory.id);
        let options = InsertOptions::at_most(1_000_000).evict(mira.clone(), evicted);
        store.insert_opts(&all[1_200..], &options).await.unwrap();
        assert_eq!(tombstones(&url).await, 0, "all of one generation");
        let whole = changes(&store, 1).await;
        assert!(whole.reset);
        assert_eq!(written(&whole).len(), 150);
    })
    .await;
}
