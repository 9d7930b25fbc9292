//! Readers that close standard output early.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::test_dir::{Run, TestDir, parse};

#[test]
fn closed_pipe_ends_export_and_list_silently() {
    let dir = TestDir::new();
    // Much more than a pipe holds.
    let bulk = "v".repeat(60_000);
    let line = |n| {
        format!(r#"{{"entity":"mira","content":"Page {n}.","metadata":{{"bulk":"{bulk}"}}}}"#)
            + "\n"
    };
    dir.run_on(&["import", "-"], (0..20).map(line).collect::<String>())
        .code(0);

    for command in [&["export"][..], &["--json", "list", "mira"]] {
        let mut child = dir
            .command(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut reader = BufReader::new(child.stdout.take().expect("it was piped"));
        if command == ["export"] {
            let mut first = String::new();
            reader.read_line(&mut first).expect("it writes");
            assert_eq!(parse(&first)["entity"], "mira");
        }
        drop(reader);
        let mut stderr = String::new();
        child
            .stderr
            .take()
            .expect("it was piped")
            .read_to_string(&mut stderr)
            .expect("UTF-8");
        let status = child.wait().expect("it was started");
        assert_eq!(
            (status.code(), stderr.as_str()),
            (Some(0), ""),
            "{command:?}"
        );
    }
}

#[test]
fn a_reader_that_left_does_not_hide_what_failed() {
    let dir = TestDir::new();
    dir.write(
        "bad.jsonl",
        "nonsense\n{\"entity\":\"mira\",\"content\":\"Rain.\"}\n",
    );
    dir.write("damaged.json", "[1");
    let run = |args: &[&str]| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = dir.command(args);
        let output = command.stdout(writer).output().expect("it starts");
        Run::of(output)
    };
    let refused = run(&["--json", "import", "bad.jsonl"]).code(3);
    assert_eq!(refused.json_error()["kind"], "invalid_input");
    let from = [
        "--json",
        "import",
        "damaged.json",
        "--from",
        "claude",
        "--entity",
        "mira",
    ];
    let damaged = run(&from).code(3);
    assert!(damaged.err.contains("damaged"), "{damaged:?}");
    dir.write(
        "good.jsonl",
        "{\"entity\":\"mira\",\"content\":\"Snow.\"}\n",
    );
    let good = run(&["import", "good.jsonl"]).code(0);
    assert_eq!(good.err, "");
    let doctor = run(&["--json", "--db", "sqlite://none.db", "doctor"]).code(6);
    assert_eq!(doctor.json_error()["kind"], "unhealthy");
}
