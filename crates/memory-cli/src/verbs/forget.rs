//! `memory forget`: removes a memory for good, in whatever it went into.

use memory::MemoryId;
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::output::{Output, counted};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose memory it is
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Which memory
    #[arg(value_name = "ID")]
    id: MemoryId,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_without_model().await?;
    let mut gone = system.forget(args.entity, &args.id).await?;
    system.close().await?;
    gone.sort_unstable();
    if output.is_json() {
        return output.document(&Forgotten {
            forgotten: args.id,
            gone,
        });
    }
    let others = gone.len().saturating_sub(1);
    if others == 0 {
        return output.line(format_args!("forgot {}", args.id));
    }
    let others = counted(others as u64, "memory", "memories");
    output.line(format_args!(
        "forgot {} and {others} that it went into or that stood under it",
        args.id
    ))
}

#[derive(Serialize)]
struct Forgotten {
    forgotten: MemoryId,
    /// All that is gone, this memory included.
    gone: Vec<MemoryId>,
}
