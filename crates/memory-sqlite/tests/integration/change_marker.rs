//! The change marker: equal while nothing is committed, different after every
//! commit of any store or process.

use std::collections::BTreeMap;
use std::time::Duration;

use memory_core::{AccessUpdate, ByteSize, EntityId, EntityStats, MemoryPatch, Store, Writers};
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::SeededRng;
use memory_testkit::fixtures::{at, varied_memories};
use proptest::prelude::*;
use tempfile::tempdir;

use crate::common::{ids, memories, mira, open};

#[tokio::test]
async fn the_marker_changes_with_every_kind_of_write() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let (store, other) = (open(&path).await, open(&path).await);
    assert_eq!(store.capabilities().writers, Writers::Shared);
    let batch = memories(4, 1);
    let id = batch[0].memory.id;
    let mut seen = vec![store.change_marker().unwrap()];
    let mut check = || {
        let marker = store.change_marker().unwrap();
        assert_eq!(
            other.change_marker(),
            Some(marker),
            "the same for every store"
        );
        assert!(
            !seen.contains(&marker),
            "marker {} was used before",
            seen.len()
        );
        seen.push(marker);
    };
    other.insert(&batch).await.unwrap();
    check();
    let patch = MemoryPatch::new().importance(0.1);
    other.update(&mira(), &id, &patch, None).await.unwrap();
    check();
    let access = AccessUpdate::new(mira(), id, 1, at(0));
    other
        .record_accesses(&[access], Duration::ZERO)
        .await
        .unwrap();
    check();
    other.delete(&mira(), &[id]).await.unwrap();
    check();
    store.insert(&memories(1, 2)).await.unwrap();
    check();
}

#[tokio::test]
async fn reading_does_not_change_the_marker() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = memories(4, 1);
    let store = open(&path).await;
    store.insert(&batch).await.unwrap();
    let marker = store.change_marker().unwrap();
    let reader = SqliteStore::open_with(SqliteOptions::new(&path).read_only())
        .await
        .unwrap();
    reader.get(&mira(), &ids(&batch)).await.unwrap();
    store.entity_stats(&mira()).await.unwrap();
    assert_eq!(reader.change_marker(), Some(marker));
    assert_eq!(store.change_marker(), Some(marker));
}

#[tokio::test]
async fn a_closed_store_and_one_in_memory_have_no_marker() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    store.close().await.unwrap();
    assert_eq!(store.change_marker(), None);
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    assert_eq!(store.change_marker(), None);
    assert_eq!(store.capabilities().writers, Writers::Exclusive);
}

/// The marker's descriptor must not release the locks that SQLite holds: a
/// write that is under way in one store still keeps other stores and processes
/// from writing after a third store has been closed.
#[tokio::test]
async fn reading_the_marker_releases_no_locks() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let keeper = open(&path).await;
    keeper.change_marker().unwrap();
    let mut writer = crate::common::connect(&path).await;
    sqlx::raw_sql("BEGIN IMMEDIATE; UPDATE entity SET generation = generation")
        .execute(&mut writer)
        .await
        .unwrap();
    for _ in 0..3 {
        let passing = open(&path).await;
        passing.change_marker().unwrap();
        passing.close().await.unwrap();
    }
    // Locks of the same process never exclude each other in the kernel, so
    // another process has to ask.
    let locked = crate::processes::try_to_write_in_another_process(&path);
    assert!(!locked, "another process could write during a transaction");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut writer)
        .await
        .unwrap();
    assert!(crate::processes::try_to_write_in_another_process(&path));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Insert(u8),
    Delete(u8),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    let step = prop_oneof![
        4 => (0u8..3).prop_map(Step::Insert),
        2 => (0u8..3).prop_map(Step::Delete),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec((any::<bool>(), step), 1..25)
}

async fn states(store: &SqliteStore, entities: &[EntityId]) -> Vec<EntityStats> {
    let mut states = Vec::new();
    for entity in entities {
        states.push(store.entity_stats(entity).await.unwrap());
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Two stores write, delete, close and open in any order, with a small
    /// cache and a log that is truncated often: equal markers mean equal states.
    #[test]
    fn equal_markers_mean_equal_states(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempdir().unwrap();
            let options = SqliteOptions::new(folder.path().join("agent.db"))
                .cache_size(ByteSize::mebibytes(1));
            let open = async || SqliteStore::open_with(options.clone()).await.unwrap();
            let entities: Vec<EntityId> = (0..3).map(|n| EntityId::from(format!("e{n}"))).collect();
            let observer = open().await;
            let mut stores = [open().await, open().await];
            let mut rng = SeededRng::new(1);
            let mut known = BTreeMap::new();
            for (which, step) in steps {
                let store = &mut stores[usize::from(which)];
                match step {
                    Step::Insert(n) => {
                        let batch = varied_memories(&entities[usize::from(n)], 2, &mut rng);
                        store.insert(&batch).await.unwrap();
                    }
                    Step::Delete(n) => {
                        let entity = &entities[usize::from(n)];
                        let request = memory_core::ListRequest::new(2);
                        let page = store.list(entity, &request).await.unwrap();
                        let ids: Vec<_> = page.memories.iter().map(|memory| memory.id).collect();
                        store.delete(entity, &ids).await.unwrap();
                    }
                    Step::Reopen => {
                        store.close().await.unwrap();
                        *store = open().await;
                    }
                }
                let marker = observer.change_marker();
                prop_assert!(marker.is_some());
                let state = states(&observer, &entities).await;
                let marker = format!("{marker:?}");
                let before = known.entry(marker).or_insert_with(|| state.clone());
                prop_assert_eq!(&*before, &state);
            }
            Ok(())
        })?;
    }
}
