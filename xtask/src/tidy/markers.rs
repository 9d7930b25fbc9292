//! Nothing unfinished is committed.

use super::{Finding, Tree};

const EXTENSIONS: &[&str] = &["rs", "toml", "sql", "md"];

/// In two pieces each, so that this file does not find itself.
const MARKERS: &[[&str; 2]] = &[
    ["to", "do!"],
    ["unimple", "mented!"],
    ["db", "g!"],
    ["FIX", "ME"],
    ["XX", "X"],
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let markers: Vec<String> = MARKERS.iter().map(|pieces| pieces.concat()).collect();
    let mut findings = Vec::new();
    for file in EXTENSIONS
        .iter()
        .flat_map(|extension| tree.with_extension(extension))
    {
        for (number, line) in file.lines() {
            for marker in markers.iter().filter(|marker| has_word(line, marker)) {
                findings.push(Finding::new(file, number, format!("{marker} is left over")));
            }
        }
    }
    findings
}

/// Whether `word` stands in `line` without a letter or digit on either side.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(joins) && !after.is_some_and(joins)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marker_is_found() {
        for pieces in MARKERS {
            let text = format!("fn a() {{\n    {}(later)\n}}\n", pieces.concat());
            assert_eq!(Tree::lines_found(check, "crates/a/src/lib.rs", &text), [2]);
        }
    }

    #[test]
    fn parts_of_longer_words_are_not() {
        let text = format!("mktemp {}\nauto{}\n", "X".repeat(6), MARKERS[0].concat());
        assert_eq!(Tree::lines_found(check, "docs/a.md", &text), [0; 0]);
    }
}
