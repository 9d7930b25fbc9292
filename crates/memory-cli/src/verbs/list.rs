//! `memory list`: an entity's memories, newest first, page by page.

use memory::{ListRequest, Memory, PageCursor};
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::filters::Filters;
use crate::jsonl::Line;
use crate::output::{Output, remark, row};
use crate::time;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose memories
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// How many at most, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,

    #[command(flatten)]
    filters: Filters,

    /// Go on where a page ended: the cursor that it closed with
    #[arg(long, value_name = "CURSOR", value_parser = cursor)]
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
    let system = database.open_to_look().await?;
    let page = system.list_memories(args.entity, &request).await?;
    system.close().await?;
    let next = page.next.as_ref().map(spell);
    if output.is_json() {
        let memories = page.memories.iter().map(Listed::from).collect();
        return output.document(&Page { memories, next });
    }
    for memory in &page.memories {
        output.line(format_args!("{}  {}", memory.id, row(memory)))?;
    }
    if let Some(next) = next {
        output.flush()?;
        remark(format_args!("more: --after {next}"));
    }
    Ok(())
}

#[derive(Serialize)]
struct Page<'a> {
    memories: Vec<Listed<'a>>,
    next: Option<String>,
}

/// A memory as import reads it, and beside it what import does not.
#[derive(Serialize)]
struct Listed<'a> {
    memory: Line<'a>,
    access_count: u64,
    last_accessed: Option<String>,
}

impl<'a> From<&'a Memory> for Listed<'a> {
    fn from(memory: &'a Memory) -> Self {
        Self {
            memory: memory.into(),
            access_count: memory.access_count,
            last_accessed: memory.last_accessed.map(time::exact),
        }
    }
}

/// A cursor in one word: `2026-03-01T09:30:00.000000Z/UUID`.
fn spell(cursor: &PageCursor) -> String {
    format!("{}/{}", time::exact(cursor.timestamp), cursor.id)
}

/// Reads what [`spell`] wrote.
fn cursor(word: &str) -> Result<PageCursor, String> {
    let form = || "it must be a cursor that list printed".to_owned();
    let (timestamp, id) = word.split_once('/').ok_or_else(form)?;
    Ok(PageCursor {
        timestamp: time::parse(timestamp).map_err(|_| form())?,
        id: id.parse().map_err(|_| form())?,
    })
}

#[cfg(test)]
mod tests {
    use memory::MemoryId;

    use super::*;

    #[test]
    fn a_cursor_reads_back_from_its_word() {
        let written = PageCursor {
            timestamp: time::parse("2026-03-01T09:30:00.000001Z").unwrap(),
            id: MemoryId::new(),
        };
        assert_eq!(cursor(&spell(&written)).unwrap(), written);
        for bad in ["", "/", "2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z/x"] {
            assert!(cursor(bad).is_err(), "{bad}");
        }
    }
}
