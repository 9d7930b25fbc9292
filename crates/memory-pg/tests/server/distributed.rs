//! What a server that spreads the tables over nodes by entity (Citus) demands of the
//! statements. It is not needed for it: on partitioned tables, the plans show which
//! partitions a statement would ask, and the rest shows in the text.

use std::time::Duration;

use memory_core::{
    DenseQuery, EntityId, Generation, MaintenanceRequest, MemoryFilter, SearchRequest, Store,
};
use memory_pg::{AnnIndex, PgOptions, PgStore};
use memory_testkit::fixtures;
use memory_testkit::store::{Suite, Tolerance};

use crate::memories;
use crate::statement_log::{self, LoggedStatement};
use crate::support::partitioned::{self, TABLES};
use crate::support::{connect, run, with_database};

#[tokio::test(flavor = "multi_thread")]
async fn conforms_on_partitioned_tables_and_reads_one_partition() {
    with_database(|url| async move {
        let _log = statement_log::lock().await;
        PgStore::connect(&url).await.unwrap().close().await.unwrap();
        partitioned::partition_tables(&url).await;
        statement_log::enable(&url).await;
        let suite = Suite::new()
            .reopens()
            .tolerance(Tolerance::HALF_PRECISION)
            .defers_accesses();
        let open = || PgOptions::new().notify_changes(true).connect(&url);
        suite.run(open).await.assert();
        // No entity is large enough, so this only looks for large ones.
        let options = PgOptions::new().ann_index(AnnIndex::hnsw());
        let store = options.connect(&url).await.unwrap();
        assert_eq!(
            store
                .maintain_indexes(&MaintenanceRequest::new())
                .await
                .unwrap()
                .indexes,
            []
        );
        store.insert(&memories("mira", 3)).await.unwrap();
        store.close().await.unwrap();
        convert_terms(&url).await;

        check(&[
            "INSERT INTO memory_tombstone",
            "pg_notify",
            "FOR SHARE",
            "sampled",
            "SKIP LOCKED",
            "UPDATE memory m SET lexemes",
        ]);
    })
    .await;
}

/// Partitioned tables refuse the indexes, so this is about the text of the statements only.
#[tokio::test(flavor = "multi_thread")]
async fn index_maintenance_conforms() {
    with_database(|url| async move {
        let _log = statement_log::lock().await;
        PgStore::connect(&url).await.unwrap().close().await.unwrap();
        statement_log::enable(&url).await;
        let connect = |index| {
            let options = PgOptions::new().ann_index(index).ann_min_vectors(50);
            options.connect(&url)
        };
        let store = connect(AnnIndex::ivf_flat()).await.unwrap();
        let batch = memories("mira", 100);
        store.insert(&batch).await.unwrap();
        let maintenance = MaintenanceRequest::new();
        let built = store.maintain_indexes(&maintenance).await.unwrap();
        assert_eq!(built.indexes.len(), 1, "{built:?}");
        // It was not searched, and then it was.
        store.maintain_indexes(&maintenance).await.unwrap();
        let vector = batch[0].embedding.vectors[0].clone();
        let query = DenseQuery::new(fixtures::fingerprint(), vector);
        let request = SearchRequest::new(MemoryFilter::new(), 5).dense(query);
        let found = store.search(&"mira".into(), &request).await.unwrap();
        assert!(found.dense.is_none(), "the search used the index");
        store.maintain_indexes(&maintenance).await.unwrap();
        store.close().await.unwrap();
        // Measured, and not of use: a decision is recorded.
        let store = connect(AnnIndex::Auto).await.unwrap();
        store.maintain_indexes(&maintenance).await.unwrap();
        store.close().await.unwrap();
        check(&[
            "INSERT INTO memory_approximate",
            "SET scans = $2::bigint, unused_since",
            "SET scans = $2::bigint WHERE",
            "EXPLAIN (ANALYZE",
            "WITH nearest",
            "DELETE FROM memory_approximate",
        ]);
    })
    .await;
}

