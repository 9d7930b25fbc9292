//! Rules for sources: re-exports by name in the facade, and index predicates of
//! migrations.

use super::tree::File;
use super::{Finding, Tree};

const FACADE: &str = "crates/memory/src/";

pub(super) fn check_facade(tree: &Tree) -> Vec<Finding> {
    let files = tree
        .with_extension("rs")
        .filter(|file| file.path.starts_with(FACADE));
    files.flat_map(globs).collect()
}

fn globs(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_statement_since = None;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("pub use ") {
            in_statement_since = Some(number);
        }
        let Some(start) = in_statement_since else {
            continue;
        };
        if line.contains('*') {
            findings.push(Finding::new(file, start, "re-export by name, not by glob"));
            in_statement_since = None;
        }
        if line.contains(';') {
            in_statement_since = None;
        }
    }
    findings
}

/// Expressions of the current time, in upper case without blanks.
const CLOCKS: &[&str] = &[
    "NOW(",
    "CURRENT_TIMESTAMP",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "'NOW'",
];

pub(super) fn check_migrations(tree: &Tree) -> Vec<Finding> {
    let migrations = tree
        .with_extension("sql")
        .filter(|file| is_migration(&file.path));
    migrations.flat_map(clocks_in_predicates).collect()
}

fn is_migration(path: &str) -> bool {
    path.split('/').any(|part| part == "migrations")
}

fn clocks_in_predicates(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut statement = String::new();
    for (number, line) in file.lines() {
        let code = line.split("--").next().unwrap_or(line).to_uppercase();
        for (index, part) in code.split(';').enumerate() {
            if index > 0 {
                statement.clear();
            }
            let words = part.split_whitespace();
            statement.extend(words.flat_map(|word| [word, " "]));
            if in_index_predicate(&statement) && reads_clock(part) {
                findings.push(Finding::new(
                    file,
                    number,
                    "an index predicate depends on the current time",
                ));
            }
        }
    }
    findings
}

fn in_index_predicate(statement: &str) -> bool {
    let makes_index = ["CREATE INDEX ", "CREATE UNIQUE INDEX "]
        .iter()
        .any(|opening| statement.starts_with(opening));
    makes_index && statement.contains(" WHERE ")
}

fn reads_clock(code: &str) -> bool {
    let dense: String = code.split_whitespace().collect();
    CLOCKS.iter().any(|clock| dense.contains(clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_found_on_one_line_and_on_several() {
        let bad = "pub use memory_core::*;\npub use memory_engine::{\n    *,\n};\n";
        assert_eq!(
            Tree::lines_found(check_facade, "crates/memory/src/lib.rs", bad),
            [1, 2]
        );
    }

    #[test]
    fn names_private_imports_and_other_crates_are_not() {
        let good = "pub use memory_core::{\n    Memory,\n};\nuse super::*;\n";
        assert_eq!(
            Tree::lines_found(check_facade, "crates/memory/src/lib.rs", good),
            [0; 0]
        );
        let elsewhere = "pub use a::*;\n";
        assert_eq!(
            Tree::lines_found(check_facade, "crates/memory-core/src/lib.rs", elsewhere),
            [0; 0]
        );
    }

    const PATH: &str = "migrations/postgres/0001_memory.sql";

    #[test]
    fn clocks_in_index_predicates_are_found() {
        let bad = "CREATE TABLE a (at timestamptz DEFAULT now());\n\
                   CREATE INDEX recent ON a (at)\n\
                   WHERE at > now () - interval '1 day';\n";
        assert_eq!(Tree::lines_found(check_migrations, PATH, bad), [3]);
        let bad = "create unique index b on a (at) where at < current_timestamp;\n";
        assert_eq!(Tree::lines_found(check_migrations, PATH, bad), [1]);
    }

    #[test]
    fn defaults_comments_and_other_predicates_are_not() {
        let good = "CREATE INDEX live ON a (at) WHERE archived_by IS NULL; -- not NOW()\n\
                    UPDATE a SET at = now() WHERE at < now();\n";
        assert_eq!(Tree::lines_found(check_migrations, PATH, good), [0; 0]);
    }
}
