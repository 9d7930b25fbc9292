//! Databases whose lexical index was made by an older analysis of texts.

use std::path::Path;

use memory_core::{
    ErrorKind, Language, MemoryPatch, SearchOutcome, SearchRequest, Store, SummaryGroup,
};
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::{SeededRng, wait_until};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::tempdir;

use crate::common::{connect, ids, lexical, memory, mira, open, run_sql, try_open};
use crate::running_conversion::{HeldConversion, read_state};
use crate::search_pages::{PAGES, create, make_pages, requests, search};

/// What version 1 made of a Chinese text, a term for each character, with the counts
/// that belong to it; one row only is as it is now.
const OLD_ENTRIES: &str = "
    DELETE FROM memory_words WHERE rowid IN (SELECT memory_key FROM memory WHERE content LIKE '%海%');
    INSERT INTO memory_words (rowid, words)
        SELECT memory_key, '1_上 1_海' FROM memory WHERE content LIKE '%海%';
    UPDATE memory SET word_count = 2 WHERE content LIKE '%海%';
    UPDATE entity SET word_count = (SELECT sum(word_count) FROM memory);
    UPDATE text_analysis SET version = 1, converted_key = 0;";

const ENTRIES: &str = "SELECT m.memory_key, m.content, m.word_count, w.words FROM memory AS m
    JOIN memory_words AS w ON w.rowid = m.memory_key ORDER BY m.memory_key";

pub(crate) type Entry = (i64, String, i64, String);

/// Opens the file, and waits until every entry is of the current version.
pub(crate) async fn open_and_convert(path: &Path) -> SqliteStore {
    let store = open(path).await;
    wait_for_conversion(path).await;
    store
}

pub(crate) async fn wait_for_conversion(path: &Path) {
    wait_until("every entry is converted", async || state(path).await.0 > 0).await;
}

/// The row of `text_analysis`: version, key, conversions.
pub(crate) async fn state(path: &Path) -> (i64, i64, i64) {
    let mut conn = connect(path).await;
    let state = read_state(&mut conn).await;
    conn.close().await.unwrap();
    state
}

/// Entries, the words of the entity, the version of the analysis.
pub(crate) async fn index(path: &Path) -> (Vec<Entry>, i64, i64) {
    let mut conn = connect(path).await;
    let entries = sqlx::query_as(ENTRIES).fetch_all(&mut conn).await.unwrap();
    let words = sqlx::query_scalar("SELECT sum(word_count) FROM entity");
    let words = words.fetch_one(&mut conn).await.unwrap();
    let version = sqlx::query_scalar("SELECT version FROM text_analysis");
    let version = version.fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    (entries, words, version)
}

#[tokio::test]
async fn older_entries_are_made_again_after_the_database_is_opened() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let mut rng = SeededRng::new(3);
    // More than fit into one transaction, and enough for search pages.
    let mut batch = vec![memory("我住在上海", &mut rng), memory("他在海上", &mut rng)];
    batch.extend((0..2_500).map(|number| memory(format!("mill {number}"), &mut rng)));
    batch.push(memory("上海很大", &mut rng));
    store.insert(&batch).await.unwrap();
    store.close().await.unwrap();
    let made_now = index(&path).await;

    run_sql(&path, OLD_ENTRIES).await;
    assert_ne!(index(&path).await, made_now);
    let store = open_and_convert(&path).await;
    assert_eq!(index(&path).await, made_now);
    let found = store.search(&mira(), &lexical("上海")).await.unwrap();
    let mut found: Vec<_> = found.candidates.iter().map(|hit| hit.memory.id).collect();
    let ids = ids(&batch);
    let mut expected = vec![ids[0], ids[2_502]];
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "not 海上");
    store.close().await.unwrap();

    // A process that ended between two transactions is continued after it, unless it made
    // the entries of another version: those are made again.
    let current = made_now.2;
    for (version, is_continued) in [(-current, true), (1 - current, false), (4, false)] {
        run_sql(&path, OLD_ENTRIES).await;
        let almost_done = format!(
            "UPDATE text_analysis SET version = {version},
                converted_key = (SELECT max(memory_key) - 1 FROM memory)"
        );
        run_sql(&path, AssertSqlSafe(almost_done)).await;
        open_and_convert(&path).await.close().await.unwrap();
        let (entries, _, stored) = index(&path).await;
        assert_eq!((stored, &entries[2_502]), (current, &made_now.0[2_502]));
        assert_eq!(entries[0].3 == "1_上 1_海", is_continued, "{version}");
    }
}

