//! `memory relate`, `memory unrelate` and `memory related`: links between an
//! entity's memories.

use memory::{EntityId, LinkDirection, MemoryId};
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::output::{Output, count_noun, note, single_line};
use crate::rows::Row;
use memory_json::{RelatedAnswer, count_omitted_links};

#[derive(Debug, clap::Args)]
pub(crate) struct RelateArgs {
    /// Entity that owns both memories
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Id of the memory that links
    #[arg(value_name = "FROM")]
    from: MemoryId,

    /// Id of the memory it links to
    #[arg(value_name = "TO")]
    to: MemoryId,

    /// Relation, such as "caused by"; at most 128 characters
    #[arg(value_name = "RELATION")]
    relation: String,
}

pub(crate) async fn relate(
    database: &Database,
    args: RelateArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_without_embedder().await?;
    let related = system.relate(args.entity, args.from, args.to, args.relation);
    related.await?;
    print_link(&args.from, &args.to, true, output)
}

#[derive(Debug, clap::Args)]
pub(crate) struct UnrelateArgs {
    /// Entity that owns both memories
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Id of the memory that links
    #[arg(value_name = "FROM")]
    from: MemoryId,

    /// Id of the memory it links to
    #[arg(value_name = "TO")]
    to: MemoryId,
}

pub(crate) async fn unrelate(
    database: &Database,
    args: UnrelateArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_without_embedder().await?;
    system.unrelate(args.entity, args.from, args.to).await?;
    print_link(&args.from, &args.to, false, output)
}

fn print_link(
    from: &MemoryId,
    to: &MemoryId,
    linked: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Link {
        from: MemoryId,
        to: MemoryId,
        linked: bool,
    }
    let relation = if linked { "links" } else { "no longer links" };
    output.set_done(format_args!("{from} {relation} to {to}"));
    if output.is_json() {
        let (from, to) = (*from, *to);
        return output.write_json(&Link { from, to, linked });
    }
    output.write_line(format_args!("{from} {relation} to {to}"))
}

#[derive(Debug, clap::Args)]
pub(crate) struct RelatedArgs {
    /// Entity that owns the memory
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Id of the memory
    #[arg(value_name = "ID")]
    id: MemoryId,
}

pub(crate) async fn related(
    database: &Database,
    args: RelatedArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_for_read().await?;
    let entity = EntityId::from(args.entity);
    let related = system.related(&entity, args.id).await?;
    let omitted = count_omitted_links(&system, &entity, args.id, &related).await?;
    if output.is_json() {
        return output.write_json(&RelatedAnswer::new(&related, omitted));
    }
    if related.is_empty() {
        note(format_args!("no links"));
    }
    for link in &related {
        let arrow = match link.direction {
            LinkDirection::Outgoing => "->",
            LinkDirection::Incoming => "<-",
        };
        let relation = single_line(&link.relation);
        let row = Row::new().cell(format!("{arrow} {relation}"));
        output.write_row(&row.id(link.memory.id).memory(&link.memory))?;
    }
    if omitted > 0 {
        let more = count_noun(omitted, "more memory links", "more memories link");
        note(format_args!(
            "{more} to it; memory list with --relates-to {} prints all",
            args.id
        ));
    }
    Ok(())
}
