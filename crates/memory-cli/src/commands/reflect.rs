//! `memory reflect`: the memories most relevant to a text, quoted for a prompt.

use chrono::Utc;
use memory::{MemorySystem, RecallRequest, ReflectRequest};

use crate::commands::recall::note_without_vectors;
use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::filters::Filters;
use crate::output::{Output, note};
use memory_json::ReflectAnswer;

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
    let max = ReflectRequest::MAX_CONTEXT_CHARS;
    if !(1..=max).contains(&args.max_chars) {
        let message = format!("--max-chars is {}; it must be 1 to {max}", args.max_chars);
        return Err(Failure::new(Code::InvalidInput, "invalid_input", message));
    }
    request.validate()?;
    let system = database.open_for_recall().await?;
    let reflection = system
        .reflect(args.entity.as_str(), request.clone())
        .await?;
    let required = match reflection.memories.is_empty() {
        true => required_chars(&system, &args.entity, request).await?,
        false => None,
    };
    if let Some(required) = required {
        return Err(Failure::new(
            Code::InvalidInput,
            "invalid_input",
            format!(
                "--max-chars {} is too small for any of the matching memories; at least {required} characters are needed",
                args.max_chars
            ),
        ));
    }
    if output.is_json() {
        return output.write_json(&ReflectAnswer::from(&reflection));
    }
    note_without_vectors(reflection.without_vectors, reflection.by_previous_model);
    if reflection.memories.is_empty() {
        note(format_args!("no memory matches"));
    }
    for line in reflection.text().lines() {
        output.write_line(format_args!("{line}"))?;
    }
    Ok(())
}

/// The least `--max-chars` with which a reflection contains a memory; `None` if
/// no memory matches.
async fn required_chars(
    system: &MemorySystem,
    entity: &str,
    mut request: ReflectRequest,
) -> Result<Option<usize>, Failure> {
    // A query as of a moment counts no accesses.
    request.recall.as_of.get_or_insert_with(Utc::now);
    request.max_context_chars = ReflectRequest::MAX_CONTEXT_CHARS;
    let complete = system.reflect(entity, request).await?;
    Ok(complete.context.lines().map(min_line_chars).min())
}

/// The length that a line, with its line end, has at least: its content can be
/// truncated, but not to less than `MIN_CONTENT_CHARS`.
fn min_line_chars(line: &str) -> usize {
    /// As in the engine's prompt.
    const MIN_CONTENT_CHARS: usize = 40;
    let full = line.chars().count() + 1;
    // Quotation marks within values are escaped, so this is the last key.
    let content = line.rfind(r#","content":"#).map_or("", |at| &line[at..]);
    let quoted = content
        .chars()
        .count()
        .saturating_sub(r#","content":}"#.len());
    full - quoted.saturating_sub(MIN_CONTENT_CHARS)
}
