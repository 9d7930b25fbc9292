//! Rule for links: every relative link of a Markdown file has an existing target.

use super::tree::File;
use super::{Finding, Tree};

pub(super) fn check_links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_extension("md") {
        for (number, target) in links(file) {
            let exists = resolve(&file.path, target).is_some_and(|path| tree.contains(&path));
            if !exists {
                let message = format!("the target of the link {target} does not exist");
                findings.push(Finding::new(file, number, message));
            }
        }
    }
    findings
}

/// The relative links of a file, with their lines, outside code.
fn links(file: &File) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (number, line) in file.lines() {
        if ["```", "~~~"]
            .iter()
            .any(|fence| line.trim_start().starts_with(fence))
        {
            in_code = !in_code;
        } else if !in_code {
            let targets = inline(line).into_iter().chain(reference(line));
            let relative = targets.filter(|target| is_relative(target));
            links.extend(relative.map(|target| (number, target)));
        }
    }
    links
}

/// The targets of `[text](target "title")`, outside `code`.
fn inline(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for (at, _) in line.match_indices("](") {
        let in_code = line[..at].matches('`').count() % 2 == 1;
        let rest = &line[at + 2..];
        if let Some(end) = rest.find([')', ' ']).filter(|_| !in_code) {
            targets.push(&rest[..end]);
        }
    }
    targets
}

/// The target of `[name]: target`.
fn reference(line: &str) -> Option<&str> {
    let (_, target) = line.strip_prefix('[')?.split_once("]: ")?;
    target.split_whitespace().next()
}

/// Not a link to another host, to a heading of the same page, or to a Rust
/// item, which rustdoc resolves.
fn is_relative(target: &str) -> bool {
    let elsewhere = target.contains("://") || target.starts_with("mailto:");
    !(target.is_empty() || elsewhere || target.starts_with('#') || target.contains("::"))
}

/// The path from the root of `target` in the file `from`; `None` if it is outside
/// the tree.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or(target);
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    // An absolute path is relative to a server, not to the tree.
    (!target.starts_with('/')).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        let files = [
            ("docs/guide.md", text),
            ("README.md", ""),
            ("docs/adr/0001.md", ""),
        ];
        check_links(&Tree::of(&files))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn links_to_existing_files_pass() {
        let good = "[a](../README.md) and [b](adr/0001.md#why)\n[c](adr/) [d](#here)\n\
                    [e](https://example.org/x.md)\n[f]: ../README.md\n`[g](none.md)`\n\
                    ```\n[h](none.md)\n```\n";
        assert_eq!(found(good), [0; 0]);
    }

    #[test]
    fn broken_links_are_found() {
        let bad = "[a](none.md)\n[b]: none.md\n[c](../../outside.md)\n[d](/README.md)\n";
        assert_eq!(found(bad), [1, 2, 3, 4]);
    }
}
