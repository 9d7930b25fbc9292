//! Databases whose lexical index was made by an older analysis of texts.

use std::path::Path;

use memory_core::{Language, Store};
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::SeededRng;
use sqlx::{AssertSqlSafe, Connection};
use tempfile::tempdir;

use crate::common::{connect, ids, lexical, memory, mira, open, run_sql};

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

type Entry = (i64, String, i64, String);

/// Entries, the words of the entity, the version of the analysis.
async fn index(path: &Path) -> (Vec<Entry>, i64, i64) {
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
async fn older_entries_are_made_again_when_the_database_is_opened() {
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
    let store = open(&path).await;
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
        open(&path).await.close().await.unwrap();
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
    let store = open(&path).await;
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