/// What only entities with many memories have: loads by cursors, and candidates by pairs of
/// words.
#[tokio::test(flavor = "multi_thread")]
async fn reads_of_a_large_entity_ask_one_partition() {
    with_database(|url| async move {
        let _log = statement_log::lock().await;
        PgStore::connect(&url).await.unwrap().close().await.unwrap();
        partitioned::partition_tables(&url).await;
        statement_log::enable_with_cursors(&url).await;
        let store = PgStore::connect(&url).await.unwrap();
        let (mira, model) = (EntityId::from("mira"), fixtures::fingerprint());
        let mut batch = memories("mira", 2_100);
        for (number, item) in batch.iter_mut().enumerate() {
            item.memory.content = format!("The old mill at the river, number {number}.");
        }
        store.insert(&batch).await.unwrap();
        let changes = store.changes_since(&mira, Generation::ZERO, &model);
        assert_eq!(changes.await.unwrap().written.len(), batch.len());
        let pages = store.snapshot_pages().unwrap();
        pages.read(&mira, &model, u64::MAX - 1).await.unwrap();
        let request = SearchRequest::new(MemoryFilter::new(), 5).lexical("old mill");
        let found = store.search(&mira, &request).await.unwrap();
        assert!(found.candidates.len() > 5, "some are candidates by pairs");
        store.close().await.unwrap();
        check(&[
            "DECLARE memory_changes ",
            "DECLARE memory_pages ",
            "FETCH FORWARD 64 FROM memory_changes",
            "FETCH FORWARD 64 FROM memory_pages",
            "SELECT t.memory_id, t.content FROM unnest(",
            "WITH wanted AS MATERIALIZED (SELECT u.memory_id, u.score",
        ]);
    })
    .await;
}

/// Gives a cursor the plan of its statement, which was first run without one, for an entity
/// that could have been small.
fn explain_cursors(logged: &mut [LoggedStatement]) {
    let of_statement = |cursor: &str| {
        let (_, statement) = cursor.split_once(" CURSOR FOR ")?;
        let same = logged.iter().find(|it| it.text == statement);
        let same = same.unwrap_or_else(|| panic!("no plan of {cursor} was logged"));
        Some(same.plan.clone())
    };
    let plans = logged.iter().map(|it| of_statement(&it.text));
    let plans: Vec<Option<String>> = plans.collect();
    for (it, plan) in logged.iter_mut().zip(plans) {
        it.plan = plan.unwrap_or_else(|| std::mem::take(&mut it.plan));
    }
}

/// Checks everything that was logged, in which each of these texts has to occur.
fn check(texts: &[&str]) {
    let mut logged = statement_log::take();
    explain_cursors(&mut logged);
    for text in texts {
        let is_logged = logged.iter().any(|it| it.text.contains(text));
        assert!(is_logged, "no statement with {text} was logged");
    }
    let problems: Vec<String> = logged
        .iter()
        .filter_map(|it| Some(format!("{}:\n{}\n{}", problem(it)?, it.text, it.plan)))
        .collect();
    let first = problems.first().map_or("", String::as_str);
    let count = problems.len();
    assert!(problems.is_empty(), "{count} problems, first {first}");
}

