//! `memory forget`: removes one memory for good.

use memory::MemoryId;
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::output::Output;

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
    system.delete_memory(args.entity, &args.id).await?;
    system.close().await?;
    if output.is_json() {
        output.document(&Forgotten { forgotten: args.id })
    } else {
        output.line(format_args!("forgot {}", args.id))
    }
}

#[derive(Serialize)]
struct Forgotten {
    forgotten: MemoryId,
}
