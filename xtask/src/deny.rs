//! `cargo xtask deny`: checks licenses, banned crates and sources of all
//! dependencies against deny.toml, with `cargo tree`.

use std::collections::BTreeSet;
use std::fs;

use crate::error::TaskError;
use crate::shell;

/// The parts of deny.toml that this check uses.
#[derive(Debug, Default, PartialEq, Eq)]
struct Policy {
    licenses: BTreeSet<String>,
    banned: BTreeSet<String>,
}

/// A dependency as printed by `cargo tree`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dependency {
    name: String,
    /// A path, a Git URL or another registry; empty for the default registry.
    source: String,
    license: String,
}

pub(crate) fn run() -> Result<(), TaskError> {
    let path = shell::root().join("deny.toml");
    let text = fs::read_to_string(&path).map_err(|source| TaskError::Read { path, source })?;
    let policy = Policy::parse(&text);
    let root = shell::root();
    let mut dependencies = BTreeSet::new();
    for workspace in [root.clone(), root.join("crates").join("memory-rig")] {
        let mut tree = shell::cargo();
        tree.current_dir(workspace)
            .args(["tree", "--workspace", "--all-features", "--prefix", "none"])
            .args(["--format", "{p}|{l}"]);
        let tree = shell::read_stdout(&mut tree)?;
        dependencies.extend(tree.lines().filter_map(Dependency::parse));
    }
    let root = root.display().to_string();
    let mut count = 0;
    for dependency in &dependencies {
        for violation in policy.violations(dependency, &root) {
            println!("{violation} [deny]");
            count += 1;
        }
    }
    if count > 0 {
        return Err(TaskError::Findings {
            count,
            what: "dependencies that deny.toml does not allow",
        });
    }
    println!("deny: {} dependencies checked", dependencies.len());
    Ok(())
}

impl Policy {
    /// Reads `licenses.allow` and the crates of `bans.deny`, one entry per line.
    fn parse(text: &str) -> Self {
        let mut policy = Self::default();
        let mut table = "";
        let mut list = "";
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[') {
                table = name.trim_end_matches(']');
                list = "";
            } else if let Some(name) = line.strip_suffix("= [") {
                list = name.trim();
            } else if line == "]" {
                list = "";
            } else if let Some(value) = line.split('"').nth(1) {
                match (table, list) {
                    ("licenses", "allow") => drop(policy.licenses.insert(value.to_owned())),
                    ("bans", "deny") => drop(policy.banned.insert(value.to_owned())),
                    _ => {}
                }
            }
        }
        policy
    }

    fn violations(&self, dependency: &Dependency, root: &str) -> Vec<String> {
        let Dependency {
            name,
            source,
            license,
        } = dependency;
        let mut violations = Vec::new();
        if !source.is_empty() && !source.starts_with(root) {
            violations.push(format!("{name} is not from the default registry: {source}"));
        }
        if self.banned.contains(name) {
            violations.push(format!("{name} is banned"));
        }
        if !self.allows_license(license) {
            violations.push(format!(
                "{name} has a license that is not allowed: {license}"
            ));
        }
        violations
    }

    /// Evaluates an SPDX expression; `/` is an old notation for OR.
    fn allows_license(&self, expression: &str) -> bool {
        let spaced = expression
            .replace('/', " OR ")
            .replace('(', " ( ")
            .replace(')', " ) ");
        let mut tokens = spaced.split_whitespace().peekable();
        let allowed = self.any_of(&mut tokens);
        allowed && tokens.next().is_none()
    }

    fn any_of<'a>(&self, tokens: &mut Tokens<'a, impl Iterator<Item = &'a str>>) -> bool {
        let mut allowed = self.all_of(tokens);
        while tokens.next_if_eq(&"OR").is_some() {
            allowed |= self.all_of(tokens);
        }
        allowed
    }

    fn all_of<'a>(&self, tokens: &mut Tokens<'a, impl Iterator<Item = &'a str>>) -> bool {
        let mut allowed = self.term(tokens);
        while tokens.next_if_eq(&"AND").is_some() {
            allowed &= self.term(tokens);
        }
        allowed
    }

    fn term<'a>(&self, tokens: &mut Tokens<'a, impl Iterator<Item = &'a str>>) -> bool {
        match tokens.next() {
            Some("(") => {
                let allowed = self.any_of(tokens);
                tokens.next_if_eq(&")").is_some() && allowed
            }
            Some(license) if tokens.next_if_eq(&"WITH").is_some() => {
                let exception = tokens.next().unwrap_or_default();
                self.licenses
                    .contains(&format!("{license} WITH {exception}"))
            }
            Some(license) => self.licenses.contains(license),
            None => false,
        }
    }
}

type Tokens<'a, I> = std::iter::Peekable<I>;

impl Dependency {
    /// Parses `name v1.0.0 (source) (*)|license`.
    fn parse(line: &str) -> Option<Self> {
        let (package, license) = line.split_once('|')?;
        let name = package.split_whitespace().next()?;
        let mut notes = package.split(" (").skip(1);
        let source = notes.find(|note| !matches!(*note, "proc-macro)" | "*)"));
        let license = license.trim_end_matches("(*)").trim();
        Some(Self {
            name: name.to_owned(),
            source: source.unwrap_or_default().trim_end_matches(')').to_owned(),
            license: license.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "[licenses]\n# Why.\nallow = [\n    \"MIT\",\n    \"Apache-2.0\",\n    \
                          \"Apache-2.0 WITH LLVM-exception\",\n]\n\n[bans]\ndeny = [\n    \
                          { crate = \"openssl\", reason = \"TLS\" },\n]\n[sources]\nx = \"deny\"\n";

    #[test]
    fn the_lists_of_the_policy_are_read() {
        let policy = Policy::parse(POLICY);
        assert_eq!(policy.licenses.len(), 3);
        assert!(policy.banned.iter().eq(["openssl"]));
    }

    #[test]
    fn license_expressions_are_evaluated() {
        let policy = Policy::parse(POLICY);
        for allowed in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/GPL-3.0",
            "Apache-2.0 WITH LLVM-exception",
            "(GPL-3.0 OR MIT) AND Apache-2.0",
        ] {
            assert!(policy.allows_license(allowed), "{allowed}");
        }
        for refused in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR Apache-2.0) AND GPL-3.0",
            "MIT WITH LLVM-exception",
            "MIT MIT",
        ] {
            assert!(!policy.allows_license(refused), "{refused}");
        }
    }

    #[test]
    fn each_kind_of_violation_is_found() {
        let policy = Policy::parse(POLICY);
        let count = |line: &str| {
            let dependency = Dependency::parse(line).unwrap();
            policy.violations(&dependency, "/project").len()
        };
        assert_eq!(count("serde v1.0.0|MIT OR Apache-2.0"), 0);
        assert_eq!(count("serde_derive v1.0.0 (proc-macro)|MIT (*)"), 0);
        assert_eq!(count("own v0.1.0 (/project/crates/own)|MIT"), 0);
        assert_eq!(count("openssl v0.10.0|Apache-2.0"), 1);
        assert_eq!(count("fork v1.0.0 (https://example.org/fork#1a2b)|MIT"), 1);
        assert_eq!(count("openssl v0.10.0 (registry `other`)|GPL-3.0"), 3);
    }
}
