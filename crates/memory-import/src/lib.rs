//! Reading exports of other products as memories, and splitting long texts.
//!
//! [`read`] reads an export (a file, a folder or a ZIP archive) and passes its
//! memories, in their order, to a function. It never holds more than one
//! conversation, note or line at a time, stores nothing and needs no model.
//!
//! | module | contents |
//! |---|---|
//! | `files` | the files of an export, within [`ReadLimits`] |
//! | `json` | the elements of an array, one at a time |
//! | `json_splitter` | where the values of a JSON document end |
//! | `draft` | a text of an export, before it is a memory |
//! | `document` | texts that follow each other: parts of long ones, links, times |
//! | `importer` | memories from what a format's module found: ids, limits |
//! | `metadata_size` | metadata that is too large |
//! | `chatgpt`, `claude`, `mem0`, `mcp_memory`, `markdown`, `basic_memory` | the formats |
//! | `front_matter` | YAML before a Markdown text |
//! | `outline` | where headings and blocks of a Markdown text begin |
//! | `surrogates` | escapes in JSON that are half a character |
//! | `split` | [`split_text`] |
//! | `report` | what was not imported, and unknown fields |
//!
//! No error, report or refusal quotes content; unknown fields are reported by name.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod basic_memory;
mod chatgpt;
mod claude;
mod document;
mod draft;
mod error;
mod files;
mod format;
mod front_matter;
mod importer;
mod json;
mod json_splitter;
mod markdown;
mod mcp_memory;
mod mem0;
mod metadata_size;
mod outline;
mod report;
mod split;
mod surrogates;
mod time;

use std::ops::ControlFlow;
use std::path::Path;

use memory::{EntityId, MemoryBatchItem};

pub use error::ImportError;
pub use files::ReadLimits;
pub use format::{Format, UnknownFormat};
pub use report::ImportReport;
pub use split::{link_parts, split_text};

use files::ExportFiles;
use importer::{Importer, Stop};

/// What is imported, and how much is read.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The entity of every memory. Only [`Format::Mem0`] can do without: its
    /// memories name their user or agent.
    pub entity: Option<EntityId>,
    /// How much is read at most.
    pub limits: ReadLimits,
}

/// A memory of an export, or why there is none.
#[derive(Debug)]
pub struct Record {
    /// Where in the export it is, such as
    /// `conversations.json, conversation 3, message 7`.
    pub origin: String,
    /// A valid memory with its id, or what is wrong, for people.
    pub item: Result<MemoryBatchItem, String>,
}

/// Reads the export at `path` and passes each memory to `sink`, until that breaks.
///
/// The id of a memory is derived from the entity, the format, the id that the
/// product gave it, and its text, so reading an export again gives the same ids. Text
/// of more than [`MAX_CONTENT_CHARS`](memory::limits::MAX_CONTENT_CHARS) is split by
/// [`split_text`] into several memories, which are linked.
///
/// It blocks, for reading and for `sink`; do not call it on an async worker.
///
/// # Errors
/// [`ImportError`] where `path` is no such export, is damaged, or exceeds a limit. What
/// was read before was passed to `sink`. A single memory that is not valid is
/// passed as a refused [`Record`] instead.
pub fn read(
    format: Format,
    path: &Path,
    options: &ImportOptions,
    sink: &mut dyn FnMut(Record) -> ControlFlow<()>,
) -> Result<ImportReport, ImportError> {
    if options.entity.is_none() && format != Format::Mem0 {
        return Err(ImportError::EntityMissing { format });
    }
    let mut files = ExportFiles::open(path, options.limits)?;
    let mut importer = Importer::new(format, options, sink);
    let outcome = match format {
        Format::ChatGpt => chatgpt::read(&mut files, &mut importer),
        Format::Claude => claude::read(&mut files, &mut importer),
        Format::Mem0 => mem0::read(&mut files, &mut importer),
        Format::McpMemory => mcp_memory::read(&mut files, &mut importer),
        Format::Markdown => markdown::read(&mut files, &mut importer),
        Format::BasicMemory => basic_memory::read(&mut files, &mut importer),
    };
    match outcome {
        Ok(()) | Err(Stop::Broken) => Ok(importer.into_report()),
        Err(Stop::Failed(error)) => Err(error),
    }
}
