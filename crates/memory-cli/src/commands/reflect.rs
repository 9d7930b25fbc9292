//! `memory reflect`: the memories most relevant to a text, quoted for a prompt.

use memory::{RecallRequest, ReflectRequest};
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::filters::Filters;
use crate::jsonl::Line;
use crate::output::{Output, note};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entity whose memories to search
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Query text, 1 to 10,000 characters
    #[arg(value_name = "TEXT")]
    text: String,

    /// Maximum number of memories, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = RecallRequest::DEFAULT_LIMIT)]
    limit: usize,

    /// Maximum length of the output in characters, 1 to 1,000,000
    #[arg(long, value_name = "N", default_value_t = ReflectRequest::DEFAULT_CONTEXT_CHARS)]
    max_chars: usize,

    #[command(flatten)]
    filters: Filters,
}

/// Prints what a language model would be given; the command itself calls none.
pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let recall = RecallRequest::new(args.text)
        .filter(args.filters.into_filter()?)
        .limit(args.limit);
    let request = ReflectRequest::new(recall).max_context_chars(args.max_chars);
    request.validate()?;
    let system = database.open().await?;
    let reflection = system.reflect(args.entity, request).await?;
    system.close().await?;
    if output.is_json() {
        let memories = reflection.memories.iter();
        return output.write_json(&Answer {
            context: &reflection.context,
            memories: memories.map(|one| Line::from(&*one.memory)).collect(),
        });
    }
    if reflection.memories.is_empty() {
        note(format_args!("no memory matches"));
    }
    for line in reflection.text().lines() {
        output.write_line(format_args!("{line}"))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Answer<'a> {
    context: &'a str,
    memories: Vec<Line<'a>>,
}
