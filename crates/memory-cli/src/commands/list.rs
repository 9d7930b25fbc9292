//! `memory list`: an entity's memories, newest first, page by page.

use memory::{ListRequest, Memory, PageCursor};
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::filters::Filters;
use crate::jsonl::Line;
use crate::output::{Output, format_row, note};
use crate::time;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entity whose memories to list
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Maximum number of memories, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,

    #[command(flatten)]
    filters: Filters,

    /// Continue after the page that printed this cursor
    #[arg(long, value_name = "CURSOR", value_parser = parse_cursor)]
    after: Option<PageCursor>,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut request = ListRequest::new(args.limit).filter(args.filters.into_filter()?);
    request.after = args.after;
    request.validate()?;
    let system = database.open_for_read().await?;
    let page = match request.filter.until {
        // What was known before that time, whatever was consolidated since.
        Some(until) => {
            system
                .list_memories_as_of(args.entity, until, &request)
                .await?
        }
        None => system.list_memories(args.entity, &request).await?,
    };
    let next = page.next.as_ref().map(format_cursor);
    if output.is_json() {
        let memories = page.memories.iter().map(ListEntry::from).collect();
        return output.write_json(&Page { memories, next });
    }
    for memory in &page.memories {
        output.write_line(format_args!("{}  {}", memory.id, format_row(memory)))?;
    }
    if let Some(next) = next {
        output.flush()?;
        note(format_args!(
            "more memories follow; continue with --after {next}"
        ));
    }
    Ok(())
}

#[derive(Serialize)]
struct Page<'a> {
    memories: Vec<ListEntry<'a>>,
    next: Option<String>,
}

/// A memory as import reads it, with its access counts.
#[derive(Serialize)]
struct ListEntry<'a> {
    memory: Line<'a>,
    access_count: u64,
    last_accessed: Option<String>,
}

impl<'a> From<&'a Memory> for ListEntry<'a> {
    fn from(memory: &'a Memory) -> Self {
        Self {
            memory: memory.into(),
            access_count: memory.access_count,
            last_accessed: memory.last_accessed.map(time::format_exact),
        }
    }
}

/// Formats a cursor as one word: `2026-03-01T09:30:00.000000Z/UUID`.
fn format_cursor(cursor: &PageCursor) -> String {
    format!("{}/{}", time::format_exact(cursor.timestamp), cursor.id)
}

/// Parses what [`format_cursor`] wrote.
fn parse_cursor(word: &str) -> Result<PageCursor, String> {
    let malformed = || "it must be a cursor printed by memory list".to_owned();
    let (timestamp, id) = word.split_once('/').ok_or_else(malformed)?;
    Ok(PageCursor {
        timestamp: time::parse(timestamp).map_err(|_| malformed())?,
        id: id.parse().map_err(|_| malformed())?,
    })
}

#[cfg(test)]
mod tests {
    use memory::MemoryId;

    use super::*;

    #[test]
    fn formatted_cursors_parse_back() {
        let written = PageCursor {
            timestamp: time::parse("2026-03-01T09:30:00.000001Z").unwrap(),
            id: MemoryId::new(),
        };
        assert_eq!(parse_cursor(&format_cursor(&written)).unwrap(), written);
        for bad in ["", "/", "2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z/x"] {
            assert!(parse_cursor(bad).is_err(), "{bad}");
        }
    }
}
