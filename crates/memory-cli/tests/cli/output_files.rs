//! Files that export writes: never the database itself, private, complete.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::test_dir::{Run, TestDir, path_str};

/// A folder with a database of two memories.
fn with_database() -> TestDir {
    let dir = TestDir::new();
    let lines = concat!(
        r#"{"entity":"mira","content":"A secret."}"#,
        "\n",
        r#"{"entity":"tam","content":"Another."}"#,
        "\n"
    );
    dir.run_on(&["import", "-"], lines).code(0);
    dir
}

#[test]
fn export_never_overwrites_its_database() {
    let dir = with_database();
    let database = dir.path("memory.db");
    let before = fs::read(&database).expect("the database exists");
    fs::create_dir(dir.path("sub")).expect("the folder is writable");
    let mut paths = vec![
        "memory.db",
        "./memory.db",
        "sub/../memory.db",
        "MEMORY.DB",
        "memory.db-wal",
        "memory.db-shm",
        "memory.db-journal",
        path_str(&database),
    ];
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("memory.db", dir.path("link")).expect("a link");
        symlink("memory.db-wal", dir.path("dangling")).expect("a link");
        symlink(".", dir.path("folder")).expect("a link");
        fs::hard_link(&database, dir.path("hard")).expect("a link");
        paths.extend([
            "link",
            "dangling",
            "folder/memory.db",
            "folder/memory.db-wal",
            "hard",
        ]);
    }
    for path in paths {
        for url in [
            "sqlite://memory.db",
            "memory.db",
            "sqlite:./memory.db?mode=ro",
        ] {
            let run = dir.run(&[
                "--json", "--db", url, "export", "--entity", "mira", "--output", path,
            ]);
            let message = run.fails(2, "usage");
            assert!(
                message.contains(path) && message.contains("the database"),
                "{message}"
            );
        }
        assert_eq!(fs::read(&database).expect("it is there"), before, "{path}");
    }
    // So is another database.
    fs::copy(&database, dir.path("other-copy.db")).expect("a copy");
    let run = dir.run(&["--json", "export", "--output", "other-copy.db"]);
    assert!(run.fails(2, "usage").contains("SQLite database"));
    assert_eq!(
        fs::read(dir.path("other-copy.db")).expect("it is there"),
        before
    );

    // An import of the database is refused as well, by its path or its content.
    for path in ["memory.db", "memory.db-wal"] {
        dir.run(&["--json", "import", path]).fails(2, "usage");
    }
    let run = dir.run_on(&["--json", "import", "-"], &before);
    let message = run.code(3).json_error()["message"].to_string();
    assert!(message.contains("SQLite database"), "{message}");
    let other = ["--json", "--db", "sqlite://other.db", "import", "memory.db"];
    dir.run(&other).code(3);
    assert!(!dir.path("other.db").exists(), "no database was created");

    let listed = dir.run(&["list", "tam"]).code(0);
    assert!(listed.out.contains("Another."), "{listed:?}");
    assert!(!dir.names().iter().any(|name| name.contains(".part")));
}

#[cfg(unix)]
#[test]
fn exports_are_private_and_replaced_only_when_complete() {
    use std::os::unix::fs::PermissionsExt;

    let dir = with_database();
    let mode = |name: &str| {
        let metadata = fs::metadata(dir.path(name)).expect("the file exists");
        metadata.permissions().mode() & 0o7777
    };
    dir.run(&["export", "--output", "new.jsonl"]).code(0);
    assert_eq!(mode("new.jsonl"), 0o600);
    for kept in [0o600, 0o640] {
        fs::set_permissions(dir.path("new.jsonl"), fs::Permissions::from_mode(kept)).expect("ours");
        dir.run(&["export", "--output", "new.jsonl"]).code(0);
        assert_eq!(mode("new.jsonl"), kept);
    }
    let complete = dir.read("new.jsonl");
    assert_eq!(complete.lines().count(), 2);

    // A failure leaves the old file.
    let too_long = "e".repeat(257);
    let run = dir.run(&[
        "--json",
        "export",
        "--entity",
        &too_long,
        "--output",
        "new.jsonl",
    ]);
    run.fails(3, "invalid_input");
    assert_eq!(dir.read("new.jsonl"), complete);
    for (path, error) in [
        (".", "directory"),
        ("new/", "does not name a file"),
        ("/dev/full", "No space"),
    ] {
        let message = dir
            .run(&["--json", "export", "--output", path])
            .fails(1, "io");
        assert!(
            message.contains(path) && message.contains(error),
            "{message}"
        );
    }
    // As a backup does.
    for command in [
        ["export", "--output", "missing/x"].as_slice(),
        &["backup", "missing/x"],
    ] {
        let run = dir.run(&[&["--json"], command].concat());
        let message = run.fails(6, "missing");
        assert!(
            message.contains("missing/x") && message.contains("missing does not exist"),
            "{message}"
        );
    }
    assert_eq!(dir.names(), ["memory.db", "new.jsonl"]);
}

