//! Every crate opens with what it is for.

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in tree
        .manifests()
        .filter(|file| file.path.starts_with("crates/"))
    {
        let folder = manifest.path.trim_end_matches("Cargo.toml");
        let roots = ["src/lib.rs", "src/main.rs"].map(|name| format!("{folder}{name}"));
        let mut roots = roots.iter().filter_map(|path| tree.file(path)).peekable();
        if roots.peek().is_none() {
            findings.push(Finding::new(
                manifest,
                1,
                "neither src/lib.rs nor src/main.rs",
            ));
        }
        let bare = roots.filter(|root| !opens_with_docs(&root.text));
        findings.extend(bare.map(|root| Finding::new(root, 1, "no crate documentation (//!)")));
    }
    findings
}

/// Whether documentation comes before everything but attributes of the crate.
fn opens_with_docs(text: &str) -> bool {
    let mut lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("#!"));
    lines.next().is_some_and(|line| line.starts_with("//! "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(root: &str) -> usize {
        let files = [("crates/a/Cargo.toml", ""), ("crates/a/src/lib.rs", root)];
        check(&Tree::of(&files)).len()
    }

    #[test]
    fn a_documented_crate_passes() {
        assert_eq!(found("//! What it is for.\n"), 0);
        assert_eq!(found("#![allow(dead_code)]\n\n//! What it is for.\n"), 0);
    }

    #[test]
    fn a_bare_crate_and_a_crate_without_root_are_found() {
        assert_eq!(found("pub mod a;\n"), 1);
        assert_eq!(found(""), 1);
        assert_eq!(check(&Tree::of(&[("crates/a/Cargo.toml", "")])).len(), 1);
    }
}
