//! `memory prune`: removes what has faded.

use memory::MemoryId;
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::output::{Output, counted};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose memories
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// How many stay at least, faded or not
    #[arg(long, value_name = "N")]
    keep: u64,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_without_model().await?;
    let removed = system
        .prune_low_importance_memories(args.entity, args.keep)
        .await?;
    system.close().await?;
    if output.is_json() {
        return output.document(&Pruned { removed });
    }
    let count = counted(removed.len() as u64, "memory", "memories");
    output.line(format_args!("removed {count}"))
}

#[derive(Serialize)]
struct Pruned {
    removed: Vec<MemoryId>,
}
