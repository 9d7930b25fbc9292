//! Readers that leave early.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::bench::{Bench, parse};

#[test]
fn an_export_whose_reader_leaves_ends_quietly() {
    let bench = Bench::new();
    // Much more than a pipe holds.
    let bulk = "v".repeat(60_000);
    let line = |n| {
        format!(r#"{{"entity":"mira","content":"Page {n}.","metadata":{{"bulk":"{bulk}"}}}}"#)
            + "\n"
    };
    bench
        .run_on(&["import", "-"], (0..20).map(line).collect::<String>())
        .code(0);

    for verb in [&["export"][..], &["--json", "list", "mira"]] {
        let mut child = bench
            .command(verb)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut reader = BufReader::new(child.stdout.take().expect("it was piped"));
        if verb == ["export"] {
            let mut first = String::new();
            reader.read_line(&mut first).expect("it writes");
            assert_eq!(parse(&first)["entity"], "mira");
        }
        drop(reader);
        let mut told = String::new();
        child
            .stderr
            .take()
            .expect("it was piped")
            .read_to_string(&mut told)
            .expect("UTF-8");
        let status = child.wait().expect("it was started");
        assert_eq!((status.code(), told.as_str()), (Some(0), ""), "{verb:?}");
    }
}
