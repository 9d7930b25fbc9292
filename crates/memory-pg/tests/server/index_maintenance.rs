//! Index maintenance chooses an index and its search width by measuring, and never touches
//! what is not its own.

use std::collections::BTreeSet;
use std::time::Duration;

use memory_core::{
    DenseQuery, EmbeddedMemory, EntityId, ErrorKind, IndexAction, IndexDescription, IndexReason,
    IndexReport, MaintenanceReport, MaintenanceRequest, MemoryFilter, MemoryId, SearchOutcome,
    SearchRequest, Store,
};
use memory_pg::{AnnIndex, PgOptions, PgStore};
use memory_testkit::{SeededRng, fixtures};
use sqlx::PgConnection;

use crate::support::{connect, run, with_database};

/// A name with the characters that end SQL literals.
const LARGE: &str = r"o'b\rien";
/// Few, as each is inserted and searched for many times, and enough for an index to be
/// several times as fast as an exact search.
const SIZE: usize = 2_000;
/// Where it does not matter whether an index is faster.
const FEW: usize = 100;
/// As many as the default model's, so that an exact search has something to do.
const DIMENSIONS: usize = 384;
const NEAREST: usize = 10;
const CLUSTERS: usize = 40;
const TARGET: f64 = 0.95;

fn options(min_vectors: usize) -> PgOptions {
    PgOptions::new().ann_min_vectors(min_vectors as u64)
}

/// Memories whose vectors form groups, as those of sentences do.
fn clustered(entity: &str, size: usize, dimensions: usize) -> Vec<EmbeddedMemory> {
    let entity = EntityId::from(entity);
    let mut rng = SeededRng::new(size as u64);
    let centers: Vec<Vec<f32>> = (0..CLUSTERS).map(|_| rng.vector(dimensions)).collect();
    let memory = |number: usize| {
        let mut memory = fixtures::plain(&entity, format!("memory {number}"), &mut rng);
        let spread = rng.vector(dimensions);
        let center = &centers[number % centers.len()];
        let sum = center.iter().zip(&spread).map(|(a, b)| a + b);
        let mut vector: Vec<f32> = sum.collect();
        memory_core::normalize(&mut vector).unwrap();
        memory.embedding.vectors = vec![vector];
        memory
    };
    (0..size).map(memory).collect()
}

async fn insert(store: &PgStore, batch: &[EmbeddedMemory]) {
    for part in batch.chunks(1_000) {
        store.insert(part).await.unwrap();
    }
}

async fn maintain(store: &PgStore, request: &MaintenanceRequest) -> MaintenanceReport {
    store.maintain_indexes(request).await.unwrap()
}

/// The report on the only entity that has one.
fn only(report: MaintenanceReport) -> IndexReport {
    assert_eq!(report.indexes.len(), 1, "{report:?}");
    report.indexes.into_iter().next().unwrap()
}

/// Everything on record, and every ANN index.
async fn recorded(connection: &mut PgConnection) -> (String, Vec<String>) {
    let records = "SELECT coalesce(string_agg(a::text, '; ' ORDER BY a.index_name), '') \
                   FROM memory_approximate a";
    let records = sqlx::query_scalar(records).fetch_one(&mut *connection);
    let records = records.await.unwrap();
    let indexes = "SELECT indexname::text FROM pg_indexes \
                   WHERE indexdef ~ 'USING (hnsw|ivfflat)' ORDER BY 1";
    let indexes = sqlx::query_scalar(indexes).fetch_all(connection);
    (records, indexes.await.unwrap())
}

fn request(vector: Vec<f32>) -> SearchRequest {
    let query = DenseQuery::new(fixtures::fingerprint(), vector);
    SearchRequest::new(MemoryFilter::new(), NEAREST + 1).dense(query)
}

/// The nearest but the memory itself.
fn nearest(outcome: &SearchOutcome, own: MemoryId) -> BTreeSet<MemoryId> {
    let mut hits: Vec<(f32, MemoryId)> = outcome
        .candidates
        .iter()
        .filter_map(|hit| Some((hit.similarity?, hit.memory.id)))
        .filter(|(_, id)| *id != own)
        .collect();
    hits.sort_by(|a, b| b.0.total_cmp(&a.0));
    hits.into_iter().take(NEAREST).map(|(_, id)| id).collect()
}