/// As docs/languages.md says of a language that is set later.
#[tokio::test]
async fn entries_that_are_marked_as_older_get_the_stems_of_the_language() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let batch = [memory("Katzen füttern", &mut SeededRng::new(3))];
    store.insert(&batch).await.unwrap();
    store.close().await.unwrap();
    let options = SqliteOptions::new(&path).language(Some(Language::German));
    for (statement, expected) in [
        ("SELECT 1", 0),
        ("UPDATE text_analysis SET version = 4, converted_key = 0", 1),
    ] {
        run_sql(&path, statement).await;
        let store = SqliteStore::open_with(options.clone()).await.unwrap();
        let found = store.search(&mira(), &lexical("Katze")).await.unwrap();
        assert_eq!(found.candidates.len(), expected, "{statement}");
        let found = store.search(&mira(), &lexical("Katzen")).await.unwrap();
        assert_eq!(found.candidates.len(), 1, "{statement}");
        store.close().await.unwrap();
    }
}

/// Pages hold the old words as well.
#[tokio::test]
async fn pages_of_older_entries_are_passed_over() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let mut rng = SeededRng::new(4);
    let mut batch = vec![memory("他在海上", &mut rng)];
    batch.extend((0..2_100).map(|number| memory(format!("mill {number}"), &mut rng)));
    store.insert(&batch).await.unwrap();
    store.close().await.unwrap();
    run_sql(&path, OLD_ENTRIES).await;
    // As version 1 would have left it: a page that holds what is no longer true.
    run_sql(
        &path,
        "INSERT INTO word_page (page_key, checksum, content)
         SELECT memory_key >> 9, 0, x'00' FROM memory GROUP BY memory_key >> 9",
    )
    .await;
    let store = open_and_convert(&path).await;
    let mut conn = connect(&path).await;
    let left = "SELECT count(*) FROM word_page
        WHERE page_key IN (SELECT memory_key >> 9 FROM memory WHERE content LIKE '%海%')";
    let left: i64 = sqlx::query_scalar(left).fetch_one(&mut conn).await.unwrap();
    assert_eq!(left, 0);
    let found = store.search(&mira(), &lexical("上海")).await.unwrap();
    assert!(found.candidates.is_empty());
    let found = store.search(&mira(), &lexical("海上")).await.unwrap();
    assert_eq!(found.candidates.len(), 1);
}

/// Entries and counts that no version has made, with search pages of them, and pages that
/// are of no version.
pub(crate) const WRONG_ENTRIES: &str = "
    UPDATE memory SET word_count = word_count + 3 + memory_key % 5;
    UPDATE entity SET word_count = (
        SELECT sum(word_count) FROM memory
        WHERE entity_key = entity.entity_key AND archived_by IS NULL);
    UPDATE memory_words SET words = '1_mill 1_wrong' WHERE rowid % 3 = 0;
    UPDATE memory_words SET words = '1_wrong' WHERE rowid % 3 = 1;
    INSERT OR REPLACE INTO word_page (page_key, checksum, content)
        SELECT DISTINCT memory_key >> 9, 0, x'00' FROM memory;
    UPDATE text_analysis SET version = 4, converted_key = 0;";

/// Some of all searches.
fn some_requests() -> Vec<SearchRequest> {
    requests().into_iter().step_by(7).collect()
}

