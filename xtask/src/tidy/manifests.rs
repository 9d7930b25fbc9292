//! Rules for manifests: description, lints, crate documentation, versions in
//! the root only, and documented features.
//!
//! Manifests are parsed by lines, so that findings have line numbers. The parser
//! covers the part of TOML that they use.

use super::words::has_word;
use super::{Finding, Tree};

/// A table of a manifest.
pub(super) struct Table<'a> {
    /// The text between its brackets.
    pub(super) name: &'a str,
    /// The line of its header.
    pub(super) line: usize,
    /// Its keys.
    pub(super) entries: Vec<Entry<'a>>,
}

/// A key of a table.
pub(super) struct Entry<'a> {
    pub(super) line: usize,
    pub(super) key: &'a str,
    /// The text after the `=`, joined if it has several lines.
    pub(super) value: String,
    /// Whether the line above is a comment.
    pub(super) is_commented: bool,
}

impl Table<'_> {
    /// Whether the table has `key = value`.
    pub(super) fn has(&self, key: &str, value: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.key == key && entry.value == value)
    }
}

/// The tables of a manifest, in order.
pub(super) fn tables(text: &str) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    let mut above = "";
    let mut open = false;
    for (index, raw) in text.lines().enumerate() {
        let line = without_comment(raw).trim();
        let Some(table) = tables.last_mut().filter(|_| open || !line.starts_with('[')) else {
            if let Some(name) = line.strip_prefix('[') {
                let name = name.trim_matches(['[', ']']);
                tables.push(Table {
                    name,
                    line: index + 1,
                    entries: Vec::new(),
                });
            }
            continue;
        };
        if open {
            if let Some(entry) = table.entries.last_mut() {
                entry.value.push_str(line);
                open = is_open(&entry.value);
            }
        } else if let Some((key, value)) = line.split_once('=') {
            open = is_open(value);
            table.entries.push(Entry {
                line: index + 1,
                key: key.trim(),
                value: value.trim().to_owned(),
                is_commented: above.trim_start().starts_with('#'),
            });
        }
        above = raw;
    }
    tables
}

/// The line up to a `#` outside strings.
fn without_comment(line: &str) -> &str {
    let mut in_string = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => in_string = !in_string,
            '#' if !in_string => return &line[..at],
            _ => {}
        }
    }
    line
}

/// Whether a value has an unclosed bracket.
fn is_open(value: &str) -> bool {
    let count = |bracket| value.matches(bracket).count();
    count('[') > count(']') || count('{') > count('}')
}

pub(super) fn check_packages(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.manifests() {
        let tables = tables(&file.text);
        let described = tables.iter().any(|table| {
            let has_key = table.entries.iter().any(|entry| entry.key == "description");
            table.name == "package" && has_key
        });
        if !described {
            findings.push(Finding::new(file, 1, "the package has no description"));
        }
        let linted = |table: &Table<'_>| table.name == "lints" && table.has("workspace", "true");
        if !tables.iter().any(linted) {
            findings.push(Finding::new(file, 1, "[lints] workspace = true is missing"));
        }
    }
    findings
}

pub(super) fn check_crate_docs(tree: &Tree) -> Vec<Finding> {
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

/// Whether documentation precedes everything except crate attributes.
fn opens_with_docs(text: &str) -> bool {
    let mut lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("#!"));
    lines.next().is_some_and(|line| line.starts_with("//! "))
}

pub(super) fn check_dependencies(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.manifests() {
        for table in tables(&file.text) {
            for (line, name) in without_workspace(&table) {
                let message = format!("{name} does not have workspace = true");
                findings.push(Finding::new(file, line, message));
            }
        }
    }
    findings
}

/// The dependencies of this table that are not inherited from the root.
fn without_workspace<'a>(table: &Table<'a>) -> Vec<(usize, &'a str)> {
    if is_dependency_list(table.name) {
        let own = table.entries.iter().filter(|entry| {
            let dotted = entry.key.ends_with(".workspace") && entry.value == "true";
            let inline = entry.value.replace(' ', "").contains("workspace=true");
            !dotted && !inline
        });
        return own.map(|entry| (entry.line, entry.key)).collect();
    }
    // `[dependencies.name]` is a dependency with its own table.
    match table.name.rsplit_once('.') {
        Some((list, name)) if is_dependency_list(list) && !table.has("workspace", "true") => {
            vec![(table.line, name)]
        }
        _ => Vec::new(),
    }
}

/// `dependencies`, `dev-dependencies`, `target.….dependencies` and so on, except the
/// versions of a workspace.
fn is_dependency_list(table: &str) -> bool {
    if table.starts_with("workspace.") {
        return false;
    }
    let last = table.rsplit('.').next().unwrap_or(table);
    matches!(
        last,
        "dependencies" | "dev-dependencies" | "build-dependencies"
    )
}