/// A stored memory, a search for its vector, and what an exact search finds.
type Question = (MemoryId, SearchRequest, BTreeSet<MemoryId>);

/// Others than those that maintenance chooses, by their hashes.
async fn ask_exactly(exact: &PgStore, batch: &[EmbeddedMemory]) -> Vec<Question> {
    let mut questions = Vec::new();
    // Of every cluster, as the next number has no factor in common.
    for item in batch.iter().step_by(CLUSTERS - 1) {
        let request = request(item.embedding.vectors[0].clone());
        let all = exact.search(&EntityId::from(LARGE), &request).await;
        let all = all.unwrap();
        assert!(all.dense.is_some(), "the search was exact");
        let id = item.memory.id;
        questions.push((id, request, nearest(&all, id)));
    }
    questions
}

/// The recall of a store's searches, all of them by an index.
async fn recall(store: &PgStore, questions: &[Question]) -> f64 {
    let (mut found, mut wanted) = (0_u32, 0_u32);
    for (id, request, all) in questions {
        let near = store.search(&EntityId::from(LARGE), request).await.unwrap();
        assert!(near.dense.is_none(), "the search used the index");
        let near = nearest(&near, *id);
        found += u32::try_from(near.intersection(all).count()).unwrap();
        wanted += u32::try_from(all.len()).unwrap();
    }
    f64::from(found) / f64::from(wanted)
}

/// One build for all that is to be seen of an index's life: it takes most of the time.
#[tokio::test(flavor = "multi_thread")]
async fn large_entity_has_the_index_that_reaches_the_target_while_it_is_used() {
    with_database(|url| async move {
        let store = options(SIZE).connect(&url).await.unwrap();
        let batch = clustered(LARGE, SIZE, DIMENSIONS);
        insert(&store, &batch).await;
        insert(&store, &clustered("small", 50, DIMENSIONS)).await;
        let mut other = connect(&url).await;
        let foreign = create_foreign_indexes(&mut other).await;
        run(&mut other, "VACUUM ANALYZE memory_embedding, memory").await;

        // A dry run says what it cannot know, and writes nothing.
        let before = recorded(&mut other).await;
        let dry_run = MaintenanceRequest::new().dry_run(true);
        let planned = only(maintain(&store, &dry_run).await);
        assert_eq!(planned.action, IndexAction::Build);
        assert_eq!(planned.reason, IndexReason::NotBuilt);
        let measured = planned.measured.unwrap();
        assert_eq!((measured.recall, measured.approximate_ms), (None, None));
        assert!(measured.exact_ms.is_finite());
        assert_eq!(recorded(&mut other).await, before);

        let index = build(&store, &url, &batch).await;
        let before = recorded(&mut other).await;
        let own: Vec<&String> = before.1.iter().filter(|it| !foreign.contains(it)).collect();
        assert_eq!(own.len(), 1, "one index of those that were tried");
        // Maintenance's own scans are no use, and the time of a week is not over.
        for dry_run in [true, false] {
            let request = MaintenanceRequest::new().dry_run(dry_run);
            let again = only(maintain(&store, &request).await);
            assert_eq!(again.action, IndexAction::Keep);
            assert_eq!(again.reason, IndexReason::TargetReached);
            assert_eq!(again.before.unwrap(), index);
            assert!(again.build_ms.is_none());
            let after = recorded(&mut other).await;
            assert_eq!(after.1, before.1);
            assert!(!dry_run || after == before);
        }

        // A search is a use. The width is still the one that was chosen: with one that is
        // much larger, the server may not use the index.
        run(&mut other, WEEK).await;
        let search = request(batch[0].embedding.vectors[0].clone());
        search_until_counted(&store, &search, &url).await;
        // The server learns of uses by an idle session ten seconds later, and of those by one
        // that ends at once: none is left that would count for the next week.
        store.close().await.unwrap();
        let store = options(SIZE).connect(&url).await.unwrap();
        // An index of an older version, which has another name and no target.
        let rename = format!(
            "ALTER INDEX {} RENAME TO idx_memory_near_older; UPDATE memory_approximate \
             SET index_name = 'idx_memory_near_older', search_width = 100, target_recall = NULL",
            own[0]
        );
        run(&mut other, &rename).await;
        let older = only(maintain(&store, &MaintenanceRequest::new()).await);
        assert_eq!(older.action, IndexAction::Keep, "{older:?}");
        assert_eq!(older.before.unwrap().search_width, Some(100));
        // As wide as before, within an eighth.
        let widths = [index.search_width, older.after.unwrap().search_width];
        let [before, after] = widths.map(|width| f64::from(width.unwrap()));
        assert!((before / after - 1.0).abs() <= 0.15, "{widths:?}");
        let waits = "SELECT unused_since > now() - interval '1 hour' FROM memory_approximate";
        let waits: bool = sqlx::query_scalar(waits)
            .fetch_one(&mut other)
            .await
            .unwrap();
        assert!(waits, "the week begins again");

        run(&mut other, WEEK).await;
        drop_unused(&store, &mut other, &foreign).await;
    })
    .await;
}

