//! The lines that import reads and export writes; `docs/jsonl.md` is their
//! specification.

mod id;
mod line;
mod reader;

pub(crate) use id::Ids;
pub(crate) use line::{Line, parse};
pub(crate) use reader::{Lines, MAX_LINE_BYTES};