pub(super) fn check_features(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.manifests() {
        let tables = tables(&file.text);
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

/// The features of a manifest, in order, except `default`.
pub(crate) fn declared_features(manifest: &str) -> Vec<String> {
    let tables = tables(manifest);
    let features = tables.iter().filter(|table| table.name == "features");
    let names = features.flat_map(|table| &table.entries);
    let names = names.map(|entry| entry.key.to_owned());
    names.filter(|name| name != "default").collect()
}

/// Every dependency is used: its name occurs in the sources of the package, and
/// that of a normal dependency outside `tests/`.
pub(super) fn check_unused(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in tree.manifests() {
        let folder = manifest.path.trim_end_matches("Cargo.toml");
        let sources: Vec<_> = tree
            .with_extension("rs")
            .filter(|file| file.path.starts_with(folder))
            .collect();
        for table in tables(&manifest.text) {
            let is_dev = table.name.ends_with("dev-dependencies");
            if !is_dependency_list(table.name) {
                continue;
            }
            for entry in &table.entries {
                let name = entry.key.trim_end_matches(".workspace");
                let ident = name.replace('-', "_");
                let is_used = sources
                    .iter()
                    .filter(|file| is_dev || !file.path[folder.len()..].starts_with("tests/"))
                    .any(|file| has_word(&file.text, &ident));
                if !is_used && !entry.is_commented {
                    let message = format!("{name} is not used (a comment above says otherwise)");
                    findings.push(Finding::new(manifest, entry.line, message));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"[package]
name = "sample" # a comment

[features]
# What it adds.
fast = [
    "dep:fast",
]
bare = []

[dependencies]
fast = { workspace = true, optional = true }
"#;

    #[test]
    fn tables_keys_and_lines_are_found() {
        let tables = tables(MANIFEST);
        let names: Vec<_> = tables
            .iter()
            .map(|table| (table.name, table.line))
            .collect();
        assert_eq!(
            names,
            [("package", 1), ("features", 4), ("dependencies", 11)]
        );
        assert!(tables[0].has("name", "\"sample\""));
        let features = &tables[1].entries;
        assert_eq!((features[0].key, features[0].line), ("fast", 6));
        assert_eq!(features[0].value, "[\"dep:fast\",]");
        assert!(features[0].is_commented);
        assert_eq!((features[1].key, features[1].line), ("bare", 9));
        assert!(!features[1].is_commented);
    }

    const PACKAGE: &str = "crates/a/Cargo.toml";

    #[test]
    fn a_complete_manifest_passes() {
        let good = "[package]\nname = \"a\"\ndescription = \"A\"\n\n[lints]\nworkspace = true\n";
        assert_eq!(Tree::lines_found(check_packages, PACKAGE, good), [0; 0]);
    }

    #[test]
    fn missing_parts_are_found() {
        assert_eq!(
            Tree::lines_found(check_packages, PACKAGE, "[package]\nname = \"a\"\n"),
            [1, 1]
        );
        let unlinted = "[package]\ndescription = \"A\"\n";
        assert_eq!(Tree::lines_found(check_packages, PACKAGE, unlinted), [1]);
    }

    #[test]
    fn the_root_is_not_a_package() {
        assert_eq!(
            Tree::lines_found(check_packages, "Cargo.toml", "[workspace]\n"),
            [0; 0]
        );
    }

    fn count_of(root: &str) -> usize {
        let files = [("crates/a/Cargo.toml", ""), ("crates/a/src/lib.rs", root)];
        check_crate_docs(&Tree::of(&files)).len()
    }

    #[test]
    fn a_documented_crate_passes() {
        assert_eq!(count_of("//! Its purpose.\n"), 0);
        assert_eq!(count_of("#![allow(dead_code)]\n\n//! Its purpose.\n"), 0);
    }

    #[test]
    fn an_undocumented_crate_and_a_crate_without_root_are_found() {
        assert_eq!(count_of("pub mod a;\n"), 1);
        assert_eq!(count_of(""), 1);
        assert_eq!(
            check_crate_docs(&Tree::of(&[("crates/a/Cargo.toml", "")])).len(),
            1
        );
    }

    #[test]
    fn dependencies_of_the_workspace_pass() {
        let good = "[dependencies]\na.workspace = true\nb = { workspace = true }\n\n\
                    [dev-dependencies.c]\nworkspace = true\n";
        assert_eq!(Tree::lines_found(check_dependencies, PACKAGE, good), [0; 0]);
    }

    #[test]
    fn versions_and_paths_are_found() {
        let bad = "[dependencies]\na = \"1.0\"\nb = { path = \"../b\" }\n\n\
                   [target.'cfg(unix)'.dependencies]\nc = { version = \"1\" }\n\n\
                   [build-dependencies.d]\nversion = \"1\"\n";
        assert_eq!(
            Tree::lines_found(check_dependencies, PACKAGE, bad),
            [2, 3, 6, 8]
        );
    }

    #[test]
    fn only_features_without_comment_are_found() {
        let text = "[features]\n# Adds speed.\nfast = []\nbare = []\n\n[lints]\nworkspace = true\n";
        assert_eq!(
            Tree::lines_found(check_features, "crates/a/Cargo.toml", text),
            [4]
        );
    }

    #[test]
    fn features_are_listed_without_the_default() {
        let manifest = "[features]\ndefault = [\"a\"]\n# A.\na = []\n# B.\nb = []\n";
        assert_eq!(declared_features(manifest), ["a", "b"]);
    }

    #[test]
    fn unused_dependencies_are_found() {
        let manifest = "[dependencies]\nused-a.workspace = true\nonly-tests.workspace = true\n\
                        # Enables a feature.\nindirect.workspace = true\n\n[dev-dependencies]\n\
                        only-tests.workspace = true\nunused.workspace = true\n";
        let files = [
            ("crates/a/Cargo.toml", manifest),
            ("crates/a/src/lib.rs", "use used_a::A;\n"),
            ("crates/a/tests/b.rs", "use only_tests::B;\n"),
            ("crates/b/src/lib.rs", "use unused::C;\n"),
        ];
        let findings = check_unused(&Tree::of(&files));
        let lines: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [3, 9]);
    }
}
