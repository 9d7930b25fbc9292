//! Access counts of entities that others have locked.

use std::time::{Duration, Instant};

use memory_core::{AccessUpdate, EntityId, MemoryId, MemoryPatch, Store};
use memory_pg::{PgOptions, PgStore};
use memory_testkit::fixtures;
use sqlx::{Connection, PgConnection};

use crate::memories;
use crate::support::{connect, run, with_database};

const LOCK: &str = "BEGIN; UPDATE entity SET generation = generation WHERE entity_id = 'mira'";

/// A memory of each of these entities without accesses, and an update of it.
async fn updates(store: &PgStore, names: &[&str]) -> Vec<AccessUpdate> {
    let mut updates = Vec::new();
    for name in names {
        let mut batch = memories(name, 1);
        batch[0].memory.id = MemoryId::new();
        (batch[0].memory.access_count, batch[0].memory.last_accessed) = (0, None);
        store.insert(&batch).await.unwrap();
        let (id, time) = (batch[0].memory.id, fixtures::at(9_000));
        updates.push(AccessUpdate::new(*name, id, 1, time));
    }
    updates
}

async fn counted(store: &PgStore, update: &AccessUpdate) -> u64 {
    let found = store.get(&update.entity, &[update.id]).await.unwrap();
    found.memories[0].as_ref().unwrap().access_count
}

/// Whether someone waits for a lock in this database.
async fn has_waiting(connection: &mut PgConnection) -> bool {
    let query = "SELECT EXISTS (SELECT FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock')";
    let waiting = sqlx::query_scalar(query).fetch_one(connection).await;
    waiting.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_entities_are_deferred_and_the_others_written_at_once() {
    with_database(|url| async move {
        let options = PgOptions::new().lock_timeout(Duration::from_secs(60));
        let store = options.connect(&url).await.unwrap();
        let mut updates = updates(&store, &["tam", "mira", "ada"]).await;
        // Nobody has this entity, which is no reason to keep its counts.
        updates.push(AccessUpdate::new(
            "nobody",
            MemoryId::new(),
            1,
            fixtures::at(1),
        ));
        let mut other = connect(&url).await;
        run(&mut other, LOCK).await;
        let start = Instant::now();
        let outcome = store.record_accesses(&updates, Duration::ZERO).await;
        assert_eq!(outcome.unwrap().deferred, updates[1..2]);
        for (update, accesses) in updates[..3].iter().zip([1, 0, 1]) {
            assert_eq!(counted(&store, update).await, accesses);
        }
        // With a wait, which is too short, for one alone and for all.
        for deferred in [&updates[1..2], &updates[..]] {
            let wait = Duration::from_millis(50);
            let outcome = store.record_accesses(deferred, wait).await;
            assert_eq!(outcome.unwrap().deferred, deferred);
        }
        assert!(start.elapsed() < Duration::from_secs(30));
        run(&mut other, "ROLLBACK").await;
        let outcome = store.record_accesses(&updates[1..2], Duration::ZERO).await;
        assert_eq!(outcome.unwrap().deferred, []);
        for update in &updates[..3] {
            assert_eq!(counted(&store, update).await, 1);
        }
        other.close().await.unwrap();
        store.close().await.unwrap();
    })
    .await;
}

/// One that waits for an entity has no other, whose writers do not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_an_entity_locks_no_other() {
    with_database(|url| async move {
        let options = PgOptions::new().lock_timeout(Duration::from_secs(60));
        let store = options.connect(&url).await.unwrap();
        let updates = updates(&store, &["ada", "mira"]).await;
        let mut other = connect(&url).await;
        run(&mut other, LOCK).await;
        let (waiting, of_mira) = (store.clone(), updates[1..].to_vec());
        let wait = Duration::from_secs(60);
        let waiting = tokio::spawn(async move { waiting.record_accesses(&of_mira, wait).await });
        // In a transaction, the view shows the same each time.
        let mut watching = connect(&url).await;
        while !has_waiting(&mut watching).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let patch = MemoryPatch::new().importance(0.5);
        let ada = EntityId::from("ada");
        store
            .update(&ada, &updates[0].id, &patch, None)
            .await
            .unwrap();
        run(&mut other, "ROLLBACK").await;
        assert_eq!(waiting.await.unwrap().unwrap().deferred, []);
        assert_eq!(counted(&store, &updates[1]).await, 1);
        other.close().await.unwrap();
        store.close().await.unwrap();
    })
    .await;
}
