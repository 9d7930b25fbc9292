//! Operations on a few memories read a few rows, also of an entity of which the server's
//! statistics do not know yet that it has grown.

use std::time::Duration;

use memory_core::{
    AccessUpdate, DenseQuery, EmbeddedMemory, EntityId, Generation, ListRequest, ListScope,
    MemoryFilter, MemoryId, MemoryKind, MemoryPatch, MemoryTagMode, NeighborRequest, SearchRequest,
    Store, SummaryGroup,
};
use memory_pg::{PgOptions, PgStore};
use memory_testkit::{SeededRng, fixtures};

use crate::memories;
use crate::statement_log::{self, LoggedStatement};
use crate::support::partitioned::TABLES;
use crate::support::{connect, run, with_database};

/// The memories that the entity has then.
const GROWTH: usize = 20_000;

/// Rows that a scan may read for an operation on a few of them.
const MAX_ROWS: f64 = 400.0;

/// Memories that involve an entity are read once, where they are counted or there are too many
/// to look all of them up.
const MAX_INVOLVED: f64 = 4_000.0;

/// The server knows of many entities with one memory each.
#[tokio::test(flavor = "multi_thread")]
async fn a_few_memories_are_looked_up_in_an_entity_that_has_grown() {
    with_database(|url| async move {
        let logged = log_after_growth(&url, 500, 1).await;
        // Of what has changed, the accesses may be joined with those of all.
        check(&logged, |it| !it.text.contains("version > s.since"));
    })
    .await;
}

/// All entities are among the most common ones, so that another one is taken to have a
/// single row. Links, episodes and changes need not be found by their indexes then.
#[tokio::test(flavor = "multi_thread")]
async fn a_few_memories_are_looked_up_in_an_entity_that_was_unknown() {
    with_database(|url| async move {
        let logged = log_after_growth(&url, 10, 40).await;
        let others = ["?|", "m.related ? ", "md5(", "version > s.since"];
        check(&logged, |it| {
            !others.iter().any(|text| it.text.contains(text))
        });
    })
    .await;
}

/// A search reads the whole entity, but not all of it again for each memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_reads_each_row_a_few_times_after_growth() {
    for (entities, size, filter) in [
        (500, 1, MemoryFilter::new()),
        (500, 1, MemoryFilter::new().since(fixtures::at(0))),
        (500, 1, MemoryFilter::new().involves("tam")),
        (10, 40, MemoryFilter::new()),
        (10, 40, MemoryFilter::new().since(fixtures::at(0))),
        (10, 40, MemoryFilter::new().involves("tam")),
        (
            10,
            40,
            MemoryFilter::new()
                .involves("tam")
                .metadata("place", "mill"),
        ),
    ] {
        with_database(move |url| async move {
            let _log = statement_log::lock().await;
            grow(&url, entities, size).await;
            let store = analyzed_store(&url).await;
            let mut request = SearchRequest::new(filter, 20).sample(20);
            let vector = fixtures::embedding(1, &mut SeededRng::new(1))
                .vectors
                .remove(0);
            request.dense = Some(DenseQuery::new(fixtures::fingerprint(), vector));
            request.lexical = Some("lantern saddle the horses".to_owned());
            let found = store.search(&"mira".into(), &request).await.unwrap();
            assert!(!found.candidates.is_empty());
            store.close().await.unwrap();
            let logged = statement_log::take();
            let rows = logged.iter().map(|it| most_rows(&it.plan, |_| true));
            let most = rows.fold(0.0, f64::max);
            // Memories, vectors of several chunks, and matches of several words.
            assert!(most > 1_000.0 && most < 100_000.0, "{most} rows");
        })
        .await;
    }
}

/// Makes the statistics of so many entities, and then inserts the memories of another one.
async fn grow(url: &str, entities: usize, size: usize) -> Vec<EmbeddedMemory> {
    let store = PgStore::connect(url).await.unwrap();
    let mut rng = SeededRng::new(3);
    let batch: Vec<EmbeddedMemory> = (0..entities)
        .flat_map(|number| {
            let entity = EntityId::from(format!("small {number}"));
            fixtures::varied_memories(&entity, size, &mut rng)
        })
        .collect();
    store.insert(&batch).await.unwrap();
    let mut connection = connect(url).await;
    for table in TABLES {
        run(
            &mut connection,
            &format!("ALTER TABLE {table} SET (autovacuum_enabled = off)"),
        )
        .await;
    }
    run(&mut connection, "VACUUM ANALYZE").await;
    let grown = memories("mira", GROWTH);
    for batch in grown.chunks(2_000) {
        store.insert(batch).await.unwrap();
    }
    // Accesses and tombstones of many.
    let accesses =
        |item: &EmbeddedMemory| AccessUpdate::new("mira", item.memory.id, 1, fixtures::at(9));
    let accesses: Vec<AccessUpdate> = grown.iter().map(accesses).collect();
    store
        .record_accesses(&accesses, Duration::ZERO)
        .await
        .unwrap();
    let removed: Vec<MemoryId> = grown[..900].iter().map(|item| item.memory.id).collect();
    store.delete(&"mira".into(), &removed).await.unwrap();
    store.close().await.unwrap();
    grown
}

