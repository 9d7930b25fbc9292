//! `memory reembed`: computes vectors that memories lack.

use std::num::NonZeroU32;

use futures_util::TryStreamExt;
use memory::{EntityId, MemorySystem, ReembedReport, ReembedRequest};
use serde::Serialize;

use crate::commands::stats::all_entities;
use crate::database::Database;
use crate::exit::Failure;
use crate::output::{Output, count_noun, note, progress_bar};

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

    /// Keep the vectors of other models, for processes that still use them
    #[arg(long)]
    keep_others: bool,

    /// Embed at most N memories a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
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
    let mut request = ReembedRequest::new()
        .all(args.force)
        .keep_others(args.keep_others);
    request.max_per_second = args.rate;
    let mut done = Reembedded {
        entities: entities.len(),
        ..Reembedded::default()
    };
    for entity in &entities {
        done.add(reembed(&system, entity, &request).await?);
    }
    output.set_done("the vectors are stored");
    if output.is_json() {
        return output.write_json(&done);
    }
    let Reembedded {
        checked,
        reembedded,
        cleared,
        incomplete,
        ..
    } = done;
    let entities = count_noun(done.entities as u64, "entity", "entities");
    let of = count_noun(checked, "memory", "memories");
    let removed = match cleared {
        0 => String::new(),
        _ => format!("; removed the vectors of other models of {cleared}"),
    };
    if incomplete > 0 {
        let entities = count_noun(incomplete, "entity", "entities");
        note(format_args!(
            "memories of {entities} still lack vectors, as another process writes some with another model: start that process with this model, and run memory reembed again"
        ));
    }
    output.write_line(format_args!(
        "embedded {reembedded} of {of} of {entities}{removed}"
    ))
}

/// Embeds the memories of one entity, with a progress bar.
async fn reembed(
    system: &MemorySystem,
    entity: &EntityId,
    request: &ReembedRequest,
) -> Result<ReembedReport, Failure> {
    let mut steps = system.reembed_stream(entity, request);
    let bar = progress_bar(Some(0));
    let mut last = ReembedReport::default();
    while let Some(report) = steps.try_next().await? {
        bar.set_length(report.total);
        bar.set_position(report.checked);
        bar.set_message(format!("{} memories embedded", report.reembedded));
        last = report;
    }
    bar.finish_and_clear();
    Ok(last)
}

#[derive(Debug, Default, Serialize)]
struct Reembedded {
    entities: usize,
    checked: u64,
    reembedded: u64,
    cleared: u64,
    /// Entities with memories that still lack vectors.
    incomplete: u64,
}

impl Reembedded {
    fn add(&mut self, report: ReembedReport) {
        self.checked += report.checked;
        self.reembedded += report.reembedded;
        self.cleared += report.cleared;
        self.incomplete += u64::from(!report.is_complete);
    }
}
