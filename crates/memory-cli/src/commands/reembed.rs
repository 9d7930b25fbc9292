//! `memory reembed`: computes vectors that memories lack.

use memory::ReembedRequest;
use serde::Serialize;

use crate::commands::stats::all_entities;
use crate::database::Database;
use crate::exit::Failure;
use crate::output::{Output, count_noun};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entity whose memories to embed
    #[arg(
        value_name = "ENTITY",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    entity: Option<String>,

    /// All entities
    #[arg(long)]
    all: bool,

    /// Embed every memory, also those with vectors of the current model
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open().await?;
    let entities = match args.entity {
        Some(entity) => vec![entity.into()],
        None => all_entities(&system).await?,
    };
    let request = ReembedRequest::new().all(args.force);
    let (mut checked, mut reembedded) = (0, 0);
    for entity in &entities {
        let report = system.reembed(entity, &request).await?;
        checked += report.checked;
        reembedded += report.reembedded;
    }
    if output.is_json() {
        return output.write_json(&Reembedded {
            entities: entities.len(),
            checked,
            reembedded,
        });
    }
    let entities = count_noun(entities.len() as u64, "entity", "entities");
    output.write_line(format_args!(
        "embedded {reembedded} of {} of {entities}",
        count_noun(checked, "memory", "memories"),
    ))
}

#[derive(Serialize)]
struct Reembedded {
    entities: usize,
    checked: u64,
    reembedded: u64,
}
