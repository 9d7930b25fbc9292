//! Search pages: with, without and with some of them, a search finds the same; they
//! are made in the background, and never outlive what they copy.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, Mutex};

use memory_core::{
    DenseQuery, EmbeddedMemory, MemoryFilter, MemoryId, MemoryKind, MemoryPatch, MemoryTagMode,
    SearchOutcome, SearchRequest, Store,
};
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::{InMemoryStore, SeededRng, fixtures, wait_until};
use sqlx::Connection;
use tempfile::tempdir;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::common::{connect, ids, memories, mira, open, run_sql};

/// Five pages and 40 memories that are in none.
const MEMORIES: usize = 2_600;
pub(crate) const PAGES: i64 = 5;

/// Searches that are answered from pages, from rows, and from both.
pub(crate) fn requests() -> Vec<SearchRequest> {
    let mut rng = SeededRng::new(7);
    let untagged = |tags: [&str; 2]| MemoryFilter::new().tags(tags, MemoryTagMode::Any);
    let filters = [
        MemoryFilter::new(),
        MemoryFilter::new().kind(MemoryKind::World),
        untagged(["river", "market"]),
        MemoryFilter::new().since(fixtures::at(0)),
        MemoryFilter::new().metadata("no such key", "x"),
    ];
    let mut requests = Vec::new();
    for filter in filters.into_iter().chain(fixtures::filters(6, &mut rng)) {
        for (limit, text) in [(10, "mill river n7 n2570"), (400, "amber the saddle")] {
            let vector = fixtures::embedding(1, &mut rng).vectors.remove(0);
            let dense = DenseQuery::new(fixtures::fingerprint(), vector).chunk_discount(0.1);
            requests.push(SearchRequest {
                sample: 50,
                filter: filter.clone(),
                limit,
                dense: Some(dense),
                lexical: Some(text.to_owned()),
            });
        }
    }
    requests
}

pub(crate) async fn search(store: &SqliteStore, request: &SearchRequest) -> SearchOutcome {
    let mut outcome = store.search(&mira(), request).await.unwrap();
    outcome.candidates.sort_by_key(|hit| hit.memory.id);
    outcome.sample.sort_by_key(|hit| hit.memory.id);
    outcome
}

/// What every search finds, without making pages.
pub(crate) async fn search_all(path: &Path) -> Vec<SearchOutcome> {
    let options = SqliteOptions::new(path).read_only();
    let store = SqliteStore::open_with(options).await.unwrap();
    let mut outcomes = Vec::new();
    for request in requests() {
        outcomes.push(search(&store, &request).await);
    }
    store.close().await.unwrap();
    outcomes
}

async fn number(path: &Path, sql: &'static str) -> i64 {
    let mut conn = connect(path).await;
    let number = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    number
}

pub(crate) async fn count_pages(path: &Path) -> i64 {
    let sql = "SELECT (SELECT count(*) FROM vector_page) + (SELECT count(*) FROM word_page)";
    number(path, sql).await
}

/// Searches until every page is made.
pub(crate) async fn make_pages(path: &Path) {
    let store = open(path).await;
    let request = requests().remove(0);
    wait_until("every page is made", async || {
        search(&store, &request).await;
        count_pages(path).await >= 2 * PAGES
    })
    .await;
    store.close().await.unwrap();
}

pub(crate) async fn create(path: &Path) -> Vec<EmbeddedMemory> {
    let batch = memories(MEMORIES, 1);
    let store = open(path).await;
    for part in batch.chunks(1_000) {
        store.insert(part).await.unwrap();
    }
    store.close().await.unwrap();
    batch
}

#[tokio::test]
async fn pages_change_nothing_that_is_found() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create(&path).await;
    let without = search_all(&path).await;
    assert_eq!(
        count_pages(&path).await,
        0,
        "a store that only reads makes none"
    );
    make_pages(&path).await;
    assert_eq!(search_all(&path).await, without);
    run_sql(&path, "DELETE FROM vector_page WHERE page_key % 2 = 0").await;
    run_sql(&path, "DELETE FROM word_page WHERE page_key % 4 = 0").await;
    assert_eq!(search_all(&path).await, without);
}

