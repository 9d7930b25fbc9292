//! `memory consolidate`: one summary in place of many near-duplicates; and
//! `memory undo`, which takes a summary away again.

use memory::{ConsolidateRequest, MemoryId};
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::output::{Output, counted, remark};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose memories
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// The least cosine, -1 to 1, of a memory to the first of its group
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
    system.close().await?;
    if output.is_json() {
        return output.document(&done);
    }
    if done.summaries.is_empty() {
        remark(format_args!("nothing to consolidate"));
    }
    for summary in &done.summaries {
        let sources = counted(summary.sources.len() as u64, "memory", "memories");
        output.line(format_args!("{}  stands for {sources}", summary.id))?;
    }
    Ok(())
}

#[derive(Debug, clap::Args)]
pub(crate) struct UndoArgs {
    /// Whose memories
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// The summary that is to go
    #[arg(value_name = "ID")]
    summary: MemoryId,
}

pub(crate) async fn undo(
    database: &Database,
    args: UndoArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_without_model().await?;
    let mut restored = system
        .undo_consolidation(args.entity, &args.summary)
        .await?;
    system.close().await?;
    restored.sort_unstable();
    if output.is_json() {
        return output.document(&Undone { restored });
    }
    for id in restored {
        output.line(format_args!("{id}  is live again"))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Undone {
    restored: Vec<MemoryId>,
}
