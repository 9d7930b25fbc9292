//! A process that is killed while it writes loses nothing that it was told is
//! written, and leaves nothing half done.
//!
//! The test runs itself again as the writer: a process that inserts and deletes
//! batches and prints the number of each write once it has returned. It is
//! killed (SIGKILL) at some moment, again and again on the same file.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{connect, mira, open};
use memory_core::{EmbeddedMemory, Generation, Memory, MemoryId, Store};
use memory_testkit::SeededRng;
use memory_testkit::population::{fingerprint, population};
use sqlx::Connection;
use tempfile::tempdir;

/// Tells a process of this test that it is the writer, and where.
const WRITER: &str = "MEMORY_SQLITE_KILL_TEST";
const ACKNOWLEDGED: &str = "acknowledged ";
const ROUNDS: u64 = 10;

/// What write number `number` is, counted from 1.
enum Step {
    Insert(Vec<EmbeddedMemory>),
    /// Deletes what this earlier write has inserted.
    Delete(u64),
}

fn step(number: u64) -> Step {
    if number.is_multiple_of(4) {
        return Step::Delete(number - 2);
    }
    let size = usize::try_from(1 + number * 7 % 40).unwrap();
    Step::Insert(population(&mira(), size, &mut SeededRng::new(number)))
}

/// The oracle: what the store holds after so many writes.
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
        Step::Insert(batch) => common::ids(&batch),
        Step::Delete(_) => Vec::new(),
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    if let Some(path) = env::var_os(WRITER) {
        return write_until_killed(Path::new(&path)).await;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let mut chance = SeededRng::new(7);
    let mut written = 0;
    for _ in 0..ROUNDS {
        let patience = Duration::from_micros(chance.below(150_000) as u64);
        let acknowledged = run_and_kill(&path, patience);
        assert!(acknowledged > written, "each writer writes");
        written = check(&path, acknowledged).await;
    }
}

/// The writer: goes on where the file stands.
async fn write_until_killed(path: &Path) {
    let store = open(path).await;
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
        let mut parent = std::io::stdout();
        writeln!(parent, "{ACKNOWLEDGED}{number}").unwrap();
        parent.flush().unwrap();
    }
}

/// A process that is killed while it makes databases leaves only such as open.
#[tokio::test]
async fn a_database_half_made_is_made_whole() {
    const TEST: &str = "a_database_half_made_is_made_whole";
    if let Some(folder) = env::var_os(WRITER) {
        for number in 0.. {
            let path = Path::new(&folder).join(format!("{number}.db"));
            open(&path).await.close().await.unwrap();
        }
    }
    let mut chance = SeededRng::new(8);
    let mut made = 0;
    for _ in 0..ROUNDS {
        let folder = tempdir().unwrap();
        let mut maker = writer(TEST, folder.path()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(40_000 + chance.below(40_000) as u64));
        maker.kill().unwrap();
        maker.wait().unwrap();
        for path in common::contents(folder.path()).into_keys() {
            if path.extension().is_some_and(|extension| extension == "db") {
                common::filled(&path, 2).await;
                made += 1;
            }
        }
    }
    assert!(made > ROUNDS, "only {made} databases were begun");
}

/// This test again, in a process of its own.
fn writer(test: &str, path: &Path) -> Command {
    let mut writer = Command::new(env::current_exe().unwrap());
    writer
        .args(["--exact", "--nocapture", test])
        .env(WRITER, path)
        .stdout(Stdio::piped());
    writer
}

/// Starts a writer, kills it some time after its first write, and gives the
/// number of the last write that it was told had happened.
fn run_and_kill(path: &Path, patience: Duration) -> u64 {
    let mut writer = writer("what_was_acknowledged_survives_a_kill", path)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let number = |line: std::io::Result<String>| -> Option<u64> {
        line.ok()?.strip_prefix(ACKNOWLEDGED)?.parse().ok()
    };
    let mut last = lines.by_ref().find_map(number).unwrap();
    std::thread::sleep(patience);
    writer.kill().unwrap();
    last = lines.filter_map(number).last().unwrap_or(last);
    assert!(!writer.wait().unwrap().success(), "killed");
    last
}

/// Holds what stands in the file against the oracle; the number of writes in it.
async fn check(path: &Path, acknowledged: u64) -> u64 {
    let store = open(path).await;
    let changes = store
        .changes_since(&mira(), Generation::ZERO, &fingerprint())
        .await
        .unwrap();
    let written = changes.generation.0;
    assert!(
        (acknowledged..=acknowledged + 1).contains(&written),
        "{acknowledged} writes were acknowledged, {written} are there"
    );
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
    written
}
