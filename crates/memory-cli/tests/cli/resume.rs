//! An import that is killed is finished by the same command, and no memory is
//! lost or doubled.

use std::collections::HashSet;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::bench::{Bench, parse};

/// Does not divide the number of lines: some always wait in the last batch.
const BATCH: &str = "7";
const LINES: usize = 200;

#[cfg(unix)]
#[test]
fn an_import_killed_in_the_middle_is_resumed() {
    use std::os::unix::process::ExitStatusExt;

    let bench = Bench::new();
    let line =
        |n| format!(r#"{{"entity":"mira","content":"On day {n} the well was {n} feet deep."}}"#);
    let file: String = (0..LINES).map(|n| line(n) + "\n").collect();
    bench.write("days.jsonl", &file);

    // Its input never ends, so it cannot finish before it is killed.
    let mut child = bench
        .command(&["import", "-", "--batch", BATCH])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    stdin.write_all(file.as_bytes()).expect("it reads");
    let written = wait_for_memories(&bench);
    child.kill().expect("it runs still");
    let status = child.wait().expect("it was started");
    assert_eq!(status.signal(), Some(9), "killed, not ended");
    drop(stdin);
    assert!(written > 0);

    let held = memories(&bench).expect("the database opens again");
    assert!(held >= written, "acknowledged: {written}, left: {held}");
    assert_eq!(held % 7, 0, "a batch is all or nothing");
    assert!(held < LINES as u64, "it was in the middle");

    let figures = bench
        .run(&["--json", "import", "days.jsonl", "--batch", "64"])
        .code(0)
        .json();
    assert_eq!(figures["already_there"], held);
    assert_eq!(figures["imported"], LINES as u64 - held);

    let export = bench.run(&["export"]).code(0).out;
    let content = |line: &str| parse(line)["content"].to_string();
    let distinct: HashSet<String> = export.lines().map(content).collect();
    assert_eq!((export.lines().count(), distinct.len()), (LINES, LINES));
}

/// Waits until some batches are in, and tells how many memories that is.
fn wait_for_memories(bench: &Bench) -> u64 {
    let start = Instant::now();
    loop {
        match memories(bench) {
            Some(count) if count > 0 => return count,
            _ => assert!(
                start.elapsed() < Duration::from_secs(60),
                "nothing is imported"
            ),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many memories another process sees; none while there is no database.
fn memories(bench: &Bench) -> Option<u64> {
    let run = bench.run(&["--json", "stats"]);
    (run.code == Some(0)).then(|| run.json()["memories"].as_u64())?
}
