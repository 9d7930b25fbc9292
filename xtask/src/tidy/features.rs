//! Every feature says what it adds and what it costs, in a comment above it.

use super::{Finding, Tree, manifest};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.manifests() {
        let tables = manifest::tables(&file.text);
        let features = tables.iter().filter(|table| table.name == "features");
        for entry in features.flat_map(|table| &table.entries) {
            if !entry.is_commented {
                let message = format!("the feature {} has no comment above it", entry.key);
                findings.push(Finding::new(file, entry.line, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_features_without_comment_are_found() {
        let text = "[features]\n# Adds speed.\nfast = []\nbare = []\n\n[lints]\nworkspace = true\n";
        assert_eq!(Tree::lines_found(check, "crates/a/Cargo.toml", text), [4]);
    }
}