#[tokio::test]
async fn the_best_are_those_of_an_exact_scan() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create(&path).await;
    make_pages(&path).await;
    let exact = InMemoryStore::new();
    exact.insert(&batch).await.unwrap();
    let store = open(&path).await;
    for request in requests() {
        let request = SearchRequest {
            lexical: None,
            sample: 0,
            ..request
        };
        let found = search(&store, &request).await;
        let wanted = exact.search(&mira(), &request).await.unwrap();
        let ids = |outcome: &SearchOutcome| -> BTreeSet<MemoryId> {
            outcome.candidates.iter().map(|hit| hit.memory.id).collect()
        };
        assert_eq!(ids(&found), ids(&wanted));
        assert_eq!(found.compared, wanted.compared);
        let (found, wanted) = (found.dense.unwrap(), wanted.dense.unwrap());
        assert!(
            (found.mean - wanted.mean).abs() < 1e-3,
            "{found:?} {wanted:?}"
        );
        assert!((found.deviation - wanted.deviation).abs() < 1e-3);
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn whatever_changes_a_memory_deletes_its_page() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create(&path).await;
    make_pages(&path).await;
    let ids = ids(&batch);
    let mut rng = SeededRng::new(3);
    let store = open(&path).await;

    store.delete(&mira(), &ids[..1]).await.unwrap();
    assert_eq!(count_pages(&path).await, 2 * PAGES - 2, "deleted");
    let patch = MemoryPatch {
        importance: Some(0.9),
        ..MemoryPatch::default()
    };
    store
        .update(&mira(), &ids[600], &patch, None)
        .await
        .unwrap();
    assert_eq!(count_pages(&path).await, 2 * PAGES - 2, "not in a page");
    let patch = MemoryPatch {
        content: Some("the mill river burns".to_owned()),
        ..MemoryPatch::default()
    };
    let embedding = fixtures::embedding(2, &mut rng);
    let embedding = Some(&embedding);
    store
        .update(&mira(), &ids[600], &patch, embedding)
        .await
        .unwrap();
    assert_eq!(count_pages(&path).await, 2 * PAGES - 4, "changed");
    let embedding = fixtures::embedding(1, &mut rng);
    let generation = store.entity_stats(&mira()).await.unwrap().generation;
    let replaced = [(ids[1_100], embedding)];
    store
        .replace_vectors(&mira(), &replaced, generation)
        .await
        .unwrap();
    assert_eq!(count_pages(&path).await, 2 * PAGES - 5, "other vectors");
    let group = fixtures::consolidation(&mira(), "a summary", [ids[1_600]], &mut rng);
    let summary = group.summary.memory.id;
    let generation = store.entity_stats(&mira()).await.unwrap().generation;
    store
        .consolidate(&mira(), &[group], generation)
        .await
        .unwrap();
    assert_eq!(count_pages(&path).await, 2 * PAGES - 7, "archived");
    store.close().await.unwrap();

    let some = search_all(&path).await;
    make_pages(&path).await;
    assert_eq!(search_all(&path).await, some);
    let store = open(&path).await;
    store.delete(&mira(), &[summary]).await.unwrap();
    assert_eq!(count_pages(&path).await, 2 * PAGES - 2, "restored");
    store.close().await.unwrap();
    let some = search_all(&path).await;
    run_sql(&path, "DELETE FROM vector_page; DELETE FROM word_page").await;
    assert_eq!(search_all(&path).await, some);
}

#[tokio::test]
async fn a_damaged_page_is_not_used_and_is_made_again() {
    const DAMAGED: &str = "SELECT (SELECT count(*) FROM vector_page WHERE content LIKE 'damage')
        + (SELECT count(*) FROM word_page WHERE content LIKE 'damage')";
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create(&path).await;
    let without = search_all(&path).await;
    make_pages(&path).await;
    run_sql(
        &path,
        "UPDATE vector_page SET content = CAST('damage' AS BLOB) WHERE page_key % 2 = 0;
         UPDATE word_page SET content = CAST('damage' AS BLOB) WHERE page_key % 4 = 0",
    )
    .await;
    assert!(number(&path, DAMAGED).await > 2);
    assert_eq!(search_all(&path).await, without);
    let store = open(&path).await;
    wait_until("the damaged pages are made again", async || {
        search(&store, &requests()[0]).await;
        number(&path, DAMAGED).await == 0
    })
    .await;
    store.close().await.unwrap();
    assert_eq!(count_pages(&path).await, 2 * PAGES);
    assert_eq!(search_all(&path).await, without);
}

/// All memories contain both words of the question, one of them next to each other.
#[tokio::test]
async fn a_pair_of_words_is_found_where_each_of_them_is_common() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let mut rng = SeededRng::new(5);
    let contents = (0..MEMORIES).map(|number| match number {
        2_000 => "amber saddle river".to_owned(),
        _ => "amber river saddle".to_owned(),
    });
    let batch: Vec<EmbeddedMemory> = contents
        .map(|content| crate::common::memory(content, &mut rng))
        .collect();
    let store = open(&path).await;
    for part in batch.chunks(1_000) {
        store.insert(part).await.unwrap();
    }
    let request = SearchRequest {
        limit: 5,
        ..crate::common::lexical("an amber saddle")
    };
    let found = search(&store, &request).await.candidates;
    assert_eq!(
        found.len(),
        6,
        "those of the lexical retriever, and the pair"
    );
    let wanted = batch[2_000].memory.id;
    assert!(found.iter().any(|hit| hit.memory.id == wanted));
    assert!(found.iter().all(|hit| hit.lexical.is_some()));
    let filter = MemoryFilter::new().kind(MemoryKind::World);
    let other = batch[2_000].memory.kind != MemoryKind::World;
    let found = search(&store, &SearchRequest { filter, ..request }).await;
    let is_found = found.candidates.iter().any(|hit| hit.memory.id == wanted);
    assert_ne!(is_found, other, "only what the filter matches");
    store.close().await.unwrap();
}

