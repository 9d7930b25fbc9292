//! `memory list`: an entity's memories, newest first, page by page.

use memory::{ListRequest, Memory, PageCursor};

use crate::database::Database;
use crate::exit::Failure;
use crate::filters::Filters;
use crate::output::{Output, note, single_line};
use crate::rows::Row;
use memory_json::{ListAnswer, format_cursor, parse_cursor};

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
    if output.is_json() {
        return output.write_json(&ListAnswer::from(&*page));
    }
    for memory in &page.memories {
        let row = Row::new().id(memory.id);
        output.write_row(&row.labeled_memory(memory, labels(memory)))?;
    }
    if let Some(next) = &page.next {
        output.flush()?;
        note(format_args!(
            "more memories follow; continue with --after {}",
            format_cursor(next)
        ));
    }
    Ok(())
}

/// A memory's tags and participants, to follow its content: `  [market]  (tam: seller)`.
fn labels(memory: &Memory) -> String {
    let join = |parts: Vec<String>, open, close| match parts.is_empty() {
        true => String::new(),
        false => format!("  {open}{}{close}", single_line(&parts.join(", "))),
    };
    let tags = memory.tags.iter().cloned().collect();
    let participants = memory.entities.iter();
    let participants = participants.map(|(name, role)| format!("{name}: {role}"));
    join(tags, '[', ']') + &join(participants.collect(), '(', ')')
}
