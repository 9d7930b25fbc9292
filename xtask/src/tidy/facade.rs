//! The facade re-exports by name: what downstream code may use is a list that
//! somebody wrote.

use super::tree::File;
use super::{Finding, Tree};

const FACADE: &str = "crates/memory/src/";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_found_on_one_line_and_on_several() {
        let bad = "pub use memory_core::*;\npub use memory_engine::{\n    *,\n};\n";
        assert_eq!(
            Tree::lines_found(check, "crates/memory/src/lib.rs", bad),
            [1, 2]
        );
    }

    #[test]
    fn names_private_imports_and_other_crates_are_not() {
        let good = "pub use memory_core::{\n    Memory,\n};\nuse super::*;\n";
        assert_eq!(
            Tree::lines_found(check, "crates/memory/src/lib.rs", good),
            [0; 0]
        );
        let elsewhere = "pub use a::*;\n";
        assert_eq!(
            Tree::lines_found(check, "crates/memory-core/src/lib.rs", elsewhere),
            [0; 0]
        );
    }
}
