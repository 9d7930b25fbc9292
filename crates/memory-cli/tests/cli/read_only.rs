//! Commands that read create and migrate nothing.

use std::fs;

use crate::test_dir::TestDir;

/// Where the header of a SQLite file holds `user_version`, big-endian.
const USER_VERSION: std::ops::Range<usize> = 60..64;

#[test]
fn reading_commands_change_no_file() {
    let dir = TestDir::new();
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let reading: [&[&str]; 8] = [
        &["doctor"],
        &["list", "mira"],
        &["stats"],
        &["export"],
        &["export", "--output", "-"],
        &["recall", "mira", "rain"],
        &["reflect", "mira", "rain"],
        &["related", "mira", id],
    ];
    // A missing or an empty file stays as it is.
    for command in reading {
        dir.run(command).code(6);
        assert_eq!(dir.names(), [""; 0], "{command:?}");
    }
    dir.write("memory.db", "");
    for command in reading {
        dir.run(command).code(6);
        assert_eq!(
            (dir.names(), dir.read("memory.db")),
            (vec!["memory.db".to_owned()], String::new())
        );
    }
    fs::remove_file(dir.path("memory.db")).expect("it is ours");

    // So does a file of an older schema; the error says what to do.
    dir.run(&["retain", "mira", "Rain.", "--id", id]).code(0);
    let current = fs::read(dir.path("memory.db")).expect("it exists");
    let mut older = current.clone();
    older[USER_VERSION].copy_from_slice(&1_u32.to_be_bytes());
    fs::write(dir.path("memory.db"), &older).expect("it is ours");
    for command in reading {
        let run = dir.run(command).code(8);
        let text = format!("{}{}", run.out, run.err);
        assert!(
            text.contains("version 1") && text.contains("memory migrate"),
            "{run:?}"
        );
        assert_eq!(
            fs::read(dir.path("memory.db")).expect("it exists"),
            older,
            "{command:?}"
        );
        assert_eq!(dir.names(), ["memory.db"], "{command:?}");
    }
    // A copy needs no migration.
    dir.run(&["backup", "copy.db"]).code(0);
    let copied = dir.run(&["--db", "copy.db", "list", "mira"]).code(8);
    assert!(copied.err.contains("version 1"), "{copied:?}");
    fs::remove_file(dir.path("copy.db")).expect("it is ours");
    dir.run(&["migrate"]).code(0);
    for command in reading {
        dir.run(command).code(0);
        assert_eq!(dir.names(), ["memory.db"], "{command:?}");
    }
}
