//! A database that cannot be opened: what happened, which path, what to do.

#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteLockingMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use crate::test_dir::{Run, TestDir, path_str};

/// Who is restricted by permissions, as root is not.
const NOBODY: u32 = 65_534;

/// Where the header of a SQLite file has `user_version`, big-endian.
const USER_VERSION: std::ops::Range<usize> = 60..64;

/// One way in which opening fails.
struct Case {
    /// The path of the database in the folder.
    path: &'static str,
    /// Commands that fail: `stats` reads, `migrate` writes and creates.
    commands: &'static [&'static str],
    code: i32,
    kind: &'static str,
    /// What the message says, apart from the path.
    message: &'static str,
    /// What the doctor suggests.
    fix: &'static str,
}

const BOTH: &[&str] = &["stats", "migrate"];

const CASES: [Case; 19] = [
    Case {
        path: "none.db",
        commands: &["stats"],
        code: 6,
        kind: "missing",
        message: "no database file at",
        fix: "create it with memory retain, memory import, memory serve, memory mcp or memory \
              migrate",
    },
    Case {
        path: "no/such/folder/memory.db",
        commands: BOTH,
        code: 6,
        kind: "missing",
        message: "no/such/folder does not exist; create it first",
        fix: "create the folder",
    },
    Case {
        path: "empty.db",
        commands: &["stats"],
        code: 6,
        kind: "missing",
        message: "is empty: it holds no memory database yet",
        fix: "create it with memory retain",
    },
    Case {
        path: "folder",
        commands: BOTH,
        code: 2,
        kind: "configuration",
        message: "is a folder; the path of a database must be a file",
        fix: "name a database such as",
    },
    Case {
        path: "notes.txt/memory.db",
        commands: BOTH,
        code: 2,
        kind: "configuration",
        message: "notes.txt is not a folder; name a file in a folder",
        fix: "name a database such as",
    },
    Case {
        path: "notes.txt",
        commands: BOTH,
        code: 8,
        kind: "foreign_data",
        message: "it is not an SQLite database; nothing was changed; name another file",
        fix: "name another file",
    },
    Case {
        path: "recipes.db",
        commands: BOTH,
        code: 8,
        kind: "foreign_data",
        message: "it is a database of another application; nothing was changed; name another",
        fix: "name another file",
    },
    Case {
        path: "newer.db",
        commands: BOTH,
        code: 8,
        kind: "newer_schema",
        message: "the database has schema 99",
        fix: "use the newer version",
    },
    Case {
        path: "older.db",
        commands: &["stats"],
        code: 8,
        kind: "read_only",
        message: "the schema of the database has version 1",
        fix: "run memory migrate",
    },
    Case {
        path: "damaged.db",
        commands: BOTH,
        code: 8,
        kind: "corrupt",
        message: "the database file is damaged; restore a backup",
        fix: "restore a backup",
    },
    Case {
        path: "locked.db",
        commands: BOTH,
        code: 7,
        kind: "unavailable",
        message: "the database is locked by another connection; retry later",
        fix: "wait for the process that is using it",
    },
    Case {
        path: "unreadable.db",
        commands: BOTH,
        code: 8,
        kind: "read_only",
        message: "the file cannot be read; check the permissions of the file and its folder",
        fix: "give this user read and write permission",
    },
    Case {
        path: "closed/memory.db",
        commands: BOTH,
        code: 8,
        kind: "read_only",
        message: "permission is denied; check the permissions of the file and its folder",
        fix: "give this user read and write permission",
    },
    Case {
        path: "unwritable/new.db",
        commands: &["migrate"],
        code: 8,
        kind: "read_only",
        message: "check that the folder is writable",
        // Its doctor finds that there is no file.
        fix: "create it with memory retain",
    },
    Case {
        path: "dangling.db",
        commands: &["stats"],
        code: 6,
        kind: "missing",
        message: "/nowhere.db, to which the symbolic link",
        fix: "create it with memory retain",
    },
    Case {
        path: "lost.db",
        commands: &["migrate"],
        code: 6,
        kind: "missing",
        message: "/lost does not exist; create it first",
        // Its doctor finds that there is no file.
        fix: "create it with memory retain",
    },
    Case {
        path: "loop.db",
        commands: BOTH,
        code: 2,
        kind: "configuration",
        message: "its symbolic links lead to each other; correct one of them",
        fix: "name a database such as",
    },
    Case {
        path: "pipe",
        commands: BOTH,
        code: 2,
        kind: "configuration",
        message: "is not a regular file; name a file",
        fix: "name a database such as",
    },
    Case {
        path: LONG_NAME,
        commands: BOTH,
        code: 2,
        kind: "configuration",
        message: "a name in the path is longer than the file system allows",
        fix: "name a database such as",
    },
];

