//! Snapshots that are loaded before they are asked for: by servers alone, since any other
//! command ends before they are of use.

use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use tokio::runtime::Runtime;

use crate::serving::Serving;
use crate::test_dir::TestDir;

/// So many that the store keeps pages of the entity's snapshot, which a load writes.
const MEMORIES: usize = 520;
const PAGES: i64 = 4;
const CONFIG: [&str; 2] = ["--config", "memory.toml"];

/// Runs a statement on the database, and returns the number in its first row.
fn query(dir: &TestDir, sql: &str) -> i64 {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(dir.path("memory.db"));
        let mut connection = options.connect().await.expect("it opens");
        let row = sqlx::query(AssertSqlSafe(sql.to_owned()));
        let row = row.fetch_one(&mut connection).await.expect("valid SQL");
        row.get(0)
    })
}

/// Counts the pages that loads have written.
fn pages(dir: &TestDir) -> i64 {
    query(dir, "SELECT count(*) FROM snapshot_page")
}

fn remove_pages(dir: &TestDir) {
    query(dir, "DELETE FROM snapshot_page RETURNING 1");
    assert_eq!(pages(dir), 0);
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn servers_alone_load_snapshots_at_their_start() {
    let dir = TestDir::new();
    let line = "{\"entity\":\"mira\",\"content\":\"Rain fell all day.\"}\n";
    dir.run_on(&["import", "-"], line.repeat(MEMORIES)).code(0);
    // It is searched in the store, and what it finds is accessed.
    dir.run(&["recall", "mira", "rain"]).code(0);
    assert_eq!(pages(&dir), 0);
    dir.write("memory.toml", "warm_entities = 10\n");

    let started = Instant::now();
    let options = ["--listen", "127.0.0.1:0", CONFIG[0], CONFIG[1]];
    let mut serving = Serving::start(&dir, &options);
    wait_for("serve loads a snapshot", || pages(&dir) == PAGES);
    let time = started.elapsed();
    assert!(serving.end("TERM").success());
    remove_pages(&dir);

    let mut agent = dir.command(&["mcp", CONFIG[0], CONFIG[1]]);
    let agent = agent.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut agent = agent.spawn().expect("it starts");
    wait_for("mcp loads a snapshot", || pages(&dir) == PAGES);
    // It has shaken no hands, so that its exit code is of no interest.
    drop(agent.stdin.take());
    agent.wait().expect("it ends");
    remove_pages(&dir);

    // A command that goes on for as long as its input does.
    let mut import = dir.command(&["import", "-", "--batch", "1", CONFIG[0], CONFIG[1]]);
    let import = import.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut import = import.spawn().expect("it starts");
    let mut stdin = import.stdin.take().expect("it was piped");
    let other = line.replace("Rain", "Snow");
    stdin.write_all(other.as_bytes()).expect("it reads");
    let count = "SELECT count(*) FROM memory";
    let memories = i64::try_from(MEMORIES).expect("few");
    wait_for("it imports", || query(&dir, count) == memories + 1);
    thread::sleep(time);
    drop(stdin);
    assert!(import.wait().expect("it ends").success());
    assert_eq!(pages(&dir), 0, "import loaded a snapshot");
}
