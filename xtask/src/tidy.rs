//! `cargo xtask tidy`: checks the workspace's rules that the compiler does not
//! check.

mod links;
mod manifests;
mod sources;
mod text;
mod tree;
mod variables;
mod words;

use std::fmt;

use crate::error::TaskError;
use crate::shell;
use tree::{File, Tree};

pub(crate) use manifests::declared_features;

/// A rule: its name, and the check that finds violations.
struct Rule {
    name: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "length",
        check: text::check_length,
    },
    Rule {
        name: "markers",
        check: text::check_markers,
    },
    Rule {
        name: "paths",
        check: text::check_paths,
    },
    Rule {
        name: "hosts",
        check: text::check_hosts,
    },
    Rule {
        name: "whitespace",
        check: text::check_whitespace,
    },
    Rule {
        name: "packages",
        check: manifests::check_packages,
    },
    Rule {
        name: "crate-docs",
        check: manifests::check_crate_docs,
    },
    Rule {
        name: "dependencies",
        check: manifests::check_dependencies,
    },
    Rule {
        name: "unused",
        check: manifests::check_unused,
    },
    Rule {
        name: "features",
        check: manifests::check_features,
    },
    Rule {
        name: "facade",
        check: sources::check_facade,
    },
    Rule {
        name: "migrations",
        check: sources::check_migrations,
    },
    Rule {
        name: "links",
        check: links::check_links,
    },
    Rule {
        name: "variables",
        check: variables::check_variables,
    },
    Rule {
        name: "names",
        check: words::check_names,
    },
    Rule {
        name: "prose",
        check: words::check_prose,
    },
];

/// A line that violates a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    /// Lines count from 1.
    fn new(file: &File, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: file.path.clone(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

pub(crate) fn run() -> Result<(), TaskError> {
    let tree = Tree::read(&shell::root())?;
    let count = print_findings(RULES, &tree);
    if count > 0 {
        return Err(TaskError::Findings {
            count,
            what: "findings of tidy",
        });
    }
    println!(
        "tidy: {} files checked against {} rules",
        tree.files.len(),
        RULES.len()
    );
    println!("tidy: longest Rust files: {}", text::longest(&tree, 3));
    Ok(())
}

fn print_findings(rules: &[Rule], tree: &Tree) -> usize {
    let mut count = 0;
    for rule in rules {
        for finding in (rule.check)(tree) {
            println!("{finding} [{}]", rule.name);
            count += 1;
        }
    }
    count
}
