//! Handles of writers: their change marker stays equal over their own commits, and
//! over no one else's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use memory_core::{
    AccessUpdate, EmbeddedMemory, EntityId, Generation, InsertOptions, ListRequest, MemoryPatch,
    Store, SummaryGroup,
};
use memory_sqlite::SqliteStore;
use memory_testkit::SeededRng;
use memory_testkit::fixtures::{at, consolidation, varied_memories};
use proptest::prelude::*;
use tempfile::tempdir;

use crate::common::{connect, memories, mira, open};

fn handle(store: &dyn Store) -> Arc<dyn Store> {
    store.writer_handle().unwrap()
}

/// Two commits of its own, so that it knows the last one.
async fn settle(handle: &dyn Store) {
    for seed in 100..102 {
        handle.insert(&memories(1, seed)).await.unwrap();
        handle.change_marker().unwrap();
    }
}

#[tokio::test]
async fn the_marker_of_a_handle_outlasts_every_kind_of_own_write() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let own = handle(&store);
    settle(&*own).await;
    let marker = own.change_marker().unwrap();
    let check = |what: &str| assert_eq!(own.change_marker(), Some(marker), "{what}");
    let batch = memories(6, 1);
    let id = |n: usize| batch[n].memory.id;
    own.insert(&batch).await.unwrap();
    check("insert");
    own.insert(&batch).await.unwrap();
    check("an insert of what is there");
    let patch = MemoryPatch::new().importance(0.1);
    own.update(&mira(), &id(0), &patch, None).await.unwrap();
    check("update");
    let access = AccessUpdate::new(mira(), id(0), 1, at(0));
    own.record_accesses(&[access], Duration::ZERO)
        .await
        .unwrap();
    check("record_accesses");
    let read_at = own.entity_stats(&mira()).await.unwrap().generation;
    let replaced = [(id(0), batch[1].embedding.clone())];
    own.replace_vectors(&mira(), &replaced, read_at)
        .await
        .unwrap();
    check("replace_vectors");
    let group: SummaryGroup =
        consolidation(&mira(), "in short", [id(1), id(2)], &mut SeededRng::new(2));
    let read_at = own.entity_stats(&mira()).await.unwrap().generation;
    own.consolidate(&mira(), &[group], read_at).await.unwrap();
    check("consolidate");
    // These truncate the log, which writes its header again.
    own.delete(&mira(), &[id(3)]).await.unwrap();
    check("delete");
    let evicting = InsertOptions::unlimited().evict(mira(), vec![id(4)]);
    own.insert_opts(&memories(1, 3), &evicting).await.unwrap();
    check("an insert that evicts");
    own.insert(&memories(1, 4)).await.unwrap();
    check("an insert into a log that begins again");
    let mut taken = batch[0].clone();
    taken.memory.content = "other content".to_owned();
    own.insert(&[taken]).await.unwrap_err();
    own.insert(&memories(1, 5)).await.unwrap();
    own.insert(&memories(1, 6)).await.unwrap();
    assert!(own.change_marker().is_some(), "after a refused insert");
    store.close().await.unwrap();
    assert_eq!(own.change_marker(), None, "of a closed store");
}

#[tokio::test]
async fn a_database_without_other_writers_has_no_handles() {
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    assert!(store.writer_handle().is_none());
}

/// Concurrent inserts of two writers share transactions: each sees that the other
/// wrote.
#[tokio::test]
async fn a_shared_transaction_changes_the_marker_of_each_writer() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let writers = [handle(&store), handle(&store)];
    for round in 0..20 {
        let before = writers.each_ref().map(|one| one.change_marker().unwrap());
        let batch = |writer: usize| {
            let entity = EntityId::from(format!("writer {writer}"));
            varied_memories(&entity, 1, &mut SeededRng::new(round))
        };
        let (one, two) = (batch(0), batch(1));
        let (one, two) = tokio::join!(writers[0].insert(&one), writers[1].insert(&two));
        one.unwrap();
        two.unwrap();
        for (writer, before) in writers.iter().zip(before) {
            assert_ne!(writer.change_marker(), Some(before));
        }
    }
}

/// Who writes.
#[derive(Debug, Clone, Copy)]
enum Writer {
    Own,
    OtherHandle,
    Store,
    OtherStore,
    /// A connection that is none of a store's, as of another process.
    Connection,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Insert(Writer),
    Delete(Writer),
    Refused(Writer),
    /// The other store closes and opens.
    Reopen,
    /// A connection truncates the log.
    Truncate,
    Look,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let writer = || {
        prop_oneof![
            6 => Just(Writer::Own),
            1 => Just(Writer::OtherHandle),
            1 => Just(Writer::Store),
            1 => Just(Writer::OtherStore),
            1 => Just(Writer::Connection),
        ]
    };
    let step = prop_oneof![
        6 => writer().prop_map(Step::Insert),
        2 => writer().prop_map(Step::Delete),
        1 => writer().prop_map(Step::Refused),
        1 => Just(Step::Reopen),
        1 => Just(Step::Truncate),
        6 => Just(Step::Look),
    ];
    prop::collection::vec(step, 1..40)
}

struct Database {
    path: PathBuf,
    store: SqliteStore,
    other_store: SqliteStore,
    own: Arc<dyn Store>,
    other: Arc<dyn Store>,
    rng: SeededRng,
}

