//! `cargo xtask tidy`: the house rules that no compiler knows, one file each.

mod crate_docs;
mod crates;
mod dependencies;
mod facade;
mod features;
mod hosts;
mod length;
mod links;
mod manifest;
mod markers;
mod migrations;
mod paths;
mod tree;
mod whitespace;

use std::fmt;

use crate::error::TaskError;
use crate::shell;
use tree::{File, Tree};

/// A rule: its name, and what of the tree breaks it.
struct Rule {
    name: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "length",
        check: length::check,
    },
    Rule {
        name: "markers",
        check: markers::check,
    },
    Rule {
        name: "paths",
        check: paths::check,
    },
    Rule {
        name: "hosts",
        check: hosts::check,
    },
    Rule {
        name: "whitespace",
        check: whitespace::check,
    },
    Rule {
        name: "crates",
        check: crates::check,
    },
    Rule {
        name: "crate-docs",
        check: crate_docs::check,
    },
    Rule {
        name: "dependencies",
        check: dependencies::check,
    },
    Rule {
        name: "features",
        check: features::check,
    },
    Rule {
        name: "facade",
        check: facade::check,
    },
    Rule {
        name: "migrations",
        check: migrations::check,
    },
    Rule {
        name: "links",
        check: links::check,
    },
];

/// A place that breaks a rule.
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
    let mut count = 0;
    for rule in RULES {
        for finding in (rule.check)(&tree) {
            println!("{finding} [{}]", rule.name);
            count += 1;
        }
    }
    if count > 0 {
        return Err(TaskError::Findings {
            count,
            what: "findings of tidy",
        });
    }
    println!(
        "tidy: {} files keep {} rules",
        tree.files.len(),
        RULES.len()
    );
    println!("tidy: longest Rust files: {}", length::longest(&tree, 3));
    Ok(())
}
