//! Readers that close standard output early.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::test_dir::{TestDir, parse};

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
