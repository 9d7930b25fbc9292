//! Crash safety: a process that is killed while it writes loses no acknowledged
//! write and leaves no partial one.
//!
//! The test runs itself again as the writer: a process that inserts and deletes
//! batches and prints the number of each write after it has returned, and meanwhile
//! writes all snapshot pages again and again. It is killed (SIGKILL) at a random moment,
//! repeatedly on the same file.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use memory_core::{EmbeddedMemory, Generation, Memory, MemoryId, Store};
use memory_testkit::SeededRng;
use memory_testkit::fixtures::{fingerprint, varied_memories};
use sqlx::Connection;
use tempfile::tempdir;

use crate::common::{connect, mira, open};
use crate::snapshot_pages::{check_lines, keep_lines};

/// Makes a process of this test the writer, on the path in the variable.
const WRITER: &str = "MEMORY_SQLITE_KILL_TEST";
const ACKNOWLEDGED: &str = "acknowledged ";
const ROUNDS: u64 = 10;
/// The first of two formats of snapshot pages. Those of one replace those of the other.
const FORMATS: u64 = u64::MAX - 4;

/// The write with this number, from 1.
enum Step {
    Insert(Vec<EmbeddedMemory>),
    /// Deletes the memories that this earlier write inserted.
    Delete(u64),
}

fn first_batch() -> Vec<EmbeddedMemory> {
    varied_memories(&mira(), 700, &mut SeededRng::new(1))
}

fn step(number: u64) -> Step {
    if number == 1 {
        return Step::Insert(first_batch());
    }
    if number.is_multiple_of(4) {
        return Step::Delete(number - 2);
    }
    let size = usize::try_from(1 + number * 7 % 40).unwrap();
    Step::Insert(varied_memories(&mira(), size, &mut SeededRng::new(number)))
}

/// The expected content of the store after so many writes.
fn state_after(writes: u64) -> BTreeMap<MemoryId, Memory> {
    let mut state = BTreeMap::new();
    for number in 1..=writes {
        match step(number) {
            Step::Insert(batch) => {
                state.extend(batch.into_iter().map(|one| (one.memory.id, one.memory)));
            }
            Step::Delete(earlier) => {
                for id in inserted_by(earlier) {
                    state.remove(&id);
                }
            }
        }
    }
    state
}