/// The time without a use is over.
const WEEK: &str = "UPDATE memory_approximate SET unused_since = now() - interval '8 days'";

/// One that looks like those of maintenance, and one that is of no use for anyone.
async fn create_foreign_indexes(connection: &mut PgConnection) -> Vec<String> {
    for (name, entity) in [("idx_memory_near_mine", "small"), ("theirs", "nobody")] {
        let create = format!(
            "CREATE INDEX {name} ON memory_embedding \
             USING hnsw ((half::halfvec({DIMENSIONS})) halfvec_cosine_ops) \
             WHERE entity_id = '{entity}'"
        );
        run(connection, &create).await;
    }
    let foreign = recorded(connection).await.1;
    assert_eq!(foreign.len(), 2);
    foreign
}

async fn build(store: &PgStore, url: &str, batch: &[EmbeddedMemory]) -> IndexDescription {
    let built = only(maintain(store, &MaintenanceRequest::new()).await);
    assert_eq!(built.entity, EntityId::from(LARGE));
    assert_eq!(built.vectors, SIZE as u64);
    assert_eq!(built.action, IndexAction::Build, "{built:?}");
    assert_eq!(built.reason, IndexReason::TargetReached);
    let (measured, index) = (built.measured.unwrap(), built.after.unwrap());
    assert!(measured.recall_at_least.unwrap() >= TARGET);
    assert!(measured.recall.unwrap() >= measured.recall_at_least.unwrap());
    assert!(measured.approximate_ms.unwrap() < measured.exact_ms);
    assert_eq!(measured.questions, 200);
    assert!(index.bytes > 0 && built.build_ms.unwrap() > 0.0);

    // The same process and a fresh one search by it, as widely as it takes.
    let exact = options(SIZE).ann_index(AnnIndex::None);
    let exact = exact.connect(url).await.unwrap();
    let questions = ask_exactly(&exact, batch).await;
    let fresh = PgStore::connect(url).await.unwrap();
    for store in [store, &fresh] {
        let recall = recall(store, &questions).await;
        // With a sample of its own, which may be less lucky.
        assert!(recall >= TARGET - 0.02, "{recall}, {measured:?}");
    }
    index
}

async fn drop_unused(store: &PgStore, connection: &mut PgConnection, foreign: &[String]) {
    let request = MaintenanceRequest::new();
    let before = recorded(connection).await;
    let planned = only(maintain(store, &request.dry_run(true)).await);
    assert_eq!(planned.action, IndexAction::Drop);
    assert_eq!(recorded(connection).await, before);
    let unused = only(maintain(store, &request).await);
    assert_eq!(unused.action, IndexAction::Drop);
    assert_eq!(unused.reason, IndexReason::Unused);
    assert!(unused.before.is_some() && unused.after.is_none());
    assert_eq!(recorded(connection).await.1, foreign);
    // It is not built again the night after.
    let again = only(maintain(store, &request).await);
    assert_eq!(again.action, IndexAction::None);
    assert_eq!(again.reason, IndexReason::Unused);
    assert!(again.is_known);
}

