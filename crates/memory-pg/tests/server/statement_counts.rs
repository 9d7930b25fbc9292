//! The number of statements of a call does not depend on its number of rows.

use std::time::Duration;

use memory_core::{
    AccessUpdate, DenseQuery, EmbeddedMemory, EntityId, Generation, InsertOptions, ListRequest,
    ListScope, MemoryFilter, MemoryId, MemoryPatch, SearchRequest, Store, SummaryGroup,
};
use memory_pg::{PgOptions, PgStore};
use memory_testkit::{SeededRng, fixtures};
use sqlx::{Connection, PgConnection, Row};

use crate::memories;
use crate::snapshot_pages::{self, MEMORIES, MIRA, PAGES, keep};
use crate::support::{connect, run, server, with_database};

#[tokio::test(flavor = "multi_thread")]
async fn statement_counts_do_not_depend_on_row_counts() {
    with_database(|url| async move {
        let mut counter = Counter::new(&url).await;
        // One connection, so that types are looked up once.
        let store = PgOptions::new().max_connections(1).connect(&url).await;
        let store = store.unwrap();
        run_operations(&store, &mut counter, "warm", 2).await;
        let few = run_operations(&store, &mut counter, "few", 3).await;
        let many = run_operations(&store, &mut counter, "many", 300).await;
        assert_eq!(few, many);
        let most = few.iter().map(|(_, count)| *count).max();
        assert!(most <= Some(15), "{few:?}");
        // What refreshing a snapshot takes.
        let asked = few
            .iter()
            .filter(|(operation, _)| ["stats", "changes"].contains(operation));
        let asked: i64 = asked.map(|(_, count)| *count).sum();
        assert!(asked <= 3, "{few:?}");
        counter.close().await;
    })
    .await;
}

/// Runs every operation over `size` rows, and returns its number of statements.
async fn run_operations(
    store: &PgStore,
    counter: &mut Counter,
    name: &str,
    size: usize,
) -> Vec<(&'static str, i64)> {
    let entity = EntityId::from(name);
    let batch = memories(name, size);
    let ids: Vec<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
    let first = batch[0].memory.clone();
    let updates: Vec<AccessUpdate> = ids
        .iter()
        .map(|&id| AccessUpdate::new(entity.clone(), id, 1, fixtures::at(1)))
        .collect();
    let both = SearchRequest {
        sample: 0,
        filter: MemoryFilter::new().kind(first.kind),
        limit: size,
        dense: Some(DenseQuery {
            chunk_discount: 0.0,
            fingerprint: fixtures::fingerprint(),
            vector: batch[0].embedding.vectors[0].clone(),
        }),
        lexical: Some(first.content.clone()),
    };
    let patch = MemoryPatch::new()
        .content("patched")
        .entities([("tam".into(), "seen".to_owned())].into());
    let known: Vec<EmbeddedMemory> = batch.clone();
    let mut counts = Vec::new();
    macro_rules! counted {
        ($name:literal, $call:expr) => {
            counter.reset().await;
            $call.await.unwrap();
            counts.push(($name, counter.read().await));
        };
    }
    counted!("insert", store.insert(&batch));
    counted!("insert again", store.insert(&known));
    // Another seed, and so other ids.
    let more = memories(name, size + 1).split_off(1);
    // Evict half of what exists.
    let evicted = ids[size - size / 2..].iter().copied();
    let options = InsertOptions::at_most(1_000_000).evict(entity.clone(), evicted);
    counted!("insert within", store.insert_opts(&more, &options));
    let read_at = store.entity_stats(&entity).await.unwrap().generation;
    let groups = summary_groups(&entity, &more);
    counted!("consolidate", store.consolidate(&entity, &groups, read_at));
    let sources = ListRequest::new(size).scope(ListScope::Archived);
    counted!("list archived", store.list(&entity, &sources));
    counted!("get", store.get(&entity, &ids));
    counted!("list", store.list(&entity, &ListRequest::new(size)));
    counted!("count", store.count(&entity, &both.filter));
    counted!("search", store.search(&entity, &both));
    let model = fixtures::fingerprint();
    counted!(
        "changes",
        store.changes_since(&entity, Generation::ZERO, &model)
    );
    counted!(
        "record_accesses",
        store.record_accesses(&updates, Duration::ZERO)
    );
    let embedding = Some(&batch[1].embedding);
    counted!(
        "update",
        store.update(&entity, &first.id, &patch, embedding)
    );
    counted!("stats", store.entity_stats(&entity));
    let linked = MemoryPatch::new().relate(ids[0], "follows");
    for item in &more[..size - 1] {
        let id = &item.memory.id;
        if groups.iter().all(|group| !group.sources.contains(id)) {
            store.update(&entity, id, &linked, None).await.unwrap();
        }
    }
    counted!("delete", store.delete(&entity, &ids));
    // Their summaries are removed, and the other sources restored.
    let archived: Vec<MemoryId> = groups.iter().map(|group| group.sources[0]).collect();
    counted!("delete archived", store.delete(&entity, &archived));
    counted!("entities", store.list_entities(None, size));
    counts
}