/// Waits until the log that a store found when it was opened is truncated, which changes
/// markers. A test that waits in vain ends by its time limit.
async fn truncated(database: &Path) {
    let log = database.with_extension("db-wal");
    while fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Database {
    async fn open(path: &Path) -> Self {
        let store = open(path).await;
        let other_store = open(path).await;
        truncated(path).await;
        Self {
            path: path.to_owned(),
            other_store,
            own: handle(&store),
            other: handle(&store),
            store,
            rng: SeededRng::new(1),
        }
    }

    fn writer(&self, writer: Writer) -> &dyn Store {
        match writer {
            Writer::Own => &*self.own,
            Writer::OtherHandle => &*self.other,
            Writer::Store | Writer::Connection => &self.store,
            Writer::OtherStore => &self.other_store,
        }
    }

    async fn truncate(&self) {
        let mut connection = connect(&self.path).await;
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut connection)
            .await
            .unwrap();
    }

    async fn insert(&mut self, writer: Writer) {
        if matches!(writer, Writer::Connection) {
            let mut connection = connect(&self.path).await;
            sqlx::raw_sql(
                "INSERT INTO entity (entity_id, generation) VALUES ('Connection', 1)
                 ON CONFLICT (entity_id) DO UPDATE SET generation = generation + 1",
            )
            .execute(&mut connection)
            .await
            .unwrap();
            return;
        }
        let batch = varied_memories(&entity(writer), 1, &mut self.rng);
        self.writer(writer).insert(&batch).await.unwrap();
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Insert(writer) => self.insert(writer).await,
            Step::Delete(writer) => {
                let (store, entity) = (self.writer(writer), entity(writer));
                let page = store.list(&entity, &ListRequest::new(1)).await.unwrap();
                let ids: Vec<_> = page.memories.iter().map(|memory| memory.id).collect();
                store.delete(&entity, &ids).await.unwrap();
            }
            Step::Refused(writer) => {
                let (store, entity) = (self.writer(writer), entity(writer));
                let page = store.list(&entity, &ListRequest::new(1)).await.unwrap();
                let Some(mut memory) = page.memories.into_iter().next() else {
                    return;
                };
                memory.content.push('!');
                let embedding = memories(1, 1).remove(0).embedding;
                let batch = [EmbeddedMemory { memory, embedding }];
                store.insert(&batch).await.unwrap_err();
            }
            Step::Reopen => {
                self.other_store.close().await.unwrap();
                self.other_store = open(&self.path).await;
                truncated(&self.path).await;
            }
            Step::Truncate => self.truncate().await,
            Step::Look => {}
        }
    }

    /// The generations that others wrote.
    async fn foreign(&self) -> Vec<Generation> {
        let mut generations = Vec::new();
        for writer in [
            Writer::OtherHandle,
            Writer::Store,
            Writer::OtherStore,
            Writer::Connection,
        ] {
            let stats = self.store.entity_stats(&entity(writer)).await.unwrap();
            generations.push(stats.generation);
        }
        generations
    }
}

fn entity(writer: Writer) -> EntityId {
    EntityId::from(format!("{writer:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// In any order of writes by anyone, equal markers of a handle mean that
    /// others wrote nothing; and a second look after own writes alone finds the
    /// same marker.
    #[test]
    fn equal_markers_mean_that_others_wrote_nothing(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempdir().unwrap();
            let mut database = Database::open(&folder.path().join("agent.db")).await;
            let mut known = BTreeMap::new();
            // The marker after the last own write, while nobody else did anything.
            let mut expected = None;
            for step in steps {
                database.step(step).await;
                if matches!(step, Step::Refused(_)) {
                    expected = None;
                    continue;
                }
                let is_own = matches!(step, Step::Insert(Writer::Own));
                if !is_own && !matches!(step, Step::Look) {
                    expected = None;
                }
                if !is_own && !matches!(step, Step::Look) && known.len() % 2 == 0 {
                    // Some writes of others are followed by an own one at once.
                    continue;
                }
                let marker = database.own.change_marker();
                prop_assert!(marker.is_some());
                let foreign = database.foreign().await;
                let before = known.entry(format!("{marker:?}")).or_insert_with(|| foreign.clone());
                prop_assert_eq!(&*before, &foreign);
                if expected.is_some() {
                    prop_assert_eq!(marker, expected);
                }
                if is_own {
                    expected = marker;
                }
            }
            Ok(())
        })?;
    }
}

/// While three writers commit at once, no marker of one spans a commit of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn markers_are_sound_while_everyone_writes() {
    let folder = tempdir().unwrap();
    let database = Arc::new(Database::open(&folder.path().join("agent.db")).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let observer = tokio::spawn({
        let (database, is_over) = (Arc::clone(&database), Arc::clone(&is_over));
        async move {
            let (mut known, mut seen_twice) = (BTreeMap::new(), 0);
            while !is_over.load(Ordering::Relaxed) {
                let Some(marker) = database.own.change_marker() else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let foreign = database.foreign().await;
                if database.own.change_marker() != Some(marker) {
                    continue;
                }
                if let Some(before) = known.insert(format!("{marker:?}"), foreign.clone()) {
                    assert_eq!(before, foreign);
                    seen_twice += 1;
                }
            }
            seen_twice
        }
    });
    let write = |writer: Writer, count: u64, pause: u64| {
        let database = Arc::clone(&database);
        tokio::spawn(async move {
            for seed in 0..count {
                let batch = varied_memories(&entity(writer), 1, &mut SeededRng::new(seed));
                database.writer(writer).insert(&batch).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
            }
        })
    };
    let writers = [
        write(Writer::Own, 200, 0),
        write(Writer::OtherHandle, 20, 7),
        write(Writer::OtherStore, 20, 11),
    ];
    for writer in writers {
        writer.await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    assert!(observer.await.unwrap() > 0, "no marker was seen twice");
}