/// Opens a store whose memories have to be converted, until that is done.
async fn convert_terms(url: &str) {
    let mut connection = connect(url).await;
    run(
        &mut connection,
        "UPDATE memory SET lexemes = NULL, analysis = 0 WHERE entity_id = 'mira'",
    )
    .await;
    let store = PgStore::connect(url).await.unwrap();
    loop {
        let left = sqlx::query_scalar(
            "SELECT count(*) FROM memory m WHERE m.entity_id = 'mira' AND m.analysis = 0",
        );
        let left: i64 = left.fetch_one(&mut connection).await.unwrap();
        if left == 0 {
            return store.close().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a distributed server would refuse or do slowly.
fn problem(statement: &LoggedStatement) -> Option<String> {
    let text = &statement.text;
    // Which entities there are is asked of all nodes.
    let of_all = [
        "FROM entity e WHERE e.memory_count",
        "SELECT m.entity_id FROM memory m WHERE m.analysis",
        "SELECT a.entity_id FROM memory_access a WHERE a.last_accessed",
    ];
    if of_all.iter().any(|it| text.contains(it)) {
        return None;
    }
    let partitions = partitioned::partitions(&statement.plan);
    if partitions.len() > 1 {
        return Some(format!("reads the partitions {partitions:?}"));
    }
    text_problem(text)
}

fn text_problem(text: &str) -> Option<String> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | ';'))
        .filter(|word| !word.is_empty())
        .collect();
    let references = references(&words);
    let written = references.iter().filter(|it| it.is_written).count();
    if written > 1 {
        return Some("writes to several tables".to_owned());
    }
    if text.contains("pg_notify") && !references.is_empty() {
        return Some("notifies where it reads or writes a table".to_owned());
    }
    let locks = text.contains("FOR NO KEY UPDATE") || text.contains("FOR SHARE");
    let one = [
        "FOR NO KEY UPDATE",
        "FOR NO KEY UPDATE SKIP LOCKED",
        "FOR SHARE",
        "FOR SHARE SKIP LOCKED",
    ]
    .map(|lock| format!("FROM entity e WHERE e.entity_id = $1::text {lock}"));
    if locks && !one.iter().any(|end| text.ends_with(end)) {
        return Some("locks several rows".to_owned());
    }
    // Such a join or condition makes it read no rows of any table.
    let is_false = |pair: &[&str]| matches!(pair, ["ON" | "WHERE" | "AND", "false"]);
    if words.windows(2).any(is_false) {
        return Some("has a condition that is false".to_owned());
    }
    if text.contains("DO NOTHING") && !text.contains(" VALUES ") && !text.contains("RETURNING") {
        return Some("inserts rows without returning which".to_owned());
    }
    let has = |word: &str| words.contains(&word);
    if has("now") && (has("CASE") || has("coalesce")) {
        return Some("has a function that is not immutable, and CASE or coalesce".to_owned());
    }
    let inserted = |it: &&Reference| it.is_inserted;
    for reference in references.iter().filter(|it| !inserted(it)) {
        let Reference { alias, .. } = reference;
        let same = |it: &&Reference| it.alias == *alias && !it.is_inserted;
        let named = references.iter().filter(same).count();
        let constants: usize = ["$", "ANY ($", "'", "E'"]
            .iter()
            .map(|constant| match *alias {
                "" => [" WHERE", " AND"]
                    .iter()
                    .map(|word| {
                        text.matches(&format!("{word} entity_id = {constant}"))
                            .count()
                    })
                    .sum(),
                alias => text
                    .matches(&format!(" {alias}.entity_id = {constant}"))
                    .count(),
            })
            .sum();
        if constants < named {
            let table = reference.table;
            return Some(format!("does not name the entity of {table} {alias}"));
        }
    }
    None
}

/// A table in a statement.
struct Reference<'a> {
    table: &'a str,
    /// Empty where the table has none.
    alias: &'a str,
    is_written: bool,
    is_inserted: bool,
}

fn references<'a>(words: &[&'a str]) -> Vec<Reference<'a>> {
    let mut references = Vec::new();
    for (index, table) in words.iter().enumerate().skip(1) {
        let before = words[index - 1];
        let is_update = before == "UPDATE" && words.get(index.wrapping_sub(2)) != Some(&"DO");
        let is_delete = before == "FROM" && words.get(index.wrapping_sub(2)) == Some(&"DELETE");
        let is_read = ["FROM", "JOIN", "USING"].contains(&before);
        let is_inserted = before == "INTO";
        if !TABLES.contains(table) || !(is_update || is_read || is_inserted) {
            continue;
        }
        let alias = match words.get(index + 1) {
            None | Some(&("SET" | "WHERE" | "AS")) => "",
            Some(alias) => alias,
        };
        references.push(Reference {
            table,
            alias,
            is_written: is_inserted || is_update || is_delete,
            is_inserted,
        });
    }
    references
}

