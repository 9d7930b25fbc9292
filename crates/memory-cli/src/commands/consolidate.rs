//! `memory consolidate`, which replaces near-duplicates by a summary, and
//! `memory undo`, which reverts it.

use memory::{ConsolidateRequest, MemoryId, SkipReason};
use memory_json::UndoAnswer;

use crate::database::Database;
use crate::exit::Failure;
use crate::output::{Output, count_noun, note};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entity whose memories to consolidate
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Minimum cosine similarity, -1 to 1, to the first memory of a group
    #[arg(
        long,
        value_name = "X",
        allow_negative_numbers = true,
        default_value_t = ConsolidateRequest::DEFAULT_SIMILARITY
    )]
    min_similarity: f32,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let request = ConsolidateRequest::new().min_similarity(args.min_similarity);
    request.validate()?;
    let system = database.open().await?;
    let done = system.consolidate_with(args.entity, &request).await?;
    let summaries = count_noun(done.summaries.len() as u64, "summary", "summaries");
    output.set_done(format_args!("{summaries} stored"));
    if output.is_json() {
        return output.write_json(&done);
    }
    for group in &done.skipped {
        let ids: Vec<String> = group.sources.iter().map(ToString::to_string).collect();
        note(format_args!(
            "skipped a group of {}: {} ({})",
            count_noun(group.sources.len() as u64, "memory", "memories"),
            explain(group.reason),
            ids.join(", ")
        ));
    }
    if done.summaries.is_empty() {
        note(format_args!("nothing to consolidate"));
    }
    for summary in &done.summaries {
        let sources = count_noun(summary.sources.len() as u64, "memory", "memories");
        output.write_line(format_args!("{}  replaces {sources}", summary.id))?;
    }
    Ok(())
}

/// Says for people why a group was skipped.
fn explain(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::ModelFailed => "the language model refused the prompt or failed",
        SkipReason::ModelUnavailable => "the language model is unavailable",
        SkipReason::EmptyCompletion => "the language model returned no text",
        SkipReason::FactsMissing => {
            "the summary lacks a number, identifier, name or negation of the memories"
        }
        SkipReason::PromptTooLong => "the memories do not fit into one prompt",
        _ => "see --json for the reason",
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct UndoArgs {
    /// Entity that owns the summary
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Id of the summary to remove
    #[arg(value_name = "ID")]
    summary: MemoryId,
}

pub(crate) async fn undo(
    database: &Database,
    args: UndoArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_for_removal().await?;
    let mut restored = system.undo_consolidation(args.entity, args.summary).await?;
    output.set_done(format_args!("summary {} is removed", args.summary));
    restored.sort_unstable();
    if output.is_json() {
        return output.write_json(&UndoAnswer { restored });
    }
    for id in restored {
        output.write_line(format_args!("{id}  restored"))?;
    }
    Ok(())
}