/// A store whose statements are logged with what they read.
async fn analyzed_store(url: &str) -> PgStore {
    statement_log::enable(url).await;
    let mut connection = connect(url).await;
    run(
        &mut connection,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET auto_explain.log_analyze = on', \
         current_database()); END $$",
    )
    .await;
    statement_log::take();
    PgOptions::new().connect(url).await.unwrap()
}

/// Every operation on a few memories, and its statements.
async fn log_after_growth(url: &str, entities: usize, size: usize) -> Vec<LoggedStatement> {
    let _log = statement_log::lock().await;
    let grown = grow(url, entities, size).await;
    let mira = EntityId::from("mira");
    let store = analyzed_store(url).await;
    let items = &grown[1_000..1_010];
    let ids: Vec<MemoryId> = items.iter().map(|item| item.memory.id).collect();
    let model = fixtures::fingerprint();
    store.get(&mira, &ids).await.unwrap();
    store.insert(items).await.unwrap();
    // One that was removed before, and so has a tombstone.
    store.insert(&grown[..1]).await.unwrap();
    let patch = MemoryPatch::new()
        .content("patched")
        .relate(ids[1], "follows");
    let embedding = Some(&items[0].embedding);
    store
        .update(&mira, &ids[0], &patch, embedding)
        .await
        .unwrap();
    let accesses: Vec<AccessUpdate> = ids
        .iter()
        .map(|id| AccessUpdate::new(mira.clone(), *id, 1, fixtures::at(10)))
        .collect();
    store
        .record_accesses(&accesses, Duration::ZERO)
        .await
        .unwrap();
    store.vector_counts(&mira, &ids, &model).await.unwrap();
    for filter in [MemoryFilter::new(), MemoryFilter::new().involves("tam")] {
        let request = NeighborRequest::new(ids.clone(), 2).max_length(50);
        let request = request.filter(filter);
        store.neighbors(&mira, &request).await.unwrap();
    }
    let generation = store.entity_stats(&mira).await.unwrap().generation;
    store
        .changes_since(&mira, Generation(generation.0 - 1), &model)
        .await
        .unwrap();
    let other = fixtures::other_fingerprint();
    let vectors = items[2..5].iter().map(|item| {
        let mut embedding = item.embedding.clone();
        embedding.fingerprint = other.clone();
        (item.memory.id, embedding)
    });
    let vectors: Vec<_> = vectors.collect();
    store
        .replace_vectors(&mira, &vectors, generation)
        .await
        .unwrap();
    store
        .remove_other_vectors(&mira, &ids, &other)
        .await
        .unwrap();
    let generation = store.entity_stats(&mira).await.unwrap().generation;
    let summary = fixtures::plain(&mira, "a summary", &mut SeededRng::new(8));
    let group = SummaryGroup {
        sources: ids[6..9].to_vec(),
        summary: summary.clone(),
    };
    store
        .consolidate(&mira, &[group], generation)
        .await
        .unwrap();
    list_and_count(&store, &mira, &items[0], summary.memory.id).await;
    store.delete(&mira, &[summary.memory.id]).await.unwrap();
    store.delete(&mira, &ids).await.unwrap();
    store.close().await.unwrap();
    let logged = statement_log::take();
    for text in [
        "DELETE FROM memory m",
        "DELETE FROM memory_tombstone",
        "INSERT INTO memory_access",
        "SET archived_by = NULL",
        "SET archived_by = u.summary",
        "WITH asked",
        "related - ",
        "m.archived_by IS NOT NULL",
        "(m.timestamp, m.memory_id) <",
        "i.involved_entity_id =",
        "SELECT count(*) FROM (SELECT i.memory_id FROM memory_entity",
    ] {
        let is_logged = logged.iter().any(|it| it.text.contains(text));
        assert!(is_logged, "no statement with {text} was logged");
    }
    logged
}