/// What they find through a store that only reads.
pub(crate) async fn search_some(path: &Path) -> Vec<SearchOutcome> {
    let options = SqliteOptions::new(path).read_only();
    let store = SqliteStore::open_with(options).await.unwrap();
    let mut outcomes = Vec::new();
    for request in some_requests() {
        outcomes.push(search(&store, &request).await);
    }
    store.close().await.unwrap();
    outcomes
}

async fn assert_found(path: &Path, expected: &[SearchOutcome], what: &str) {
    let found = search_some(path).await;
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{what}");
    }
    assert_eq!(found.len(), expected.len());
}

/// A database of which everything is converted up to a key: the rows after it are as
/// [`WRONG_ENTRIES`] leaves them.
async fn convert_up_to(path: &Path, original: &Path, number: i64) {
    std::fs::copy(original, path).unwrap();
    let sql = format!(
        "ATTACH '{}' AS right;
         UPDATE memory SET word_count = (
             SELECT r.word_count FROM right.memory AS r WHERE r.memory_key = memory.memory_key)
             WHERE memory_key < (1 << 32) + {number};
         UPDATE memory_words SET words = (
             SELECT r.words FROM right.memory_words AS r WHERE r.rowid = memory_words.rowid)
             WHERE rowid < (1 << 32) + {number};
         UPDATE entity SET word_count = (
             SELECT sum(word_count) FROM memory
             WHERE entity_key = entity.entity_key AND archived_by IS NULL);
         UPDATE text_analysis SET version = -7, converted_key = (1 << 32) + {number} - 1,
             conversion = 1;
         DETACH right;",
        original.with_extension("right").display()
    );
    run_sql(path, AssertSqlSafe(sql)).await;
}

#[tokio::test]
async fn searches_find_the_same_before_during_and_after_a_conversion() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create(&path).await;
    // Archived memories have no entry.
    let store = open(&path).await;
    let sources = ids(&batch)[10..30].to_vec();
    let generation = store.entity_stats(&mira()).await.unwrap().generation;
    let summary = memory("a summary of the mill", &mut SeededRng::new(5));
    let group = SummaryGroup { summary, sources };
    let consolidated = store.consolidate(&mira(), &[group], generation).await;
    consolidated.unwrap();
    store.close().await.unwrap();
    let expected = search_some(&path).await;
    let right = path.with_extension("right");
    std::fs::copy(&path, &right).unwrap();

    run_sql(&path, WRONG_ENTRIES).await;
    assert_found(&path, &expected, "nothing has begun").await;
    let partly = folder.path().join("partly.db");
    std::fs::copy(&path, folder.path().join("wrong.db")).unwrap();
    std::fs::rename(&right, folder.path().join("wrong.right")).unwrap();
    for number in [0, 400, 1_000, 2_570, 2_601] {
        convert_up_to(&partly, &folder.path().join("wrong.db"), number).await;
        assert_found(&partly, &expected, &format!("{number} are converted")).await;
        // The rest is converted by the next store, whose searches go on.
        if number == 1_000 {
            let held = HeldConversion::hold(&partly).await;
            let store = open(&partly).await;
            let request = requests().remove(0);
            assert_eq!(search(&store, &request).await, expected[0]);
            assert!(held.release().await.0 < 0, "it goes on after that search");
            while state(&partly).await.0 < 0 {
                assert_eq!(search(&store, &request).await, expected[0]);
            }
            store.close().await.unwrap();
            assert_found(&partly, &expected, "converted from there").await;
        }
    }
    let store = open_and_convert(&path).await;
    store.close().await.unwrap();
    assert_found(&path, &expected, "converted").await;
    make_pages(&path).await;
    assert_found(&path, &expected, "with pages").await;
    let (entries, words, _) = index(&path).await;
    let (right, right_words, _) = index(&folder.path().join("wrong.right")).await;
    assert_eq!((words, &entries), (right_words, &right));
}

