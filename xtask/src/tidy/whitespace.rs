//! Lines end where they end, and files end with a line.

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        // `str::lines` hides a carriage return; splitting does not.
        for (index, line) in file.text.split('\n').enumerate() {
            if line.ends_with(char::is_whitespace) {
                findings.push(Finding::new(
                    file,
                    index + 1,
                    "white space at the end of the line",
                ));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            let last = file.text.lines().count();
            findings.push(Finding::new(
                file,
                last,
                "no newline at the end of the file",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_carriage_returns_and_a_missing_newline_are_found() {
        assert_eq!(
            Tree::lines_found(check, "a.md", "one\ntwo \nthree\r\n"),
            [2, 3]
        );
        assert_eq!(Tree::lines_found(check, "a.md", "one\ntwo"), [2]);
    }

    #[test]
    fn clean_and_empty_files_are_not() {
        assert_eq!(Tree::lines_found(check, "a.md", "one\n\n  two\n"), [0; 0]);
        assert_eq!(Tree::lines_found(check, "a.md", ""), [0; 0]);
    }
}
