//! `memory relate`, `memory unrelate`, `memory related`: links between an
//! entity's memories.

use memory::{LinkDirection, MemoryId, RelatedMemory};
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::jsonl::Line;
use crate::output::{Output, one_line, remark, row};

#[derive(Debug, clap::Args)]
pub(crate) struct RelateArgs {
    /// Whose memories they are
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// The memory that links
    #[arg(value_name = "FROM")]
    from: MemoryId,

    /// The memory that it links to
    #[arg(value_name = "TO")]
    to: MemoryId,

    /// How they relate, such as "caused by"; at most 128 characters
    #[arg(value_name = "RELATION")]
    relation: String,
}

pub(crate) async fn relate(
    database: &Database,
    args: RelateArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_without_model().await?;
    let related = system.relate(args.entity, &args.from, &args.to, args.relation);
    related.await?;
    system.close().await?;
    tell(&args.from, &args.to, true, output)
}

#[derive(Debug, clap::Args)]
pub(crate) struct UnrelateArgs {
    /// Whose memories they are
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// The memory that links
    #[arg(value_name = "FROM")]
    from: MemoryId,

    /// The memory that it links to
    #[arg(value_name = "TO")]
    to: MemoryId,
}

pub(crate) async fn unrelate(
    database: &Database,
    args: UnrelateArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_without_model().await?;
    system.unrelate(args.entity, &args.from, &args.to).await?;
    system.close().await?;
    tell(&args.from, &args.to, false, output)
}

fn tell(from: &MemoryId, to: &MemoryId, linked: bool, output: &mut Output) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Link {
        from: MemoryId,
        to: MemoryId,
        linked: bool,
    }
    if output.is_json() {
        let (from, to) = (*from, *to);
        return output.document(&Link { from, to, linked });
    }
    let does = if linked { "links" } else { "no longer links" };
    output.line(format_args!("{from} {does} to {to}"))
}

#[derive(Debug, clap::Args)]
pub(crate) struct RelatedArgs {
    /// Whose memory it is
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Which memory
    #[arg(value_name = "ID")]
    id: MemoryId,
}

pub(crate) async fn related(
    database: &Database,
    args: RelatedArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_to_look().await?;
    let related = system.related(args.entity, &args.id).await?;
    system.close().await?;
    if output.is_json() {
        let related = related.iter().map(Linked::from).collect();
        return output.document(&Answer { related });
    }
    if related.is_empty() {
        remark(format_args!("nothing is related"));
    }
    for link in &related {
        let arrow = match link.direction {
            LinkDirection::Outgoing => "->",
            LinkDirection::Incoming => "<-",
        };
        let (id, relation) = (link.memory.id, one_line(&link.relation));
        output.line(format_args!(
            "{arrow} {relation}  {id}  {}",
            row(&link.memory)
        ))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Answer<'a> {
    related: Vec<Linked<'a>>,
}

#[derive(Serialize)]
struct Linked<'a> {
    direction: LinkDirection,
    relation: &'a str,
    memory: Line<'a>,
}

impl<'a> From<&'a RelatedMemory> for Linked<'a> {
    fn from(link: &'a RelatedMemory) -> Self {
        Self {
            direction: link.direction,
            relation: &link.relation,
            memory: Line::from(&*link.memory),
        }
    }
}
