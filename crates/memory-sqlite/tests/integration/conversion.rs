//! Conversion of a database without search pages: a process that is killed while it
//! migrates the schema or makes pages leaves a file that finds the same, and the next
//! process continues.
//!
//! As in `crash`, the tests run themselves again as the process that is killed.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use memory_core::{SearchOutcome, Store};
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::SeededRng;
use tempfile::tempdir;

use crate::common::{connect, open, run_sql};
use crate::search_pages::{PAGES, count_pages, create, requests, search};

/// Makes a process of this test the one that converts the file in the variable.
const CONVERTER: &str = "MEMORY_SQLITE_KILL_TEST";

/// What a process prints, with the number of pages in the file.
const PROGRESS: &str = "pages ";

/// What migrations 6 and later added.
const UNDO_PAGES: &str = "
    DROP TRIGGER memory_embedding_inserted;
    DROP TRIGGER memory_embedding_updated;
    DROP TRIGGER memory_embedding_deleted;
    DROP TRIGGER memory_words_updated;
    DROP TRIGGER memory_words_deleted;
    DROP TABLE vector_page;
    DROP TABLE word_page;
    DROP TABLE text_analysis;
    DROP TRIGGER memory_snapshot_updated;
    DROP TRIGGER memory_snapshot_deleted;
    DROP TRIGGER memory_snapshot_vectors_deleted;
    DROP TABLE snapshot_page;
    DELETE FROM _sqlx_migrations WHERE version >= 6;
    PRAGMA user_version = 5;";

/// Opens the file and searches until every page is made, and goes on with that.
async fn convert(path: &Path) {
    let store = open(path).await;
    let (request, mut known) = (requests().remove(0), -1);
    loop {
        let count = count_pages(path).await;
        if count != known {
            let mut parent = std::io::stdout();
            writeln!(parent, "{PROGRESS}{count}").unwrap();
            parent.flush().unwrap();
            known = count;
        }
        search(&store, &request).await;
    }
}

fn converter(test: &str, path: &Path) -> Command {
    let mut converter = Command::new(env::current_exe().unwrap());
    converter
        .args(["--exact", "--nocapture", test])
        .env(CONVERTER, path)
        .stdout(Stdio::piped());
    converter
}

/// Starts a process that converts the file, and kills it after it has printed its
/// progress that often.
fn convert_and_kill(test: &str, path: &Path, reports: usize) {
    let mut converter = converter(test, path).spawn().unwrap();
    let lines = BufReader::new(converter.stdout.take().unwrap()).lines();
    let reported = lines
        .filter(|line| line.as_ref().is_ok_and(|line| line.starts_with(PROGRESS)))
        .take(reports)
        .count();
    converter.kill().unwrap();
    assert!(!converter.wait().unwrap().success(), "killed");
    assert_eq!(reported, reports);
}

/// What is found in a copy of the file as the kill left it.
async fn search_copy(path: &Path) -> Vec<SearchOutcome> {
    let folder = tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let with_suffix = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        if with_suffix(path).exists() {
            fs::copy(with_suffix(path), with_suffix(&copy)).unwrap();
        }
    }
    let mut conn = connect(&copy).await;
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(verdict, "ok");
    drop(conn);
    open(&copy).await.close().await.unwrap();
    search_some(&copy).await
}

/// What a few searches find, without making pages.
async fn search_some(path: &Path) -> Vec<SearchOutcome> {
    let options = SqliteOptions::new(path).read_only();
    let store = SqliteStore::open_with(options).await.unwrap();
    let mut outcomes = Vec::new();
    for request in requests().into_iter().take(3) {
        outcomes.push(search(&store, &request).await);
    }
    store.close().await.unwrap();
    outcomes
}

#[tokio::test]
async fn pages_that_a_kill_interrupts_are_made_by_the_next_process() {
    const TEST: &str = "conversion::pages_that_a_kill_interrupts_are_made_by_the_next_process";
    if let Some(path) = env::var_os(CONVERTER) {
        return convert(Path::new(&path)).await;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create(&path).await;
    let wanted = search_some(&path).await;
    let mut interrupted = 0;
    // Three transactions make the ten pages.
    for reports in [1, 2, 2, 2] {
        let before = count_pages(&path).await;
        if before == 2 * PAGES {
            break;
        }
        convert_and_kill(TEST, &path, reports);
        assert!(search_copy(&path).await == wanted, "after {before} pages");
        let made = count_pages(&path).await;
        assert!(made >= before, "pages that were made stay");
        interrupted += u32::from(made < 2 * PAGES);
    }
    assert!(interrupted > 0, "no kill came before the last page");
    crate::search_pages::make_pages(&path).await;
    assert!(search_some(&path).await == wanted);
}

#[tokio::test]
async fn an_old_file_survives_kills_while_it_is_converted() {
    const TEST: &str = "conversion::an_old_file_survives_kills_while_it_is_converted";
    if let Some(path) = env::var_os(CONVERTER) {
        return convert(Path::new(&path)).await;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create(&path).await;
    let wanted = search_some(&path).await;
    run_sql(&path, UNDO_PAGES).await;
    let old = fs::read(&path).unwrap();
    let mut rng = SeededRng::new(9);
    // A process needs some ten milliseconds until it migrates.
    for _ in 0..5 {
        let mut converter = converter(TEST, &path).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(5_000 + rng.below(60_000) as u64));
        converter.kill().unwrap();
        converter.wait().unwrap();
        assert!(search_copy(&path).await == wanted);
    }
    let _ = fs::remove_file(folder.path().join("agent.db-wal"));
    let _ = fs::remove_file(folder.path().join("agent.db-shm"));
    fs::write(&path, old).unwrap();
    convert_and_kill(TEST, &path, 2);
    assert!(
        search_copy(&path).await == wanted,
        "a partly converted file"
    );
    crate::search_pages::make_pages(&path).await;
    assert!(search_some(&path).await == wanted);
}
