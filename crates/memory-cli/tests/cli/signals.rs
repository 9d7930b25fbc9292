//! Signals during an import: what is stored is reported, and the exit code is
//! that of the signal.

#![cfg(unix)]

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::test_dir::TestDir;

const BATCH: usize = 4;

#[test]
fn interrupted_import_reports_what_is_stored() {
    for (signal, name, code) in [("INT", "SIGINT", 130), ("TERM", "SIGTERM", 143)] {
        let dir = TestDir::new();
        let mut child = start_import(&dir);
        let mut stdin = child.stdin.take().expect("it was piped");
        // The last line stays in an incomplete batch.
        for n in 0..=2 * BATCH {
            let line = format!("{{\"entity\":\"mira\",\"content\":\"Day {n} was dry.\"}}\n");
            stdin.write_all(line.as_bytes()).expect("it reads");
        }
        wait_for_memories(&dir, (2 * BATCH) as u64);
        send(&child, signal);
        let (out, err) = outputs(&mut child);
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{err}");
        assert!(
            out.starts_with("imported 8, already there 0, refused 0"),
            "{out}"
        );
        let expected = format!(
            "error: interrupted by {name}; the imported memories are stored; \
             run the same command again to import the rest\n"
        );
        assert_eq!(err, expected);
        let stats = dir.run(&["--json", "stats"]).code(0).json();
        assert_eq!(stats["memories"], 2 * BATCH);
        drop(stdin);
    }
}

#[test]
fn import_interrupted_before_the_first_line_created_nothing() {
    let dir = TestDir::new();
    let mut child = start_import(&dir);
    let mut stdin = child.stdin.take().expect("it was piped");
    // The refusal shows that signals are received from here on.
    stdin
        .write_all(b"this is not JSON, but long enough\n")
        .expect("it reads");
    let mut err = child.stderr.take().expect("it was piped");
    let mut first = [0; 8];
    err.read_exact(&mut first).expect("a refusal");
    assert_eq!(&first, b"refused:");
    send(&child, "INT");
    let mut rest = String::new();
    err.read_to_string(&mut rest).expect("UTF-8");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest}");
    assert!(
        rest.contains("interrupted by SIGINT; nothing was imported"),
        "{rest}"
    );
    assert_eq!(dir.names(), [""; 0]);
}

fn start_import(dir: &TestDir) -> Child {
    dir.command(&["import", "-", "--batch", &BATCH.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

fn send(child: &Child, signal: &str) {
    let status = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status();
    assert!(status.expect("kill runs").success());
}

fn outputs(child: &mut Child) -> (String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    let mut stdout = child.stdout.take().expect("it was piped");
    stdout.read_to_string(&mut out).expect("UTF-8");
    let mut stderr = child.stderr.take().expect("it was piped");
    stderr.read_to_string(&mut err).expect("UTF-8");
    (out, err)
}

/// Waits until this many memories are stored.
fn wait_for_memories(dir: &TestDir, expected: u64) {
    let start = Instant::now();
    loop {
        let run = dir.run(&["--json", "stats"]);
        if run.code == Some(0) && run.json()["memories"].as_u64() >= Some(expected) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "{run:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