/// A name of 256 bytes.
const LONG_NAME: &str = match std::str::from_utf8(&[b'x'; 256]) {
    Ok(name) => name,
    Err(_) => panic!("it is ASCII"),
};

#[test]
fn a_path_that_is_too_long_for_sqlite_is_named_as_such() {
    let dir = TestDir::new();
    let mut folder = dir.path("");
    while folder.as_os_str().len() < 510 {
        folder.push("y".repeat(100));
    }
    fs::create_dir_all(&folder).expect("the file system allows it");
    let path = folder.join("memory.db");
    for command in ["stats", "migrate"] {
        let run = dir.run(&["--json", "--db", path_str(&path), command]);
        let message = run.fails(2, "configuration");
        assert!(message.contains("SQLite opens at most 504"), "{message}");
    }
    assert!(!path.exists(), "nothing was created");
}

#[test]
fn a_link_to_a_new_file_creates_it_for_its_owner_alone() {
    let dir = TestDir::new();
    fs::create_dir(dir.path("data")).expect("a folder");
    symlink("data/agent.db", dir.path("memory.db")).expect("a link");
    dir.run(&["migrate"]).code(0);
    let created = fs::metadata(dir.path("data/agent.db")).expect("it is created");
    assert_eq!(created.mode() & 0o777, 0o600);
}

