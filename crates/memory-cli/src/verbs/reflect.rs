//! `memory reflect`: what matters to a text, quoted for a prompt.

use memory::{RecallRequest, ReflectRequest};
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::filters::Filters;
use crate::jsonl::Line;
use crate::output::{Output, remark};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who remembers
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// The question, 1 to 10,000 characters
    #[arg(value_name = "TEXT")]
    text: String,

    /// How many memories at most, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = RecallRequest::DEFAULT_LIMIT)]
    limit: usize,

    /// How many characters they may take, 1 to 1,000,000
    #[arg(long, value_name = "N", default_value_t = ReflectRequest::DEFAULT_CONTEXT_CHARS)]
    max_chars: usize,

    #[command(flatten)]
    filters: Filters,
}

/// The command knows no language model: it prints what one would be given.
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
        return output.document(&Answer {
            context: &reflection.context,
            memories: memories.map(|one| Line::from(&*one.memory)).collect(),
        });
    }
    if reflection.memories.is_empty() {
        remark(format_args!("nothing recalled"));
    }
    for line in reflection.text().lines() {
        output.line(format_args!("{line}"))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Answer<'a> {
    context: &'a str,
    memories: Vec<Line<'a>>,
}
