//! Exact texts of `--help` and of the most frequent messages.

use std::fmt::Write as _;

use crate::test_dir::TestDir;

/// Every command, in the order of `memory --help`.
const COMMANDS: &[&str] = &[
    "retain",
    "recall",
    "get",
    "update",
    "import",
    "export",
    "backup",
    "list",
    "reflect",
    "consolidate",
    "undo",
    "relate",
    "unrelate",
    "related",
    "prune",
    "forget",
    "stats",
    "doctor",
    "migrate",
    "reembed",
    "maintain-indexes",
    "serve",
    "mcp",
    "token",
    "setup",
    "completions",
    "man",
];

/// The help texts, one after the other, each below its command line. Set
/// `MEMORY_UPDATE_HELP` to write the file again after a change.
const HELP: &str = include_str!("help.txt");

#[test]
fn help_texts_match_the_snapshot() {
    let dir = TestDir::new();
    let general = dir.run(&["--help"]).code(0).out;
    let listed: Vec<&str> = general
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert_eq!(listed, COMMANDS, "every command is in the snapshot");

    let mut help = format!("$ memory --help\n{general}");
    for command in COMMANDS {
        let text = dir.run(&[command, "--help"]).code(0).out;
        let _ = write!(help, "\n$ memory {command} --help\n{text}");
    }
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    if std::env::var_os("MEMORY_UPDATE_HELP").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/help.txt");
        std::fs::write(path, help.join("\n") + "\n").expect("the snapshot can be written");
        return;
    }
    for (actual, expected) in help.iter().zip(HELP.lines()) {
        assert_eq!(*actual, expected, "help differs from tests/cli/help.txt");
    }
    assert_eq!(help.len(), HELP.lines().count());
}

#[test]
fn frequent_messages_are_plain_english() {
    let dir = TestDir::new();
    let id = "0192d3a0-0000-7000-8000-000000000001";
    for (args, code, expected) in [
        (
            &["retain", "mira", "Rain.", "--meta", "k=1", "--meta", "k=2"][..],
            2,
            "error: --meta is given twice with the key \"k\"; give each key once\n",
        ),
        (
            &["import", "missing.jsonl"],
            1,
            "error: cannot read missing.jsonl: No such file or directory (os error 2)\n",
        ),
        (
            &["import", "."],
            1,
            "error: cannot read .: is a directory\n",
        ),
    ] {
        let run = dir.run(args).code(code);
        assert_eq!(run.err, expected, "{args:?}");
    }
    // The first part is a lower crate's; what it must contain is asserted.
    for (args, code, parts) in [
        (
            &["list", "mira"][..],
            6,
            &[
                "memory.db",
                "; create it with memory retain, memory import, ",
            ][..],
        ),
        (
            &["forget", "mira", id],
            6,
            &[
                "memory.db",
                "; create it with memory retain, memory import, ",
            ],
        ),
        (&["retain", "mira", " "], 3, &["content", "1 to 10000"]),
        (
            &["retain", "mira", "Rain.", "--importance", "2"],
            3,
            &["importance", "0 to 1"],
        ),
        (
            &["retain", "mira", "Rain.", "--timestamp", "yesterday"],
            2,
            &["--timestamp", "RFC 3339", "2026-03-01T09:30:00Z"],
        ),
        (
            &["retain", "mira", "Rain.", "--meta", "place"],
            2,
            &["--meta", "expected KEY=VALUE, but there is no '='"],
        ),
        (
            &["list", "mira", "--after", "x"],
            2,
            &["--after", "a cursor that an earlier page named"],
        ),
    ] {
        let run = dir.run(args).code(code);
        assert!(run.err.starts_with("error: "), "{run:?}");
        for part in parts {
            assert!(run.err.contains(part), "{part}: {run:?}");
        }
    }
}

#[test]
fn unsupported_databases_are_refused_with_the_supported_ones() {
    let dir = TestDir::new();
    for url in [
        "mysql://app:secret@db/m",
        "postgresql+asyncpg://app:secret@db/m",
        "pg://app:secret@db/m",
    ] {
        for command in [
            &["retain", "mira", "Rain."][..],
            &["list", "mira"],
            &["migrate"],
            &["backup", "copy.db"],
        ] {
            let run = dir.run(&[&["--db", url], command].concat()).code(2);
            for part in ["unsupported URL scheme", "sqlite://", "ostgre"] {
                assert!(run.err.contains(part), "{part}: {run:?}");
            }
            assert!(!run.err.contains("secret"), "{run:?}");
        }
    }
    assert_eq!(dir.names(), [""; 0], "nothing was created");
}

#[cfg(not(feature = "postgres"))]
#[test]
fn build_without_postgres_says_how_to_get_it() {
    let dir = TestDir::new();
    for url in ["postgres://app:secret@db/m", "PostgreSQL://app:secret@db/m"] {
        for command in [
            &["retain", "mira", "Rain."][..],
            &["list", "mira"],
            &["stats"],
        ] {
            let run = dir.run(&[&["--db", url], command].concat()).code(2);
            assert!(
                run.err.contains("does not support PostgreSQL")
                    && run.err.contains("--features postgres")
                    && !run.err.contains("secret"),
                "{run:?}"
            );
        }
    }
    assert_eq!(dir.names(), [""; 0], "nothing was created");
}
