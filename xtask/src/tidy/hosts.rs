//! No registry is named by its host: where packages come from is the business
//! of the user's configuration.

use super::{Finding, Tree};

/// In pieces, so that this file does not find itself.
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

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
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

/// Whether `host` or a host below it is named: `ahost` is another word.
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
    fn hosts_and_hosts_below_them_are_found() {
        for pieces in HOSTS {
            let host = pieces.join(".");
            let text = format!("see\nhttps://{host}/x\nhttps://files.{host}\n");
            assert_eq!(Tree::lines_found(check, "README.md", &text), [2, 3]);
        }
    }

    #[test]
    fn other_hosts_are_not() {
        let text = format!("https://example.org\nhttps://my{}\n", HOSTS[2].join("."));
        assert_eq!(Tree::lines_found(check, "README.md", &text), [0; 0]);
    }
}