/// No sample shows a recall of 1. What was found is known to the next run.
#[tokio::test(flavor = "multi_thread")]
async fn target_that_no_index_reaches_leaves_exact_search() {
    with_database(|url| async move {
        let options = options(FEW).ann_target_recall(1.0);
        let store = options.connect(&url).await.unwrap();
        let batch = clustered(LARGE, FEW, 32);
        insert(&store, &batch).await;
        let report = only(maintain(&store, &MaintenanceRequest::new()).await);
        assert_eq!(report.action, IndexAction::None);
        assert_eq!(report.reason, IndexReason::BelowTarget);
        assert!(report.after.is_none() && report.build_ms.is_some());
        let measured = report.measured.unwrap();
        assert!(measured.recall_at_least.unwrap() < 1.0);
        let mut other = connect(&url).await;
        assert!(recorded(&mut other).await.1.is_empty());
        let search = request(batch[0].embedding.vectors[0].clone());
        let found = store.search(&EntityId::from(LARGE), &search).await;
        assert!(found.unwrap().dense.is_some(), "the search was exact");

        for dry_run in [true, false] {
            let request = MaintenanceRequest::new().dry_run(dry_run);
            let again = only(maintain(&store, &request).await);
            assert_eq!(again.action, IndexAction::None);
            assert_eq!(again.reason, IndexReason::BelowTarget);
            assert!(again.is_known && again.build_ms.is_none());
        }
        // A lower target is another question.
        let lower = MaintenanceRequest::new().target_recall(0.5);
        let lower = only(maintain(&store, &lower).await);
        assert!(!lower.is_known && lower.build_ms.is_some(), "{lower:?}");

        for value in [0.0, 1.5, f64::NAN] {
            let refused = MaintenanceRequest::new().target_recall(value);
            let refused = store.maintain_indexes(&refused).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
        }
    })
    .await;
}

