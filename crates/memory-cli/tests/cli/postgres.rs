//! URLs of PostgreSQL servers.

use crate::test_dir::TestDir;

#[test]
fn unreachable_server_is_named_with_the_cause_and_no_password() {
    let dir = TestDir::new();
    // Nothing listens at port 1.
    let url = "postgres://app:hunter2@127.0.0.1:1/memories";
    for command in [&["list", "mira"][..], &["doctor"]] {
        let run = dir.run(&[&["--db", url], command].concat());
        let text = format!("{}{}", run.out, run.err);
        assert!(text.contains("127.0.0.1:1"), "{text}");
        assert!(text.contains("refused"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn misspelled_url_parameters_are_refused_by_name() {
    let dir = TestDir::new();
    for name in ["sslmod", "row_level_securty"] {
        let url = format!("postgres://app@127.0.0.1:1/memories?{name}=on");
        let run = dir.run(&["--db", &url, "list", "mira"]);
        assert!(run.err.contains(name), "{run:?}");
        assert!(run.err.contains("row_level_security"), "{run:?}");
    }
}
