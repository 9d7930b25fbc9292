//! No Rust file is longer than a reader can hold in the head.

use super::{Finding, Tree};

/// A hard limit; most files should be well below it.
const MAX_LINES: usize = 500;

/// The longest first.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let too_long = by_length(tree)
        .into_iter()
        .filter(|&(lines, _)| lines > MAX_LINES);
    too_long
        .map(|(lines, path)| Finding {
            path: path.to_owned(),
            line: lines,
            message: format!("{lines} lines; split it (the limit is {MAX_LINES})"),
        })
        .collect()
}

/// The longest files, for the eye.
pub(super) fn longest(tree: &Tree, count: usize) -> String {
    let longest = by_length(tree).into_iter().take(count);
    let spoken: Vec<_> = longest
        .map(|(lines, path)| format!("{path} ({lines})"))
        .collect();
    spoken.join(", ")
}

fn by_length(tree: &Tree) -> Vec<(usize, &str)> {
    let files = tree.with_extension("rs");
    let mut lengths: Vec<_> = files
        .map(|file| (file.text.lines().count(), file.path.as_str()))
        .collect();
    lengths.sort_by(|a, b| b.cmp(a));
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_over_the_limit_are_found() {
        let good = "x\n".repeat(MAX_LINES);
        let bad = "x\n".repeat(MAX_LINES + 1);
        assert_eq!(
            Tree::lines_found(check, "crates/a/src/lib.rs", &good),
            [0; 0]
        );
        assert_eq!(
            Tree::lines_found(check, "crates/a/src/lib.rs", &bad),
            [MAX_LINES + 1]
        );
        assert_eq!(Tree::lines_found(check, "docs/long.md", &bad), [0; 0]);
    }

    #[test]
    fn the_longest_come_first() {
        let tree = Tree::of(&[("a.rs", "1\n"), ("b.rs", "1\n2\n3\n"), ("c.rs", "1\n2\n")]);
        assert_eq!(longest(&tree, 2), "b.rs (3), c.rs (2)");
    }
}