fn inserted_by(number: u64) -> Vec<MemoryId> {
    match step(number) {
        Step::Insert(batch) => crate::common::ids(&batch),
        Step::Delete(_) => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_a_kill() {
    if let Some(path) = env::var_os(WRITER) {
        return write_until_killed(Path::new(&path)).await;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let mut rng = SeededRng::new(7);
    let (mut written, mut pages) = (0, 0);
    for _ in 0..ROUNDS {
        let delay = Duration::from_micros(rng.below(150_000) as u64);
        let acknowledged = run_and_kill(&path, delay);
        assert!(acknowledged > written, "each writer writes");
        let (found, kept) = check(&path, acknowledged).await;
        (written, pages) = (found, pages + kept);
    }
    assert!(pages > 0, "no writer was killed after it had written pages");
}

/// The writer: continues after the last write in the file.
async fn write_until_killed(path: &Path) {
    let store = open(path).await;
    let stats = store.entity_stats(&mira()).await.unwrap();
    if stats.generation == Generation::ZERO {
        // Enough for pages, whenever it is killed.
        store.insert(&first_batch()).await.unwrap();
        acknowledge(1);
    }
    let store = Arc::new(store);
    let keeping = Arc::clone(&store);
    let kept = tokio::spawn(async move {
        for format in (0..2).cycle() {
            keep_lines(&keeping, FORMATS + format).await;
        }
    });
    // A task that panics does not end its process, which would be killed as others are.
    tokio::spawn(async move {
        if kept.await.is_err() {
            std::process::abort();
        }
    });
    let stats = store.entity_stats(&mira()).await.unwrap();
    for number in stats.generation.0 + 1.. {
        let generation = match step(number) {
            Step::Insert(batch) => {
                let outcome = store.insert(&batch).await.unwrap();
                outcome.generations[&mira()]
            }
            Step::Delete(earlier) => {
                let ids = inserted_by(earlier);
                store.delete(&mira(), &ids).await.unwrap().generation
            }
        };
        assert_eq!(generation, Generation(number));
        acknowledge(number);
    }
}

fn acknowledge(number: u64) {
    let mut parent = std::io::stdout();
    writeln!(parent, "{ACKNOWLEDGED}{number}").unwrap();
    parent.flush().unwrap();
}

/// A process that is killed while it creates databases leaves files that can be
/// opened.
#[tokio::test]
async fn partly_created_databases_are_completed() {
    const TEST: &str = "crash::partly_created_databases_are_completed";
    if let Some(folder) = env::var_os(WRITER) {
        for number in 0.. {
            let path = Path::new(&folder).join(format!("{number}.db"));
            open(&path).await.close().await.unwrap();
        }
    }
    let mut rng = SeededRng::new(8);
    let mut created = 0;
    for _ in 0..ROUNDS {
        let folder = tempdir().unwrap();
        let mut child = writer(TEST, folder.path()).spawn().unwrap();
        // However busy the machine is, some rounds create more than one.
        let wanted = 1 + rng.below(3);
        while databases(folder.path()) < wanted {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(rng.below(30_000) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        for path in crate::common::contents(folder.path()).into_keys() {
            if is_database(&path) {
                crate::common::create_filled(&path, 2).await;
                created += 1;
            }
        }
    }
    assert!(created > ROUNDS, "only {created} databases were created");
}

fn is_database(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "db")
}

/// How many databases a folder has, complete or not.
fn databases(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).unwrap();
    files
        .filter(|file| is_database(&file.as_ref().unwrap().path()))
        .count()
}

/// This test in a process of its own.
fn writer(test: &str, path: &Path) -> Command {
    let mut writer = Command::new(env::current_exe().unwrap());
    writer
        .args(["--exact", "--nocapture", test])
        .env(WRITER, path)
        .stdout(Stdio::piped());
    writer
}

/// Starts a writer, kills it some time after its first write, and returns the
/// number of the last acknowledged write.
fn run_and_kill(path: &Path, delay: Duration) -> u64 {
    let mut writer = writer("crash::acknowledged_writes_survive_a_kill", path)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let number = |line: std::io::Result<String>| -> Option<u64> {
        line.ok()?.strip_prefix(ACKNOWLEDGED)?.parse().ok()
    };
    let mut last = lines.by_ref().find_map(number).unwrap();
    std::thread::sleep(delay);
    writer.kill().unwrap();
    last = lines.filter_map(number).last().unwrap_or(last);
    let status = writer.wait().unwrap();
    assert!(was_killed(status), "it ended by itself: {status}");
    last
}

#[cfg(unix)]
fn was_killed(status: ExitStatus) -> bool {
    const SIGKILL: i32 = 9;
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGKILL)
}

#[cfg(not(unix))]
fn was_killed(status: ExitStatus) -> bool {
    !status.success()
}

/// Compares the file with the expected content; returns the number of writes in
/// it, and of snapshot pages.
async fn check(path: &Path, acknowledged: u64) -> (u64, usize) {
    let store = open(path).await;
    let changes = store
        .changes_since(&mira(), Generation::ZERO, &fingerprint())
        .await
        .unwrap();
    let written = changes.generation.0;
    assert!(
        (acknowledged..=acknowledged + 1).contains(&written),
        "{acknowledged} writes were acknowledged, {written} are in the file"
    );
    let mut pages = 0;
    for format in 0..2 {
        pages += check_lines(&store, FORMATS + format, &changes.written).await;
    }
    let found: BTreeMap<MemoryId, Memory> = changes
        .written
        .into_iter()
        .map(|one| (one.memory.id, one.memory))
        .collect();
    assert!(
        found == state_after(written),
        "not the state after {written}"
    );
    let stats = store.entity_stats(&mira()).await.unwrap();
    assert_eq!(stats.memory_count, found.len() as u64);
    store.close().await.unwrap();

    let mut conn = connect(path).await;
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(verdict, "ok");
    let words = "INSERT INTO memory_words (memory_words) VALUES ('integrity-check')";
    sqlx::raw_sql(words).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    (written, pages)
}
