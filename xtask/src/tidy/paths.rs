//! No path of one person's machine is committed.

use super::{Finding, Tree};

/// The top folders of such paths, without their slashes so that this file does
/// not find itself.
const TOP_FOLDERS: &[&str] = &["root", "home", "work", "Users"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let starts: Vec<String> = TOP_FOLDERS
        .iter()
        .map(|folder| format!("/{folder}/"))
        .collect();
    let mut findings = Vec::new();
    for file in &tree.files {
        for (number, line) in file.lines() {
            for start in starts.iter().filter(|start| has_absolute(line, start)) {
                let message = format!("{start}… is a path of one machine");
                findings.push(Finding::new(file, number, message));
            }
        }
    }
    findings
}

/// Whether a path in `line` begins with `start`: a folder of that name further
/// down a path is nobody's home.
fn has_absolute(line: &str, start: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || "._-~*}>)".contains(c);
    line.match_indices(start)
        .any(|(at, _)| !line[..at].chars().next_back().is_some_and(continues))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_are_found() {
        for folder in TOP_FOLDERS {
            let text = format!("first\nopen(\"/{folder}/me/agent.db\")\n");
            assert_eq!(Tree::lines_found(check, "docs/a.md", &text), [2]);
        }
    }

    #[test]
    fn folders_further_down_are_not() {
        let text = format!("./{0}/a\nproject/{0}/b\n${{DIR}}/{0}/c\n", TOP_FOLDERS[2]);
        assert_eq!(Tree::lines_found(check, "docs/a.md", &text), [0; 0]);
    }
}
