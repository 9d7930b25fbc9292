//! `memory forget`, which removes one memory permanently, and `memory prune`,
//! which removes memories whose importance has decayed.

use memory::MemoryId;
use memory_json::{ForgetAnswer, PruneAnswer};

use crate::database::Database;
use crate::exit::Failure;
use crate::output::{Output, count_noun};

#[derive(Debug, clap::Args)]
pub(crate) struct ForgetArgs {
    /// Entity that owns the memory
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Id of the memory
    #[arg(value_name = "ID")]
    id: MemoryId,
}

pub(crate) async fn forget(
    database: &Database,
    args: ForgetArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_for_removal().await?;
    let mut gone = system.forget(args.entity, args.id).await?;
    output.set_done(format_args!("memory {} is forgotten", args.id));
    gone.sort_unstable();
    if output.is_json() {
        return output.write_json(&ForgetAnswer {
            forgotten: args.id,
            gone,
        });
    }
    let others = gone.len().saturating_sub(1);
    if others == 0 {
        return output.write_line(format_args!("forgot {}", args.id));
    }
    let others = count_noun(others as u64, "other memory", "other memories");
    output.write_line(format_args!(
        "forgot {} and {others}: summaries made from it or memories it replaced",
        args.id
    ))
}

#[derive(Debug, clap::Args)]
pub(crate) struct PruneArgs {
    /// Entity whose memories to prune
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Number of memories to keep at least, whatever their importance
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep: u64,
}

pub(crate) async fn prune(
    database: &Database,
    args: PruneArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_for_removal().await?;
    let removed = system
        .prune_low_importance_memories(args.entity, args.keep)
        .await?;
    let count = count_noun(removed.len() as u64, "memory", "memories");
    output.set_done(format_args!("removed {count}"));
    if output.is_json() {
        return output.write_json(&PruneAnswer { removed });
    }
    output.write_line(format_args!("removed {count}"))
}