/// Lists memories of every scope by every filter that many memories match or few do, and
/// counts a few.
async fn list_and_count(
    store: &PgStore,
    entity: &EntityId,
    patched: &EmbeddedMemory,
    summary: MemoryId,
) {
    // One that nobody else has in common.
    let mut rare = fixtures::plain(entity, "the only one", &mut SeededRng::new(9));
    rare.memory.entities.insert("zoe".into(), "seen".to_owned());
    store.insert(&[rare]).await.unwrap();
    let new = MemoryFilter::new;
    // A larger page, up to what the server expects of the entity, may be sorted.
    let request = ListRequest::new(45);
    store.list(entity, &request).await.unwrap();
    let few = [new().involves("zoe"), new().relates_to(patched.memory.id)];
    let many = [
        new(),
        new().since(fixtures::at(0)),
        new().until(fixtures::at(5)),
        new().kind(MemoryKind::World),
        new().kind(MemoryKind::World).kind(MemoryKind::Opinion),
        new().tags(["mill"], MemoryTagMode::Any),
        new().metadata("place", "mill"),
        new().involves("tam"),
    ];
    for (filter, pages) in many
        .iter()
        .map(|it| (it, 3))
        .chain(few.iter().map(|it| (it, 1)))
    {
        let mut request = ListRequest::new(10).filter(filter.clone());
        for _ in 0..pages {
            let page = store.list(entity, &request).await.unwrap();
            assert_eq!(page.next.is_some(), pages > 1);
            request.after = page.next;
        }
    }
    for scope in [ListScope::Archived, ListScope::SourcesOf(summary)] {
        let mut request = ListRequest::new(2).scope(scope);
        let page = store.list(entity, &request).await.unwrap();
        request.after = page.next;
        let rest = store.list(entity, &request).await.unwrap();
        assert_eq!((page.memories.len(), rest.memories.len()), (2, 1));
    }
    for filter in few.iter().chain([&new(), &new().involves("tam")]) {
        store.count(entity, filter).await.unwrap();
    }
}

/// Checks that no scan of a table reads many rows.
fn check(logged: &[LoggedStatement], is_checked: impl Fn(&LoggedStatement) -> bool) {
    for statement in logged.iter().filter(|it| is_checked(it)) {
        let is_of_table = |line: &str| TABLES.iter().any(|it| line.contains(&format!(" on {it} ")));
        let rows = most_rows(&statement.plan, is_of_table);
        let LoggedStatement { text, plan } = statement;
        let reads_involved = text.contains("involved_entity_id =") && !text.contains("WITH asked");
        let max = match reads_involved {
            true => MAX_INVOLVED,
            false => MAX_ROWS,
        };
        assert!(rows <= max, "{rows} rows:\n{text}\n{plan}");
    }
}

/// The most rows that a node of a plan reads or makes, with those that it leaves out.
fn most_rows(plan: &str, is_of_interest: impl Fn(&str) -> bool) -> f64 {
    let (mut most, mut loops, mut is_counted) = (0.0f64, 1.0, false);
    for line in plan.lines() {
        if let Some((_, actual)) = line.split_once("(actual ") {
            loops = number_after(actual, "loops=");
            is_counted = is_of_interest(line);
            if is_counted {
                most = most.max(number_after(actual, "rows=") * loops);
            }
        } else if is_counted && line.contains("Rows Removed by") {
            most = most.max(number_after(line, ": ") * loops);
        }
    }
    most
}

/// The number after a text.
fn number_after(line: &str, text: &str) -> f64 {
    let rest = line.split_once(text).map_or("", |(_, rest)| rest);
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    rest[..end.unwrap_or(rest.len())].parse().unwrap_or(0.0)
}

#[test]
fn rows_are_read_from_a_plan() {
    let plan = "Nested Loop (cost=0.1..2 rows=1 width=4) (actual time=0.1..0.2 rows=3.00 loops=1)\n  \
                -> Index Scan using a on memory m  (cost=0..1 rows=1 width=4) (actual time=0.1..0.1 rows=2.00 loops=7)\n        \
                Rows Removed by Filter: 50\n";
    assert_eq!(most_rows(plan, |_| true).to_bits(), 350f64.to_bits());
    assert_eq!(
        most_rows(plan, |line| line.contains("Nested")).to_bits(),
        3f64.to_bits()
    );
}
