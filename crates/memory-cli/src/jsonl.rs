//! The JSONL format of import and export, specified in `docs/jsonl.md`.

mod id;
mod line;
mod reader;

pub(crate) use id::LineIds;
pub(crate) use line::{Line, parse};
pub(crate) use reader::{BYTE_ORDER_MARK, Lines, MAX_LINE_BYTES, foreign_format};