/// The check itself, on statements that a distributed server refuses.
#[test]
fn statements_that_a_distributed_server_refuses_are_rejected() {
    let refused = [
        "SELECT m.content FROM memory m LEFT JOIN memory_access a \
         ON a.entity_id = m.entity_id WHERE m.entity_id = $1::text",
        "SELECT m.content FROM unnest($1::text[]) AS u(entity_id) JOIN memory m \
         ON m.entity_id = u.entity_id",
        "SELECT e.generation FROM entity e WHERE e.entity_id = ANY ($1::text[]) \
         ORDER BY e.entity_id FOR NO KEY UPDATE",
        "INSERT INTO memory (entity_id) SELECT unnest($1::text[]) \
         ON CONFLICT (entity_id, memory_id) DO NOTHING",
        "WITH v AS (DELETE FROM memory_access t WHERE t.entity_id = $1::text) \
         DELETE FROM memory m WHERE m.entity_id = $1::text",
        "WITH r AS (UPDATE entity e SET generation = 1 WHERE e.entity_id = $1::text RETURNING 1) \
         SELECT pg_notify('memory', '1') FROM r",
        "DELETE FROM memory_tombstone WHERE memory_id = ANY ($1::uuid[])",
        "DECLARE memory_changes NO SCROLL CURSOR FOR SELECT m.content, v.halves FROM memory m \
         LEFT JOIN LATERAL (SELECT w.half FROM memory_embedding w \
           WHERE w.memory_id = m.memory_id OFFSET 0) v ON true WHERE m.entity_id = $1::text",
        "SELECT 1 FROM gone g FULL JOIN memory m ON false WHERE m.entity_id = $1::text",
        "UPDATE memory_approximate SET unused_since = CASE WHEN $2::boolean THEN now() \
         ELSE unused_since END WHERE index_name = $1::text",
    ];
    for text in refused {
        assert!(text_problem(text).is_some(), "{text}");
    }
    let accepted = [
        "SELECT m.content FROM memory m LEFT JOIN memory_access a \
         ON a.entity_id = $1::text WHERE m.entity_id = $1::text",
        "DELETE FROM memory_tombstone WHERE entity_id = $1::text AND memory_id = ANY ($2::uuid[])",
        "UPDATE memory_approximate SET unused_since = now() WHERE index_name = $1::text",
    ];
    for text in accepted {
        assert_eq!(text_problem(text), None, "{text}");
    }
}

/// The script for Citus names every table of the schema: those with memories by
/// entity, the others whole on every node.
#[tokio::test(flavor = "multi_thread")]
async fn script_distributes_every_table() {
    const SCRIPT: &str = include_str!("../../migrations/optional/distribute.sql");
    with_database(|url| async move {
        PgStore::connect(&url).await.unwrap().close().await.unwrap();
        let mut connection = connect(&url).await;
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() AND c.relkind = 'r'",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert_eq!(tables.len(), TABLES.len() + 2);
        for table in tables {
            let statement = match TABLES.contains(&table.as_str()) {
                true => format!("create_distributed_table('{table}', 'entity_id', "),
                false => format!("create_reference_table('{table}')"),
            };
            assert_eq!(SCRIPT.matches(&statement).count(), 1, "{statement}");
        }
    })
    .await;
}

#[test]
fn partitions_are_read_from_a_plan() {
    let plan = "Append\n  -> Index Scan using memory_p3_pkey on memory_p3 m_1\n  \
                -> Seq Scan on memory_embedding_p12 v";
    let expected = [3, 12].into();
    assert_eq!(partitioned::partitions(plan), expected);
}