/// One flipped bit in a page of each table: a search names the page, reads its rows
/// instead, and the page is made again from them as it was.
#[tokio::test]
async fn a_flipped_bit_is_found_by_the_checksum_named_and_repaired_from_rows() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create(&path).await;
    let wanted = search_all(&path).await;
    make_pages(&path).await;
    for table in ["vector_page", "word_page"] {
        let (key, content) = third_page(&path, table).await;
        let mut flipped = content.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        let mut conn = connect(&path).await;
        let sql = format!("UPDATE {table} SET content = ?1 WHERE page_key = ?2");
        let update = sqlx::query(sqlx::AssertSqlSafe(sql));
        update
            .bind(&flipped)
            .bind(key)
            .execute(&mut conn)
            .await
            .unwrap();
        conn.close().await.unwrap();

        let named = NamedPages::default();
        let guard = tracing::subscriber::set_default(named.clone());
        assert!(search_all(&path).await == wanted, "{table}");
        drop(guard);
        let named = named.0.lock().unwrap().clone();
        assert_eq!(named, BTreeSet::from([(table.to_owned(), key)]));

        let store = open(&path).await;
        wait_until("the page is made again", async || {
            search(&store, &requests()[0]).await;
            third_page(&path, table).await.1 != flipped
        })
        .await;
        store.close().await.unwrap();
        assert!(third_page(&path, table).await == (key, content), "{table}");
    }
}

async fn third_page(path: &Path, table: &str) -> (i64, Vec<u8>) {
    let mut conn = connect(path).await;
    let sql = format!("SELECT page_key, content FROM {table} ORDER BY page_key LIMIT 1 OFFSET 2");
    let page = sqlx::query_as(sqlx::AssertSqlSafe(sql));
    let page = page.fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    page
}

/// The tables and keys of pages that warnings name.
#[derive(Clone, Default)]
struct NamedPages(Arc<Mutex<BTreeSet<(String, i64)>>>);

impl Subscriber for NamedPages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        #[derive(Default)]
        struct Fields(Option<String>, Option<i64>);
        impl Visit for Fields {
            fn record_str(&mut self, field: &Field, value: &str) {
                if field.name() == "table" {
                    self.0 = Some(value.to_owned());
                }
            }

            fn record_i64(&mut self, field: &Field, value: i64) {
                if field.name() == "page" {
                    self.1 = Some(value);
                }
            }

            fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().extend(fields.0.zip(fields.1));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A vector of any length is stored, and one so long has no cosine that is a number.
#[tokio::test]
async fn a_vector_that_overflows_hides_no_other() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let mut batch = memories(MEMORIES, 1);
    let wanted = batch[2_000].memory.id;
    let query = batch[2_000].embedding.vectors[0].clone();
    // Along the query and against it.
    for (one, length) in batch.iter_mut().zip([3e38f32, -3e38]) {
        let long = query
            .iter()
            .map(|component| length.copysign(length * component));
        one.embedding.vectors = vec![long.collect()];
    }
    store.insert(&batch).await.unwrap();
    store.close().await.unwrap();
    let request = SearchRequest {
        dense: Some(DenseQuery::new(fixtures::fingerprint(), query)),
        ..SearchRequest::new(MemoryFilter::new(), 3)
    };
    for has_pages in [false, true] {
        if has_pages {
            make_pages(&path).await;
        }
        let store = SqliteStore::open_with(SqliteOptions::new(&path).read_only());
        let outcome = search(&store.await.unwrap(), &request).await;
        let mut ids = outcome.candidates.iter().map(|hit| hit.memory.id);
        assert!(ids.any(|id| id == wanted), "with pages: {has_pages}");
    }
}

/// With a limit that evicts, an entity has few of the numbers that it was ever given.
#[tokio::test]
async fn few_memories_of_many_numbers_are_found_alike() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    store.insert(&memories(100, 1)).await.unwrap();
    store.close().await.unwrap();
    let search_all = async || {
        let outcomes = search_all(&path).await;
        // Other memories are sampled, and statistics are of values in 8 bits.
        let found = |it: SearchOutcome| (it.candidates, it.matching, it.sample.len());
        outcomes.into_iter().map(found).collect::<Vec<_>>()
    };
    let expected = search_all().await;
    for sql in [
        "UPDATE entity SET next_number = 3000",
        "UPDATE entity SET next_number = 1000000",
    ] {
        run_sql(&path, sql).await;
        assert!(search_all().await == expected, "{sql}");
    }
    // Nor are pages made that would have nothing.
    let store = open(&path).await;
    for request in requests() {
        search(&store, &request).await;
    }
    store.close().await.unwrap();
    let vectors = "SELECT count(*) FROM vector_page";
    assert_eq!(number(&path, vectors).await, 0);
}