/// Pages are made for a search of an entity whose turn has not come.
#[tokio::test]
async fn pages_of_words_are_made_from_texts_before_entries_are_converted() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create(&path).await;
    let expected = search_some(&path).await;
    run_sql(&path, WRONG_ENTRIES).await;
    let options = SqliteOptions::new(&path).migrate(false);
    let count = async |sql| {
        let mut conn = connect(&path).await;
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        count
    };
    const OF_THIS: &str = "SELECT count(*) FROM word_page WHERE conversion = 1";

    // Before it has begun, pages would be of the conversion before.
    let store = SqliteStore::open_with(options.clone()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(search(&store, &requests()[0]).await, expected[0]);
    }
    store.close().await.unwrap();
    assert_eq!(count(OF_THIS).await, 0);

    let begin = "UPDATE text_analysis SET version = -7, conversion = 1";
    run_sql(&path, begin).await;
    let store = SqliteStore::open_with(options).await.unwrap();
    wait_until("every page of words is made", async || {
        assert_eq!(search(&store, &requests()[0]).await, expected[0]);
        count(OF_THIS).await == PAGES
    })
    .await;
    store.close().await.unwrap();
    assert_found(&path, &expected, "pages of texts").await;
    let wrong = "SELECT count(*) FROM memory_words WHERE words LIKE '%wrong%'";
    assert!(count(wrong).await > 1_000, "no entry is converted");

    let store = open_and_convert(&path).await;
    store.close().await.unwrap();
    assert_eq!(count(wrong).await, 0);
    assert_eq!(count(OF_THIS).await, PAGES, "they stay");
    assert_found(&path, &expected, "converted").await;
}

/// A newer program has converted the file, before an older one opens it or while one has
/// it open.
#[tokio::test]
async fn a_newer_analysis_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let mut rng = SeededRng::new(3);
    let old = [memory("mill", &mut rng), memory("bridge", &mut rng)];
    store.insert(&old).await.unwrap();
    store.insert(&[memory("river", &mut rng)]).await.unwrap();
    let generation = store.entity_stats(&mira()).await.unwrap().generation;
    let group = SummaryGroup {
        summary: memory("both", &mut rng),
        sources: ids(&old[..1]),
    };
    let groups = [group];
    let archived = store.consolidate(&mira(), &groups, generation).await;
    let generation = archived.unwrap().generation;
    for version in [99, -99] {
        let mark = format!("UPDATE text_analysis SET version = {version}");
        run_sql(&path, AssertSqlSafe(mark)).await;
        let new = [memory("river", &mut rng)];
        let patch = MemoryPatch::new().content("other");
        let group = SummaryGroup {
            summary: memory("another", &mut rng),
            sources: ids(&old[1..]),
        };
        let summary = groups[0].summary.memory.id;
        let vector = Some(&old[1].embedding);
        let id = old[1].memory.id;
        let options = SqliteOptions::new(&path);
        for error in [
            store.search(&mira(), &lexical("mill")).await.unwrap_err(),
            store.insert(&new).await.unwrap_err(),
            store
                .update(&mira(), &id, &patch, vector)
                .await
                .unwrap_err(),
            store
                .consolidate(&mira(), &[group], generation)
                .await
                .unwrap_err(),
            store.delete(&mira(), &[summary]).await.unwrap_err(),
            try_open(&path).await.unwrap_err(),
            SqliteStore::open_with(options.clone().read_only())
                .await
                .unwrap_err(),
            SqliteStore::open_with(options.migrate(false))
                .await
                .unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NewerSchema, "{error}");
            assert!(error.to_string().contains("version 99"), "{error}");
        }
        // What does not depend on words goes on.
        let found = store.get(&mira(), &[id]).await.unwrap();
        assert!(found.memories[0].is_some());
        assert_eq!(state(&path).await.0, version);
    }
}
