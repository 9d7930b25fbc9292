//! Query plans that the statements must get on a real server.

#[path = "../../tests/server/support/mod.rs"]
pub(crate) mod support;

use memory_core::{
    DenseQuery, EntityId, Generation, IndexAction, IndexMethod, ListRequest, ListScope,
    MaintenanceRequest, MemoryFilter, MemoryId, MemoryKind, MemoryTagMode, NeighborRequest,
    SearchRequest, SnapshotPage, SnapshotPart, Store,
};
use memory_testkit::{SeededRng, fixtures};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use self::support::{connect, run, with_database};
use crate::ann::ann_index::AnnIndex;
use crate::ann::ann_search;
use crate::operations::changes;
use crate::operations::list;
use crate::operations::neighbors;
use crate::operations::snapshot_pages;
use crate::options::PgOptions;
use crate::reindex;
use crate::rows::sql::SqlBuilder;
use crate::search;
use crate::search::lexical::LexicalQuery;
use crate::store::PgStore;

/// A memory that others link to.
fn linked() -> MemoryId {
    MemoryId::from(Uuid::from_u128(7))
}

/// Plans for specific parameters, and for any.
const MODES: [&str; 2] = ["force_custom_plan", "force_generic_plan"];

#[tokio::test(flavor = "multi_thread")]
async fn exact_search_is_an_index_only_scan() {
    with_database(|url| async move {
        let mut connection = populated(&url).await;
        // An index that an ANN search could use.
        run(
            &mut connection,
            "CREATE INDEX approximate ON memory_embedding \
             USING hnsw ((half::halfvec(32)) halfvec_cosine_ops)",
        )
        .await;
        for mode in MODES {
            let plan = explain(&mut connection, mode, &request(dense(), None)).await;
            let scan = "Index Only Scan using idx_memory_embedding on memory_embedding";
            assert!(plan.contains(scan), "{mode}\n{plan}");
            assert!(plan.contains("Heap Fetches: 0"), "{mode}\n{plan}");
            assert!(!plan.contains("approximate"), "{mode}\n{plan}");
            assert!(
                !plan.contains("Seq Scan on memory_embedding"),
                "{mode}\n{plan}"
            );
        }
    })
    .await;
}

/// Every index for lists and counts, by its documented name.
#[tokio::test(flavor = "multi_thread")]
async fn every_documented_index_is_used() {
    with_database(|url| async move {
        let mut connection = populated(&url).await;
        let large = EntityId::from("large");
        let new = MemoryFilter::new;
        for (filter, index) in [
            (
                new().tags(["rare"], MemoryTagMode::AnyStrict),
                "idx_memory_tags",
            ),
            (new().metadata("rare", "yes"), "idx_memory_metadata"),
            (new().relates_to(linked()), "idx_memory_related"),
            (new().involves("rare"), "idx_memory_entities_involved"),
        ] {
            let plan = lines(&mut connection, list::count_statement(&large, &filter)).await;
            assert!(plan.contains(index), "{index}\n{plan}");
        }
        let scope = |scope| ListRequest::new(20).scope(scope);
        for (request, index) in [
            // The newest, also of the last days alone.
            (ListRequest::new(20), "idx_memory_entity_timestamp"),
            (
                ListRequest::new(20).filter(new().since(fixtures::at(2_900))),
                "idx_memory_entity_timestamp",
            ),
            (
                ListRequest::new(20).filter(new().kind(MemoryKind::World)),
                "idx_memory_entity_kind_timestamp",
            ),
            (scope(ListScope::SourcesOf(linked())), "idx_memory_archived"),
            (scope(ListScope::Archived), "idx_memory_archived"),
            // The involved entities of what was found.
            (ListRequest::new(20), "idx_memory_entities_memory"),
        ] {
            let plan = lines(&mut connection, list::list_statement(&large, &request, 20)).await;
            assert!(plan.contains(index), "{index}\n{plan}");
            assert!(!plan.contains("Seq Scan on memory m"), "{index}\n{plan}");
        }
    })
    .await;
}

