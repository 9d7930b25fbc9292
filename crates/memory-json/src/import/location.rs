//! Where in the input of an import a memory is.

use std::fmt;

use serde::Serialize;

/// Where in the input a memory is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    /// A line of a JSONL file, counted from 1.
    Line(usize),
    /// An item of an export, such as `conversations.json, conversation 3, message 7`.
    Item(String),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Item(origin) => f.write_str(origin),
        }
    }
}
