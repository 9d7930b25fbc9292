//! Rules for the text of files: number of lines, white space, leftover
//! markers, machine-specific paths and registry hosts.

use super::words::has_word;
use super::{Finding, Tree};

/// Most files should be well below this limit.
const MAX_LINES: usize = 500;

/// The longest first.
pub(super) fn check_length(tree: &Tree) -> Vec<Finding> {
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

/// The longest files, for the summary.
pub(super) fn longest(tree: &Tree, count: usize) -> String {
    let longest = by_length(tree).into_iter().take(count);
    let lines: Vec<_> = longest
        .map(|(lines, path)| format!("{path} ({lines})"))
        .collect();
    lines.join(", ")
}

fn by_length(tree: &Tree) -> Vec<(usize, &str)> {
    let files = tree.with_extension("rs");
    let mut lengths: Vec<_> = files
        .map(|file| (file.text.lines().count(), file.path.as_str()))
        .collect();
    lengths.sort_by(|a, b| b.cmp(a));
    lengths
}

pub(super) fn check_whitespace(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        // `str::lines` removes a carriage return; splitting does not.
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

const EXTENSIONS: &[&str] = &["rs", "toml", "sql", "md"];

/// In two pieces each, so that this file has no finding.
const MARKERS: &[[&str; 2]] = &[
    ["to", "do!"],
    ["unimple", "mented!"],
    ["db", "g!"],
    ["FIX", "ME"],
    ["XX", "X"],
];

pub(super) fn check_markers(tree: &Tree) -> Vec<Finding> {
    let markers: Vec<String> = MARKERS.iter().map(|pieces| pieces.concat()).collect();
    let mut findings = Vec::new();
    for file in EXTENSIONS
        .iter()
        .flat_map(|extension| tree.with_extension(extension))
    {
        for (number, line) in file.lines() {
            for marker in markers.iter().filter(|marker| has_word(line, marker)) {
                findings.push(Finding::new(file, number, format!("unfinished: {marker}")));
            }
        }
    }
    findings
}

/// The top folders of such paths, without slashes so that this file has no
/// finding.
const TOP_FOLDERS: &[&str] = &["root", "home", "work", "Users"];

pub(super) fn check_paths(tree: &Tree) -> Vec<Finding> {
    let starts: Vec<String> = TOP_FOLDERS
        .iter()
        .map(|folder| format!("/{folder}/"))
        .collect();
    let mut findings = Vec::new();
    for file in &tree.files {
        for (number, line) in file.lines() {
            for start in starts.iter().filter(|start| has_absolute(line, start)) {
                let message = format!("{start}… is a path of a specific machine");
                findings.push(Finding::new(file, number, message));
            }
        }
    }
    findings
}

/// Whether a path in `line` begins with `start`; folders of that name further
/// down a path are allowed.
fn has_absolute(line: &str, start: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || "._-~*}>)".contains(c);
    line.match_indices(start)
        .any(|(at, _)| !line[..at].chars().next_back().is_some_and(continues))
}

/// In pieces, so that this file has no finding.
const HOSTS: &[&[&str]] = &[
    &["pypi", "org"],
    &["pythonhosted", "org"],
    &["crates", "io"],
    &["huggingface", "co"],
    &["hf", "co"],
    &["npmjs", "org"],
    &["anaconda", "org"],
    &["docker", "io"],
    &["ghcr", "io"],
    &["proxy", "golang", "org"],
];

pub(super) fn check_hosts(tree: &Tree) -> Vec<Finding> {
    let hosts: Vec<String> = HOSTS.iter().map(|pieces| pieces.join(".")).collect();
    let mut findings = Vec::new();
    for file in &tree.files {
        for (number, line) in file.lines() {
            let line = line.to_lowercase();
            for host in hosts.iter().filter(|host| names_host(&line, host)) {
                let message = format!("{host} is the host of a registry");
                findings.push(Finding::new(file, number, message));
            }
        }
    }
    findings
}

/// Whether `host` or a subdomain of it is named; `ahost` is a different word.
fn names_host(line: &str, host: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '-';
    line.match_indices(host).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + host.len()..].chars().next();
        !before.is_some_and(joins) && !after.is_some_and(joins)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_over_the_limit_are_found() {
        let good = "x\n".repeat(MAX_LINES);
        let bad = "x\n".repeat(MAX_LINES + 1);
        assert_eq!(
            Tree::lines_found(check_length, "crates/a/src/lib.rs", &good),
            [0; 0]
        );
        assert_eq!(
            Tree::lines_found(check_length, "crates/a/src/lib.rs", &bad),
            [MAX_LINES + 1]
        );
        assert_eq!(
            Tree::lines_found(check_length, "docs/long.md", &bad),
            [0; 0]
        );
    }

    #[test]
    fn the_longest_come_first() {
        let tree = Tree::of(&[("a.rs", "1\n"), ("b.rs", "1\n2\n3\n"), ("c.rs", "1\n2\n")]);
        assert_eq!(longest(&tree, 2), "b.rs (3), c.rs (2)");
    }

    #[test]
    fn spaces_carriage_returns_and_a_missing_newline_are_found() {
        assert_eq!(
            Tree::lines_found(check_whitespace, "a.md", "one\ntwo \nthree\r\n"),
            [2, 3]
        );
        assert_eq!(Tree::lines_found(check_whitespace, "a.md", "one\ntwo"), [2]);
    }

    #[test]
    fn clean_and_empty_files_are_not() {
        assert_eq!(
            Tree::lines_found(check_whitespace, "a.md", "one\n\n  two\n"),
            [0; 0]
        );
        assert_eq!(Tree::lines_found(check_whitespace, "a.md", ""), [0; 0]);
    }

    #[test]
    fn every_marker_is_found() {
        for pieces in MARKERS {
            let text = format!("fn a() {{\n    {}(later)\n}}\n", pieces.concat());
            assert_eq!(
                Tree::lines_found(check_markers, "crates/a/src/lib.rs", &text),
                [2]
            );
        }
    }

    #[test]
    fn parts_of_longer_words_are_not() {
        let text = format!("mktemp {}\nauto{}\n", "X".repeat(6), MARKERS[0].concat());
        assert_eq!(Tree::lines_found(check_markers, "docs/a.md", &text), [0; 0]);
    }

    #[test]
    fn absolute_paths_are_found() {
        for folder in TOP_FOLDERS {
            let text = format!("first\nopen(\"/{folder}/me/agent.db\")\n");
            assert_eq!(Tree::lines_found(check_paths, "docs/a.md", &text), [2]);
        }
    }

    #[test]
    fn folders_further_down_are_not() {
        let text = format!("./{0}/a\nproject/{0}/b\n${{DIR}}/{0}/c\n", TOP_FOLDERS[2]);
        assert_eq!(Tree::lines_found(check_paths, "docs/a.md", &text), [0; 0]);
    }

    #[test]
    fn hosts_and_hosts_below_them_are_found() {
        for pieces in HOSTS {
            let host = pieces.join(".");
            let text = format!("see\nhttps://{host}/x\nhttps://files.{host}\n");
            assert_eq!(Tree::lines_found(check_hosts, "README.md", &text), [2, 3]);
        }
    }

    #[test]
    fn other_hosts_are_not() {
        let text = format!("https://example.org\nhttps://my{}\n", HOSTS[2].join("."));
        assert_eq!(Tree::lines_found(check_hosts, "README.md", &text), [0; 0]);
    }
}