/// An ANN search of a large entity, and an exact one in the same database.
#[tokio::test(flavor = "multi_thread")]
async fn ann_index_is_used_only_by_ann_search() {
    with_database(|url| async move {
        let mut connection = populated(&url).await;
        let options = PgOptions::new().ann_min_vectors(500);
        let options = options.ann_index(AnnIndex::hnsw());
        let store = options.connect(&url).await.unwrap();
        let report = store.maintain_indexes(&MaintenanceRequest::new()).await;
        assert_eq!(report.unwrap().count(IndexAction::Build), 2);
        store.close().await.unwrap();
        run(&mut connection, "VACUUM ANALYZE memory_embedding").await;
        run(
            &mut connection,
            "SET hnsw.iterative_scan = relaxed_order; SET hnsw.ef_search = 100",
        )
        .await;
        for mode in MODES {
            for filter in [
                MemoryFilter::new(),
                MemoryFilter::new().kind(MemoryKind::World),
                MemoryFilter::new().since(fixtures::at(9)),
            ] {
                let mut request = request(dense(), Some("lantern saddle"));
                request.filter = filter;
                let plan = explain(&mut connection, mode, &request).await;
                assert!(!plan.contains("idx_memory_near"), "{mode}\n{plan}");
                let mut sql = SqlBuilder::new();
                let query = request.dense.as_ref().unwrap();
                let words = words(&request);
                ann_search::push_statement(
                    &mut sql,
                    IndexMethod::Hnsw,
                    &EntityId::from("mira"),
                    &request,
                    query,
                    words.as_ref(),
                );
                let plan = lines(&mut connection, sql).await;
                let nearest = plan
                    .split("  CTE ")
                    .find(|it| it.starts_with("nearest"))
                    .unwrap();
                assert!(
                    nearest.contains("Index Scan using idx_memory_near"),
                    "{mode}\n{plan}"
                );
                // A scan in the order of the index stops early; a join would read
                // all of it.
                assert!(!nearest.contains("Join"), "{mode}\n{plan}");
                assert!(!plan.contains("idx_memory_embedding "), "{mode}\n{plan}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lexical_search_uses_the_lexeme_index() {
    with_database(|url| async move {
        let mut connection = populated(&url).await;
        for mode in MODES {
            let plan = explain(
                &mut connection,
                mode,
                &request(None, Some("lantern saddle")),
            )
            .await;
            assert!(plan.contains("idx_memory_lexemes"), "{mode}\n{plan}");
            assert!(!plan.contains("Seq Scan on memory m"), "{mode}\n{plan}");
        }
    })
    .await;
}

/// Whether there is something to convert is asked of an empty index.
#[tokio::test(flavor = "multi_thread")]
async fn older_terms_are_found_by_their_index() {
    with_database(|url| async move {
        let mut connection = populated(&url).await;
        for after in [None, Some(EntityId::from("mira"))] {
            let sql = reindex::outdated_statement(after.as_ref());
            let plan = lines(&mut connection, sql).await;
            assert!(plan.contains("idx_memory_outdated"), "{plan}");
        }
        let plan = explain(&mut connection, MODES[1], &request(None, Some("lantern"))).await;
        assert!(plan.contains("idx_memory_outdated"), "{plan}");
    })
    .await;
}

/// The removals of years are not read to load an entity.
#[tokio::test(flavor = "multi_thread")]
async fn loading_the_whole_state_reads_no_tombstones() {
    with_database(|url| async move {
        let mut connection = populated(&url).await;
        let mira = EntityId::from("mira");
        let model = fixtures::fingerprint();
        for (since, reads) in [(0, false), (1, true)] {
            let sql = changes::changes_statement(&mira, Generation(since), &model, i64::MAX);
            let plan = lines(&mut connection, sql).await;
            let scan = plan
                .lines()
                .find(|line| line.contains("on memory_tombstone"))
                .unwrap_or_else(|| panic!("{plan}"));
            assert_eq!(!scan.contains("never executed"), reads, "{plan}");
        }
    })
    .await;
}

/// Only what is in no page is read from rows, and a page is found without reading others.
#[tokio::test(flavor = "multi_thread")]
async fn snapshot_pages_are_found_by_their_ids() {
    with_database(|url| async move {
        let mut connection = populated(&url).await;
        let (large, model) = (EntityId::from("large"), fixtures::fingerprint());
        let store = PgStore::connect(&url).await.unwrap();
        let pages = store.snapshot_pages().unwrap();
        let state = pages.read(&large, &model, 1).await.unwrap();
        let new = state.parts.iter().filter_map(|part| match part {
            SnapshotPart::Memories {
                page: Some(number),
                memories,
            } => {
                let ids = memories.iter().map(|item| item.memory.id).collect();
                Some(SnapshotPage::new(*number, ids, vec![0; 100_000]))
            }
            _ => None,
        });
        let (new, read_at) = (new.collect(), state.generation);
        pages.write(&large, &model, 1, read_at, new).await.unwrap();
        store.close().await.unwrap();
        let others = "INSERT INTO snapshot_page SELECT 'small ' || n, gen_random_uuid(), \
             gen_random_uuid(), 'model', 0, 0, '' FROM generate_series(1, 5000) n";
        run(&mut connection, others).await;
        run(&mut connection, "VACUUM ANALYZE").await;
        for mode in MODES {
            run(&mut connection, &format!("SET plan_cache_mode = {mode}")).await;
            let sql = snapshot_pages::read_statement(&large, &model, 1, &[], i64::MAX);
            let plan = lines(&mut connection, sql).await;
            assert!(
                plan.contains("Index Scan using memory_pkey"),
                "{mode}\n{plan}"
            );
            assert!(!plan.contains("Seq Scan on memory m"), "{mode}\n{plan}");
            // Between 23 pages, and of 56 memories that are in none.
            for (scan, loops) in [("using memory_pkey", 24), ("on memory_embedding w", 56)] {
                let line = plan.lines().find(|line| line.contains(scan));
                let is_so = line.is_some_and(|line| line.contains(&format!("loops={loops})")));
                assert!(is_so, "{scan}, {mode}\n{plan}");
            }
            let mut sql = SqlBuilder::new();
            let id = sql.value(vec![Uuid::from_u128(1 << 100)], "uuid[]");
            let entity = sql.value("large", "text");
            let model = sql.value(None::<&str>, "text");
            let delete = snapshot_pages::DELETE.replace("$2::uuid[]", &id);
            let delete = delete.replace("$1::text", &entity);
            sql.push(delete.replace("$3::text", &model));
            let plan = lines(&mut connection, sql).await;
            assert!(
                !plan.contains("Seq Scan on snapshot_page"),
                "{mode}\n{plan}"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filtered_search_uses_the_filter_indexes() {
    with_database(|url| async move {
        let mut connection = populated(&url).await;
        let new = MemoryFilter::new;
        for (filter, index) in [
            (new().since(fixtures::at(9)), "idx_memory_entity_timestamp"),
            (
                new().kind(MemoryKind::World).since(fixtures::at(9)),
                "idx_memory_entity_",
            ),
            (new().involves("rare"), "idx_memory_entities_involved"),
        ] {
            let mut request = request(dense(), None);
            request.filter = filter;
            let plan = explain(&mut connection, MODES[0], &request).await;
            assert!(plan.contains(index), "{index}\n{plan}");
            assert!(!plan.contains("Seq Scan on memory m"), "{index}\n{plan}");
        }
    })
    .await;
}

/// Neighbors come from the index over contexts, and a sample from an index alone.
#[tokio::test(flavor = "multi_thread")]
async fn neighbors_and_samples_read_indexes() {
    with_database(|url| async move {
        let mut connection = populated(&url).await;
        let mira = EntityId::from("mira");
        for filter in [
            MemoryFilter::new(),
            MemoryFilter::new().since(fixtures::at(9)),
        ] {
            let mut neighbors = NeighborRequest::new([linked()], 3).filter(filter);
            neighbors.dense = dense();
            for mode in MODES {
                run(&mut connection, &format!("SET plan_cache_mode = {mode}")).await;
                let mut sql = SqlBuilder::new();
                neighbors::push_statement(&mut sql, &mira, &neighbors);
                let plan = lines(&mut connection, sql).await;
                assert!(plan.contains("idx_memory_context"), "{mode}\n{plan}");
                assert!(!plan.contains("Seq Scan on memory m"), "{mode}\n{plan}");
            }
        }
        let sampled = request(dense(), Some("lantern saddle")).sample(20);
        let plan = explain(&mut connection, MODES[0], &sampled).await;
        assert!(!plan.contains("Seq Scan on memory m"), "{plan}");
    })
    .await;
}

/// An ANN search, which the conformance suite does not reach, reads one partition of
/// each table as all others do.
#[tokio::test(flavor = "multi_thread")]
async fn ann_search_of_partitioned_tables_reads_one_partition() {
    with_database(|url| async move {
        PgStore::connect(&url).await.unwrap().close().await.unwrap();
        support::partitioned::partition_tables(&url).await;
        let mut connection = connect(&url).await;
        for filter in [MemoryFilter::new(), MemoryFilter::new().involves("rare")] {
            let request = request(dense(), Some("lantern saddle"));
            let request = SearchRequest { filter, ..request };
            let query = request.dense.as_ref().unwrap();
            let mut sql = SqlBuilder::new();
            let mira = EntityId::from("mira");
            let method = IndexMethod::IvfFlat;
            let words = words(&request);
            ann_search::push_statement(&mut sql, method, &mira, &request, query, words.as_ref());
            let plan = lines(&mut connection, sql).await;
            assert_eq!(support::partitioned::partitions(&plan).len(), 1, "{plan}");
        }
    })
    .await;
}

/// Many entities of different sizes, one of them with half of all rows.
async fn populated(url: &str) -> PgConnection {
    let store = PgStore::connect(url).await.unwrap();
    let mut rng = SeededRng::new(7);
    for (name, size) in [("large", 3_000), ("mira", 600)] {
        let batch = fixtures::varied_memories(&EntityId::from(name), size, &mut rng);
        store.insert(&batch).await.unwrap();
    }
    for number in 0..40 {
        let entity = EntityId::from(format!("small {number}"));
        let mut batch = fixtures::varied_memories(&entity, 60, &mut rng);
        let memory = &mut batch[0].memory;
        memory.entities = [("rare".into(), "seen".to_owned())].into();
        memory.tags = ["rare".to_owned()].into();
        memory.metadata = [("rare".to_owned(), "yes".to_owned())].into();
        memory.related = [(linked(), "after".to_owned())].into();
        store.insert(&batch).await.unwrap();
    }
    store.close().await.unwrap();
    let mut connection = connect(url).await;
    run(&mut connection, "VACUUM ANALYZE").await;
    connection
}

fn dense() -> Option<DenseQuery> {
    Some(DenseQuery {
        chunk_discount: 0.0,
        fingerprint: fixtures::fingerprint(),
        vector: SeededRng::new(3).vector(fixtures::DIMENSIONS),
    })
}

fn request(dense: Option<DenseQuery>, lexical: Option<&str>) -> SearchRequest {
    SearchRequest {
        sample: 0,
        filter: MemoryFilter::new(),
        limit: 20,
        dense,
        lexical: lexical.map(str::to_owned),
    }
}

fn words(request: &SearchRequest) -> Option<LexicalQuery> {
    let text = request.lexical.as_ref();
    text.map(|text| LexicalQuery::new(text, None))
}

/// The plan of the statement that a search sends, as text.
async fn explain(connection: &mut PgConnection, mode: &str, request: &SearchRequest) -> String {
    run(connection, &format!("SET plan_cache_mode = {mode}")).await;
    let mut sql = SqlBuilder::new();
    let words = words(request);
    search::push_statement(&mut sql, &EntityId::from("mira"), request, words.as_ref());
    lines(connection, sql).await
}

async fn lines(connection: &mut PgConnection, mut sql: SqlBuilder) -> String {
    sql.prepend("EXPLAIN (ANALYZE, BUFFERS) ");
    let rows = sql.query().unwrap().fetch_all(connection).await.unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}
