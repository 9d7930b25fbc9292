//! One file per verb: its own options, and what it does.

pub(crate) mod consolidate;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod forget;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod prune;
pub(crate) mod recall;
pub(crate) mod reflect;
pub(crate) mod relate;
pub(crate) mod retain;
pub(crate) mod setup;
pub(crate) mod stats;

use crate::args::{Cli, Verb};
use crate::database::Database;
use crate::exit::Failure;
use crate::output::Output;

pub(crate) async fn run(cli: Cli, output: &mut Output) -> Result<(), Failure> {
    let database = Database::new(cli.db);
    match cli.verb {
        Verb::Retain(args) => retain::run(&database, args, output).await,
        Verb::Recall(args) => recall::run(&database, args, output).await,
        Verb::Import(args) => import::run(&database, args, output).await,
        Verb::Export(args) => export::run(&database, args, output).await,
        Verb::List(args) => list::run(&database, args, output).await,
        Verb::Reflect(args) => reflect::run(&database, args, output).await,
        Verb::Consolidate(args) => consolidate::run(&database, args, output).await,
        Verb::Undo(args) => consolidate::undo(&database, args, output).await,
        Verb::Relate(args) => relate::relate(&database, args, output).await,
        Verb::Unrelate(args) => relate::unrelate(&database, args, output).await,
        Verb::RelatedMemory(args) => relate::related(&database, args, output).await,
        Verb::Prune(args) => prune::run(&database, args, output).await,
        Verb::Forget(args) => forget::run(&database, args, output).await,
        Verb::Stats(args) => stats::run(&database, args, output).await,
        Verb::Doctor => doctor::run(&database, output).await,
        Verb::Setup(args) => setup::run(args, output),
    }
}
