//! Every dependency is chosen once, in the root: no version elsewhere.

use super::manifest::{self, Table};
use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.manifests() {
        for table in manifest::tables(&file.text) {
            for (line, name) in stray(&table) {
                let message = format!("{name} does not say workspace = true");
                findings.push(Finding::new(file, line, message));
            }
        }
    }
    findings
}

/// The dependencies of this table that are not taken from the root.
fn stray<'a>(table: &Table<'a>) -> Vec<(usize, &'a str)> {
    if is_list(table.name) {
        let stray = table.entries.iter().filter(|entry| {
            let dotted = entry.key.ends_with(".workspace") && entry.value == "true";
            let inline = entry.value.replace(' ', "").contains("workspace=true");
            !dotted && !inline
        });
        return stray.map(|entry| (entry.line, entry.key)).collect();
    }
    // `[dependencies.name]` is a dependency with a table of its own.
    match table.name.rsplit_once('.') {
        Some((list, name)) if is_list(list) && !table.says("workspace", "true") => {
            vec![(table.line, name)]
        }
        _ => Vec::new(),
    }
}

/// `dependencies`, `dev-dependencies`, `target.….dependencies` and so on.
fn is_list(table: &str) -> bool {
    let last = table.rsplit('.').next().unwrap_or(table);
    matches!(
        last,
        "dependencies" | "dev-dependencies" | "build-dependencies"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "crates/a/Cargo.toml";

    #[test]
    fn dependencies_of_the_workspace_pass() {
        let good = "[dependencies]\na.workspace = true\nb = { workspace = true }\n\n\
                    [dev-dependencies.c]\nworkspace = true\n";
        assert_eq!(Tree::lines_found(check, PATH, good), [0; 0]);
    }

    #[test]
    fn versions_and_paths_are_found() {
        let bad = "[dependencies]\na = \"1.0\"\nb = { path = \"../b\" }\n\n\
                   [target.'cfg(unix)'.dependencies]\nc = { version = \"1\" }\n\n\
                   [build-dependencies.d]\nversion = \"1\"\n";
        assert_eq!(Tree::lines_found(check, PATH, bad), [2, 3, 6, 8]);
    }
}