/// With few files, opening fails at each of its steps in turn; none of them is a matter of
/// permissions.
#[test]
fn too_many_open_files_are_named_as_such() {
    let dir = TestDir::new();
    dir.run(&["migrate"]).code(0);
    let mut named = 0;
    for limit in 6..40 {
        let mut process = Command::new("sh");
        process
            .args(["-c", "ulimit -n $0 && exec \"$@\"", &limit.to_string()])
            .arg(env!("CARGO_BIN_EXE_memory"))
            .args(["--json", "stats"])
            .current_dir(dir.path(""))
            .env("MEMORY_CACHE_DIR", dir.path(""))
            .env_remove("MEMORY_CONFIG");
        // With the fewest, the runtime does not start.
        let output = process.output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("permission"), "{limit} files: {text}");
        if text.contains("too many open files; close some") {
            named += 1;
            assert!(text.contains(r#""kind":"unavailable""#), "{text}");
        }
    }
    assert!(named > 0, "at some limit the database cannot be opened");
}

#[test]
fn every_failure_says_what_happened_where_and_what_to_do() {
    let dir = TestDir::new();
    make_files(&dir);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let lock = runtime.block_on(lock(&dir));
    let as_nobody = prepare_user(&dir);
    thread::scope(|scope| {
        for case in &CASES {
            scope.spawn(|| check(&dir, case, as_nobody));
        }
    });
    drop(lock);
    // So that it can be removed.
    allow(&dir, "closed", 0o755);
}

fn allow(dir: &TestDir, name: &str, mode: u32) {
    fs::set_permissions(dir.path(name), Permissions::from_mode(mode)).expect("ours");
}

fn check(dir: &TestDir, case: &Case, as_nobody: bool) {
    let path = dir.path(case.path);
    let run = |command: &str| {
        let mut process = Command::new(path_str(&dir.path("program")));
        process
            .args(["--json", "--db", path_str(&path), command])
            .current_dir(dir.path("home"))
            .env("MEMORY_CACHE_DIR", dir.path("home"))
            .env_remove("MEMORY_CONFIG")
            .env_remove("MEMORY_SHARED_CACHE");
        if as_nobody {
            process.uid(NOBODY).gid(NOBODY);
        }
        Run::of(process.output().expect("it starts"))
    };
    for command in case.commands {
        let message = run(command).fails(case.code, case.kind);
        assert!(message.contains(path_str(&path)), "{message}");
        assert!(message.contains(case.message), "{message}");
    }
    let report = run("doctor").json();
    let parts = report["parts"].as_array().expect("a list of parts");
    let part = parts.iter().find(|part| part["part"] == "database");
    let part = part.expect("the database");
    assert_eq!(part["healthy"], false, "{part}");
    let text = |key: &str| part[key].as_str().expect("a text").to_owned();
    assert!(text("detail").contains(path_str(&path)), "{part}");
    assert!(text("fix").contains(case.fix), "{}: {part}", case.path);
}

fn make_files(dir: &TestDir) {
    for folder in ["folder", "closed", "unwritable", "home"] {
        fs::create_dir(dir.path(folder)).expect("a folder");
    }
    symlink("nowhere.db", dir.path("dangling.db")).expect("a link");
    symlink("lost/memory.db", dir.path("lost.db")).expect("a link");
    symlink("loop.db", dir.path("loop.db")).expect("a link");
    let made = Command::new("mkfifo").arg(dir.path("pipe")).status();
    assert!(made.expect("it runs").success());
    dir.write("empty.db", "");
    dir.write("notes.txt", "not a database\n".repeat(100));
    dir.run(&["migrate"]).code(0);
    let current = fs::read(dir.path("memory.db")).expect("it exists");
    for name in ["locked.db", "unreadable.db", "closed/memory.db"] {
        dir.write(name, &current);
    }
    for (name, version) in [("newer.db", 99_u32), ("older.db", 1)] {
        let mut other = current.clone();
        other[USER_VERSION].copy_from_slice(&version.to_be_bytes());
        dir.write(name, other);
    }
    // All pages but the first, which has the header.
    let mut damaged = current;
    damaged[8_192..].fill(0xa5);
    dir.write("damaged.db", damaged);
}

/// Makes a database of another application, and locks one of ours as a process does that
/// keeps it to itself.
async fn lock(dir: &TestDir) -> SqliteConnection {
    let options = |name: &str| {
        let options = SqliteConnectOptions::new().filename(dir.path(name));
        options.create_if_missing(true)
    };
    let run = async |options: SqliteConnectOptions, sql: &str| {
        let mut connection = options.connect().await.expect("it opens");
        let done = connection.execute(AssertSqlSafe(sql.to_owned())).await;
        done.expect("valid SQL");
        connection
    };
    run(options("recipes.db"), "CREATE TABLE recipe (name TEXT)").await;
    let locking = options("locked.db").locking_mode(SqliteLockingMode::Exclusive);
    run(locking, "BEGIN EXCLUSIVE; CREATE TABLE kept (name TEXT)").await
}

/// Copies the program to where every user may run it, and gives the files that root could
/// read to `nobody`, if this is root.
fn prepare_user(dir: &TestDir) -> bool {
    fs::copy(env!("CARGO_BIN_EXE_memory"), dir.path("program")).expect("it is copied");
    let as_nobody = fs::metadata(dir.path("home")).expect("it exists").uid() == 0;
    if as_nobody {
        for name in dir.names() {
            // Not what a link leads to.
            lchown(dir.path(&name), Some(NOBODY), Some(NOBODY)).expect("this is root");
        }
    }
    allow(dir, "", 0o755);
    allow(dir, "unreadable.db", 0o000);
    allow(dir, "closed", 0o000);
    allow(dir, "unwritable", 0o555);
    as_nobody
}
