//! No index of a migration depends on the time at which it is made: databases
//! refuse such a predicate, or freeze it.

use super::tree::File;
use super::{Finding, Tree};

/// What tells the time, in upper case and without blanks.
const CLOCKS: &[&str] = &[
    "NOW(",
    "CURRENT_TIMESTAMP",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "'NOW'",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
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
            if in_index_predicate(&statement) && tells_time(part) {
                findings.push(Finding::new(
                    file,
                    number,
                    "an index predicate tells the time",
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

fn tells_time(code: &str) -> bool {
    let dense: String = code.split_whitespace().collect();
    CLOCKS.iter().any(|clock| dense.contains(clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "migrations/postgres/0001_memory.sql";

    #[test]
    fn clocks_in_index_predicates_are_found() {
        let bad = "CREATE TABLE a (at timestamptz DEFAULT now());\n\
                   CREATE INDEX recent ON a (at)\n\
                   WHERE at > now () - interval '1 day';\n";
        assert_eq!(Tree::lines_found(check, PATH, bad), [3]);
        let bad = "create unique index b on a (at) where at < current_timestamp;\n";
        assert_eq!(Tree::lines_found(check, PATH, bad), [1]);
    }

    #[test]
    fn defaults_comments_and_other_predicates_are_not() {
        let good = "CREATE INDEX live ON a (at) WHERE archived_by IS NULL; -- not NOW()\n\
                    UPDATE a SET at = now() WHERE at < now();\n";
        assert_eq!(Tree::lines_found(check, PATH, good), [0; 0]);
    }
}
