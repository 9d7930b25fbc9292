//! Running a killed import again completes it without losing or duplicating
//! memories.

use std::collections::HashSet;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::test_dir::{TestDir, parse};

/// Does not divide the number of lines, so the last batch stays incomplete.
const BATCH: &str = "7";
const LINES: usize = 200;

#[cfg(unix)]
#[test]
fn killed_import_is_resumed() {
    use std::os::unix::process::ExitStatusExt;

    let dir = TestDir::new();
    let line =
        |n| format!(r#"{{"entity":"mira","content":"On day {n} the well was {n} feet deep."}}"#);
    let file: String = (0..LINES).map(|n| line(n) + "\n").collect();
    dir.write("days.jsonl", &file);

    // Its input never ends, so it cannot finish before it is killed.
    let mut child = dir
        .command(&["import", "-", "--batch", BATCH])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    stdin.write_all(file.as_bytes()).expect("it reads");
    let written = wait_for_memories(&dir);
    child.kill().expect("it runs still");
    let status = child.wait().expect("it was started");
    assert_eq!(status.signal(), Some(9), "killed, not ended");
    drop(stdin);
    assert!(written > 0);

    let held = memories(&dir).expect("the database opens again");
    assert!(held >= written, "acknowledged: {written}, left: {held}");
    assert_eq!(held % 7, 0, "a batch is all or nothing");
    assert!(held < LINES as u64, "it was in the middle");

    let figures = dir
        .run(&["--json", "import", "days.jsonl", "--batch", "64"])
        .code(0)
        .json();
    assert_eq!(figures["already_there"], held);
    assert_eq!(figures["imported"], LINES as u64 - held);

    let export = dir.run(&["export"]).code(0).out;
    let content = |line: &str| parse(line)["content"].to_string();
    let distinct: HashSet<String> = export.lines().map(content).collect();
    assert_eq!((export.lines().count(), distinct.len()), (LINES, LINES));
}

/// Waits until some batches are stored; returns the number of memories.
fn wait_for_memories(dir: &TestDir) -> u64 {
    let start = Instant::now();
    loop {
        match memories(dir) {
            Some(count) if count > 0 => return count,
            _ => assert!(
                start.elapsed() < Duration::from_secs(60),
                "nothing was imported"
            ),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The number of memories that another process sees; `None` without a database.
fn memories(dir: &TestDir) -> Option<u64> {
    let run = dir.run(&["--json", "stats"]);
    (run.code == Some(0)).then(|| run.json()["memories"].as_u64())?
}
