//! Rule for environment variables: each `MEMORY_…` variable that the code names is
//! in the tables of docs/operations.md, and so not refused as a misspelled setting.

use super::{Finding, Tree};

const PAGE: &str = "docs/operations.md";

/// The beginning of a literal, in two pieces so that this file has no finding.
const START: [&str; 2] = ["\"MEM", "ORY_"];

/// Files that name variables which must not exist.
const EXEMPT: &[&str] = &[
    "crates/memory/src/settings/tests.rs",
    "crates/memory-cli/tests/cli/settings.rs",
];

pub(super) fn check_variables(tree: &Tree) -> Vec<Finding> {
    let page = tree.file(PAGE).map_or("", |file| file.text.as_str());
    let start = START.concat();
    let mut findings = Vec::new();
    for file in tree.with_extension("rs") {
        if EXEMPT.contains(&file.path.as_str()) {
            continue;
        }
        for (number, line) in file.lines() {
            for (at, _) in line.match_indices(&start) {
                let name = &line[at + 1..];
                let end = name.find(|c: char| !(c.is_ascii_uppercase() || c == '_'));
                let name = &name[..end.unwrap_or(name.len())];
                // A name that ends here is only the common beginning.
                if !name.ends_with('_') && !page.contains(&format!("`{name}`")) {
                    let message = format!(
                        "{name} is neither in {PAGE} nor in OTHER_VARIABLES of the facade's settings"
                    );
                    findings.push(Finding::new(file, number, message));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_undocumented_variables_are_found() {
        let start = START.concat();
        let code = format!("const A: &str = {start}DB\";\nconst B: &str = {start}NEW\";\n");
        let tree = Tree::of(&[(PAGE, "| `MEMORY_DB` |\n"), ("crates/a/src/lib.rs", &code)]);
        let lines: Vec<usize> = check_variables(&tree)
            .iter()
            .map(|finding| finding.line)
            .collect();
        assert_eq!(lines, [2]);
        let prefix = format!("const PREFIX: &str = {start}\";\n");
        let tree = Tree::of(&[("crates/a/src/lib.rs", &prefix)]);
        assert!(check_variables(&tree).is_empty());
    }
}