/// A command that wrote and cannot say so must not look as if it had not.
#[cfg(target_os = "linux")]
#[test]
fn a_command_that_wrote_says_so_where_it_cannot_print_it() {
    let dir = with_database();
    let (old, new) = (
        "0192d3a0-0000-7000-8000-00000000000a",
        "0192d3a0-0000-7000-8000-00000000000b",
    );
    dir.run(&["retain", "full", "Old.", "--id", old]).code(0);
    dir.write(
        "lines.jsonl",
        "{\"entity\":\"full\",\"content\":\"Line.\"}\n",
    );
    let fails = |args: &[&str]| {
        let full = fs::File::options().write(true).open("/dev/full");
        let mut command = dir.command(&[&["--json"], args].concat());
        command.stdout(full.expect("it opens"));
        let output = command.output().expect("it runs");
        let run = Run::of(output);
        run.fails(1, "io")
    };
    for (args, done) in [
        (&["retain", "full", "New.", "--id", new][..], new),
        (&["update", "full", old, "--importance", "0.9"], old),
        (&["relate", "full", old, new, "x"], "links to"),
        (&["unrelate", "full", old, new], "no longer links to"),
        (&["import", "lines.jsonl"], "is stored"),
        (&["consolidate", "full"], "0 summaries stored"),
        (&["prune", "full", "--keep", "9"], "removed 0 memories"),
        (&["reembed", "full"], "vectors are stored"),
        (&["migrate"], "schema is current"),
        (&["backup", "copy.db"], "copy.db is written"),
        (&["forget", "full", new], "is forgotten"),
        (&["token", "tokens"], "tokens contains the new token"),
    ] {
        let message = fails(args);
        assert!(message.contains("standard output"), "{args:?}: {message}");
        assert!(message.contains(done), "{args:?}: {message}");
    }
    assert!(dir.run(&["list", "full"]).code(0).out.contains("Line."));
    // A command that only reads has done nothing.
    let message = fails(&["list", "full"]);
    assert!(message.ends_with("(os error 28)"), "{message}");
}

#[cfg(unix)]
#[test]
fn export_writes_to_standard_output_and_pipes() {
    let dir = with_database();
    let expected = dir.run(&["export"]).code(0).out;
    for path in ["-", "/dev/stdout"] {
        let run = dir.run(&["export", "--output", path]).code(0);
        assert_eq!(
            (run.out, run.err),
            (expected.clone(), String::new()),
            "{path}"
        );
    }
    let status = Command::new("mkfifo").arg(dir.path("pipe")).status();
    assert!(status.expect("mkfifo runs").success());
    let mut child = dir
        .command(&["export", "--output", "pipe"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut text = String::new();
    let mut pipe = fs::File::open(dir.path("pipe")).expect("the pipe opens");
    pipe.read_to_string(&mut text).expect("UTF-8");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(text, expected);

    // A reader that closes the pipe early ends the run silently.
    let mut child = dir
        .command(&["export", "--output", "/dev/stderr"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn backups_are_complete_private_and_never_overwrite_unasked() {
    let dir = with_database();
    // A process that keeps the database open, with writes in its log.
    let mut child = dir
        .command(&["import", "-", "--batch", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    let line = "{\"entity\":\"mira\",\"content\":\"Written while the backup runs.\"}\n";
    stdin.write_all(line.as_bytes()).expect("it reads");
    let start = Instant::now();
    while dir.run(&["--json", "stats"]).code(0).json()["memories"] != 3 {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "nothing is imported"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let written = dir.run(&["--json", "backup", "copy.db"]).code(0).json();
    assert_eq!(written["file"], "copy.db");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());

    let copy = ["--db", "sqlite://copy.db"];
    let exported = dir.run(&[&["export"], copy.as_slice()].concat()).code(0);
    assert_eq!(exported.out, dir.run(&["export"]).code(0).out);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.path("copy.db"))
            .expect("it exists")
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    let run = dir.run(&["backup", "nowhere/copy.db"]);
    assert!(
        run.err.contains("does not exist; create it first"),
        "{}",
        run.err
    );
    assert!(!run.err.contains("memory retain"), "{}", run.err);

    dir.write("notes.txt", "mine");
    let run = dir.run(&["--json", "backup", "notes.txt"]);
    assert!(run.fails(2, "usage").contains("--force"));
    assert_eq!(dir.read("notes.txt"), "mine");
    dir.run(&["backup", "notes.txt", "--force"]).code(0);
    assert!(
        fs::read(dir.path("notes.txt"))
            .expect("it exists")
            .starts_with(b"SQLite format 3")
    );
    for target in [
        "memory.db",
        "./memory.db",
        "MEMORY.db",
        "memory.db-wal",
        ".",
        "-",
        "/dev/null",
    ] {
        dir.run(&["--json", "backup", target, "--force"])
            .fails(2, "usage");
    }
    dir.run(&["--json", "backup", "no/such/folder.db"])
        .fails(6, "missing");
    dir.run(&["--json", "--db", "sqlite://none.db", "backup", "x.db"])
        .fails(6, "missing");
    assert_eq!(dir.names(), ["copy.db", "memory.db", "notes.txt"]);
    if cfg!(feature = "postgres") {
        let server = [
            "--json",
            "--db",
            "postgres://mira@127.0.0.1:1/db",
            "backup",
            "x.db",
        ];
        assert!(dir.run(&server).fails(1, "unsupported").contains("pg_dump"));
    }
}