/// Searches by the index until the server has counted more scans than are on record: a
/// session reports its own at most once a second.
async fn search_until_counted(store: &PgStore, search: &SearchRequest, url: &str) {
    let query = "SELECT bool_and(s.idx_scan > a.scans) FROM memory_approximate a \
                 JOIN pg_stat_user_indexes s ON s.indexrelname = a.index_name";
    let mut other = connect(url).await;
    for _ in 0..100 {
        let found = store.search(&EntityId::from(LARGE), search).await.unwrap();
        assert!(found.dense.is_none(), "the search used the index");
        let counted = sqlx::query_scalar(query).fetch_one(&mut other).await;
        if counted.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the server counted no scan");
}

/// The process of the server that builds an index.
async fn building_process(connection: &mut PgConnection) -> i32 {
    for _ in 0..600 {
        let found = sqlx::query_scalar(
            "SELECT pid FROM pg_stat_progress_create_index \
             WHERE datname = current_database() AND phase LIKE 'waiting for writers%'",
        );
        if let Some(pid) = found.fetch_optional(&mut *connection).await.unwrap() {
            return pid;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no index is being built");
}

async fn wait_for_end(connection: &mut PgConnection, pid: i32) {
    for _ in 0..600 {
        let is_there = sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE pid = $1");
        let is_there: i64 = is_there
            .bind(pid)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        if is_there == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server still works for a process that is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_run_is_refused_and_an_interrupted_build_is_mended() {
    with_database(|url| async move {
        let store = options(FEW).connect(&url).await.unwrap();
        insert(&store, &clustered(LARGE, FEW, 32)).await;
        // A writer that does not end keeps the build waiting.
        let mut writer = connect(&url).await;
        run(
            &mut writer,
            "BEGIN; UPDATE memory_embedding SET chunk = chunk WHERE entity_id = 'nobody'",
        )
        .await;
        let first = store.clone();
        let first =
            tokio::spawn(async move { first.maintain_indexes(&MaintenanceRequest::new()).await });
        let mut other = connect(&url).await;
        let pid = building_process(&mut other).await;

        let refused = store.maintain_indexes(&MaintenanceRequest::new()).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        // A dry run changes nothing and waits for nobody, and searches go on.
        let dry_run = MaintenanceRequest::new().dry_run(true);
        assert_eq!(
            only(maintain(&store, &dry_run).await).action,
            IndexAction::Build
        );
        let search = request(SeededRng::new(3).vector(32));
        let found = store.search(&EntityId::from(LARGE), &search).await.unwrap();
        assert_eq!(found.candidates.len(), NEAREST + 1);

        // As if its process was killed: the server notices it although it is waiting.
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        wait_for_end(&mut other, pid).await;
        run(&mut writer, "ROLLBACK").await;
        let valid: Vec<bool> = sqlx::query_scalar(
            "SELECT i.indisvalid FROM memory_approximate a \
             JOIN pg_index i ON i.indexrelid = to_regclass(quote_ident(a.index_name))",
        )
        .fetch_all(&mut other)
        .await
        .unwrap();
        assert_eq!(valid, [false], "the build was interrupted");
        // No process uses it.
        let fresh = PgStore::connect(&url).await.unwrap();
        let found = fresh.search(&EntityId::from(LARGE), &search).await.unwrap();
        assert!(found.dense.is_some(), "the search was exact");

        // The lock ended with its session. Whatever is chosen is complete.
        let mended = maintain(&store, &MaintenanceRequest::new()).await;
        let mended = only(mended);
        assert!(mended.before.is_none() && mended.build_ms.is_some());
        let left = recorded(&mut other).await.1.len();
        assert_eq!(left, usize::from(mended.after.is_some()));
        let invalid: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
            .fetch_one(&mut other)
            .await
            .unwrap();
        assert_eq!(invalid, 0);
    })
    .await;
}

/// What a run left that ended between building and choosing is not searched, and tried
/// again.
#[tokio::test(flavor = "multi_thread")]
async fn index_without_a_width_is_not_used() {
    with_database(|url| async move {
        let hnsw = options(FEW).ann_index(AnnIndex::hnsw());
        let store = hnsw.connect(&url).await.unwrap();
        let batch = clustered(LARGE, FEW, 32);
        insert(&store, &batch).await;
        maintain(&store, &MaintenanceRequest::new()).await;
        let search = request(batch[0].embedding.vectors[0].clone());
        let entity = EntityId::from(LARGE);
        let found = store.search(&entity, &search).await.unwrap();
        assert!(found.dense.is_none(), "the search used the index");
        let mut other = connect(&url).await;
        let forget = "UPDATE memory_approximate SET search_width = NULL";
        run(&mut other, forget).await;
        let chosen = options(FEW).connect(&url).await.unwrap();
        let found = chosen.search(&entity, &search).await.unwrap();
        assert!(found.dense.is_some(), "the search was exact");
        let report = only(maintain(&chosen, &MaintenanceRequest::new()).await);
        assert!(report.build_ms.is_some(), "{report:?}");
    })
    .await;
}

/// Indexes of the same entity have the same name in each schema, and a schema may have the
/// record of one whose build was ended.
#[tokio::test(flavor = "multi_thread")]
async fn indexes_of_another_schema_are_left_alone() {
    with_database(|url| async move {
        let mut connection = connect(&url).await;
        let create = "CREATE EXTENSION vector; CREATE EXTENSION btree_gin; \
                      CREATE SCHEMA game_a";
        run(&mut connection, create).await;
        let game = format!("{url}&options=-c search_path=game_a,public");
        let batch = clustered("mira", FEW, 8);
        let hnsw = || options(FEW).ann_index(AnnIndex::hnsw());
        let indexes = "SELECT schemaname::text FROM pg_indexes \
                       WHERE indexdef ~ 'USING hnsw' ORDER BY 1";
        let store = hnsw().connect(&url).await.unwrap();
        insert(&store, &batch).await;
        only(maintain(&store, &MaintenanceRequest::new()).await);
        let other = hnsw().connect(&game).await.unwrap();
        insert(&other, &batch).await;
        let copy = "INSERT INTO game_a.memory_approximate SELECT * FROM memory_approximate";
        run(&mut connection, copy).await;
        only(maintain(&other, &MaintenanceRequest::new()).await);
        let schemas: Vec<String> = sqlx::query_scalar(indexes)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(schemas, ["game_a", "public"]);
        // It drops its own.
        let none = options(FEW).ann_index(AnnIndex::None);
        let other = none.connect(&game).await.unwrap();
        maintain(&other, &MaintenanceRequest::new()).await;
        let schemas: Vec<String> = sqlx::query_scalar(indexes)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(schemas, ["public"]);
    })
    .await;
}
