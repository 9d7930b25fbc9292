//! Every crate says what it is and keeps the lints of the workspace.

use super::{Finding, Tree, manifest};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.manifests() {
        let tables = manifest::tables(&file.text);
        let described = tables.iter().any(|table| {
            let has_key = table.entries.iter().any(|entry| entry.key == "description");
            table.name == "package" && has_key
        });
        if !described {
            findings.push(Finding::new(file, 1, "the package has no description"));
        }
        let linted =
            |table: &manifest::Table<'_>| table.name == "lints" && table.says("workspace", "true");
        if !tables.iter().any(linted) {
            findings.push(Finding::new(file, 1, "[lints] workspace = true is missing"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "crates/a/Cargo.toml";

    #[test]
    fn a_full_manifest_passes() {
        let good = "[package]\nname = \"a\"\ndescription = \"A\"\n\n[lints]\nworkspace = true\n";
        assert_eq!(Tree::lines_found(check, PATH, good), [0; 0]);
    }

    #[test]
    fn each_lack_is_found() {
        assert_eq!(
            Tree::lines_found(check, PATH, "[package]\nname = \"a\"\n"),
            [1, 1]
        );
        let unlinted = "[package]\ndescription = \"A\"\n";
        assert_eq!(Tree::lines_found(check, PATH, unlinted), [1]);
    }

    #[test]
    fn the_root_is_no_crate() {
        assert_eq!(
            Tree::lines_found(check, "Cargo.toml", "[workspace]\n"),
            [0; 0]
        );
    }
}
