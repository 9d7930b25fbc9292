//! The JSON that the `memory` command and the server read and write, and moving memories
//! in and out in it.
//!
//! | module | contents |
//! |---|---|
//! | `line` | a memory as one JSON object: [`Line`] writes it, [`parse`] reads it |
//! | `line_ids` | ids for lines without an `id` |
//! | `text_map` | objects whose values are text: [`Metadata`], [`Roles`] |
//! | `reader` | reading lines from a stream in bounded memory |
//! | `ranking_name` | the names of rankings |
//! | `answers` | what operations answer: recall, reflect, list, related and others |
//! | `score_parts` | what each part of a ranking adds to a score |
//! | `export`, `archive_order` | an entity's memories in the order of an export: [`ExportReader`] |
//! | `import/` | storing memories in batches, with an outcome for each: [`Importer`] |
//! | `cursor` | page cursors as one word |
//! | [`time`] | times: RFC 3339, in UTC, to the microsecond |
//!
//! `docs/jsonl.md` specifies the lines. No error quotes the content of a memory.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answers;
mod archive_order;
mod cursor;
mod export;
mod import;
mod line;
mod line_ids;
mod ranking_name;
mod reader;
mod score_parts;
mod text_map;
pub mod time;

pub use answers::{
    ExcludedAnswer, ForgetAnswer, ListAnswer, ListEntry, PruneAnswer, RecallAnswer, RecallEntry,
    ReflectAnswer, RelatedAnswer, RelatedEntry, UndoAnswer, count_omitted_links,
};
pub use cursor::{format_cursor, parse_cursor};
pub use export::ExportReader;
pub use import::{
    DEFAULT_BATCH, ImportItem, Importer, ItemOutcome, Location, Refusal, RefusalKind,
};
pub use line::{Line, Parsed, parse};
pub use line_ids::LineIds;
pub use ranking_name::RankingName;
pub use reader::{BYTE_ORDER_MARK, Lines, MAX_LINE_BYTES, NumberedLine, foreign_format};
pub use score_parts::ScoreParts;
pub use text_map::{Metadata, Roles};