/// Summaries of pairs, for the first two thirds of the memories.
fn summary_groups(entity: &EntityId, items: &[EmbeddedMemory]) -> Vec<SummaryGroup> {
    let pairs = items.chunks_exact(2).take((items.len() / 3).max(1));
    let summary = |pair: &[EmbeddedMemory]| {
        let mut summary = pair[0].clone();
        summary.memory.id = MemoryId::new();
        summary.memory.entity_id = entity.clone();
        SummaryGroup {
            summary,
            sources: pair.iter().map(|item| item.memory.id).collect(),
        }
    };
    pairs.map(summary).collect()
}

/// New memories have greater ids than all pages.
#[tokio::test(flavor = "multi_thread")]
async fn pages_cost_new_memories_no_statement() {
    with_database(|url| async move {
        let options = PgOptions::new().max_connections(1);
        let store = options.connect(&url).await.unwrap();
        let mut rng = SeededRng::new(3);
        let mut next = || {
            let mut item = fixtures::plain(&MIRA, "a new one", &mut rng);
            item.memory.id = MemoryId::new();
            item
        };
        let batch: Vec<_> = (0..MEMORIES).map(|_| next()).collect();
        store.insert(&batch).await.unwrap();
        // An insert asks for what was deleted where something was.
        store.delete(&MIRA, &[batch[0].memory.id]).await.unwrap();
        let mut counter = Counter::new(&url).await;
        let mut connection = connect(&url).await;
        let mut statements = Vec::new();
        for pages in [0, PAGES] {
            assert_eq!(snapshot_pages::count(&mut connection).await, pages);
            let item = next();
            // Gets the only connection when it has ended what came before.
            store.list_entities(None, 1).await.unwrap();
            counter.reset().await;
            store.insert(std::slice::from_ref(&item)).await.unwrap();
            let inserting = counter.read().await;
            counter.reset().await;
            store.delete(&MIRA, &[item.memory.id]).await.unwrap();
            statements.push((inserting, counter.read().await));
            assert_eq!(snapshot_pages::count(&mut connection).await, pages);
            keep(&store).await;
        }
        assert_eq!(statements[0], statements[1]);
        // The others cost one.
        store.list_entities(None, 1).await.unwrap();
        counter.reset().await;
        let old = [batch[7].memory.id];
        store.delete(&MIRA, &old).await.unwrap();
        assert_eq!(counter.read().await, statements[0].1 + 1);
        assert_eq!(snapshot_pages::count(&mut connection).await, PAGES - 1);
        counter.close().await;
    })
    .await;
}

/// Counts the statements of one database, from another.
pub(crate) struct Counter {
    connection: PgConnection,
    database: String,
}

impl Counter {
    pub(crate) async fn new(url: &str) -> Self {
        let mut connection = connect(&server()).await;
        run(
            &mut connection,
            "CREATE EXTENSION IF NOT EXISTS pg_stat_statements",
        )
        .await;
        let address = url.split_once('?').map_or(url, |(address, _)| address);
        let database = address.rsplit('/').next().unwrap().to_owned();
        Self {
            connection,
            database,
        }
    }

    pub(crate) async fn reset(&mut self) {
        let query = sqlx::query(
            "SELECT pg_stat_statements_reset(0, d.oid, 0) FROM pg_database d WHERE d.datname = $1",
        );
        query
            .bind(&self.database)
            .execute(&mut self.connection)
            .await
            .unwrap();
    }

    pub(crate) async fn read(&mut self) -> i64 {
        let query = sqlx::query(
            "SELECT coalesce(sum(s.calls), 0)::bigint FROM pg_stat_statements s \
             JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = $1",
        );
        let row = query
            .bind(&self.database)
            .fetch_one(&mut self.connection)
            .await;
        row.unwrap().get(0)
    }

    pub(crate) async fn close(self) {
        self.connection.close().await.unwrap();
    }
}
