//! The commands, one module each: options and implementation.

pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod consolidate;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod maintain_indexes;
pub(crate) mod mcp;
pub(crate) mod migrate;
pub(crate) mod recall;
pub(crate) mod reembed;
pub(crate) mod reflect;
pub(crate) mod relate;
pub(crate) mod remove;
pub(crate) mod retain;
pub(crate) mod serve;
pub(crate) mod setup;
pub(crate) mod stats;
pub(crate) mod token;
pub(crate) mod update;

use std::time::Duration;

use memory::Settings;
use tokio::time::{sleep, timeout};

use crate::args::{Cli, Command};
use crate::database::Database;
use crate::exit::Failure;
use crate::interrupt::{DRAIN_TIMEOUT, Signals};
use crate::output::{Output, note};
use crate::settings;

/// Runs the command that the command line names.
pub(crate) async fn run(cli: Cli, output: &mut Output) -> Result<(), Failure> {
    let settings = match cli.command {
        // These do the same whatever the settings say.
        Command::Setup(_) | Command::Token(_) | Command::Completions(_) | Command::Man(_) => {
            Settings::default()
        }
        _ => settings::load(cli.settings.clone())?,
    };
    let database = Database::new(settings);
    let time_to_close = time_to_close(&cli.command);
    let outcome = match interruption(&cli.command) {
        Some(consequence) => {
            let mut signals = Signals::listen()?;
            let running = dispatch(cli.command, cli.settings.model, &database, output);
            match signals.guard(running).await {
                Ok(outcome) => outcome,
                Err(signal) => {
                    let ending = async {
                        let _ = database.close().await;
                        finish_tasks().await;
                    };
                    let _ = signals.guard(timeout(DRAIN_TIMEOUT, ending)).await;
                    let message = format!("interrupted by {}; {consequence}", signal.name());
                    return Err(Failure::interrupted(signal, message));
                }
            }
        }
        None => dispatch(cli.command, cli.settings.model, &database, output).await,
    };
    if matches!(&outcome, Err(failure) if failure.is_interrupted()) {
        // The command closed the database, if there was time.
        return outcome;
    }
    let closed = close(&database, time_to_close).await;
    let closed = closed.map_err(|failure| output.after_done(failure));
    match outcome {
        // A reader that left is no failure, and must not hide one.
        Err(Failure::OutputClosed) => closed.and(Err(Failure::OutputClosed)),
        outcome => outcome.and(closed),
    }
}

/// How long a command waits for statements in progress when it ends. A server ends because
/// it was asked to, and may have requests left that were cut off.
fn time_to_close(command: &Command) -> Duration {
    match command {
        Command::Serve(_) | Command::Mcp(_) => DRAIN_TIMEOUT,
        _ => Duration::MAX,
    }
}

/// Closes what the command opened, until a signal: a command that listened for signals has no
/// default action for them any more.
async fn close(database: &Database, time: Duration) -> Result<(), Failure> {
    let closing = timeout(time, database.close());
    let closed = match Signals::listen() {
        Ok(mut signals) => signals.guard(closing).await,
        Err(_) => Ok(closing.await),
    };
    match closed {
        Ok(Ok(closed)) => Ok(closed?),
        Ok(Err(_)) => {
            note(format_args!(
                "statements were still in progress after {} s; ended without waiting for them, \
                 and their writes may have been stored",
                time.as_secs()
            ));
            Ok(())
        }
        Err(signal) => {
            let message = format!(
                "interrupted by {} while the database was being closed; statements in progress \
                 may have been stored",
                signal.name()
            );
            Err(Failure::interrupted(signal, message))
        }
    }
}

/// What a signal during a long command means; `None` for a command that ends at once
/// or handles signals itself.
fn interruption(command: &Command) -> Option<String> {
    match command {
        Command::Backup(args) => Some(format!("{} was not written", args.file().display())),
        Command::Consolidate(_) | Command::Prune(_) | Command::Reembed(_) | Command::Migrate => {
            let complete = "every change that was made is complete";
            Some(format!(
                "{complete}; run the same command again for the rest"
            ))
        }
        Command::MaintainIndexes(_) => {
            Some("an index that was being built is not used, and the next run drops it".to_owned())
        }
        _ => None,
    }
}

/// Waits until the tasks that writes and backups run in have ended, so that they leave
/// nothing unfinished.
async fn finish_tasks() {
    let runtime = tokio::runtime::Handle::current();
    while runtime.metrics().num_alive_tasks() > 0 {
        sleep(Duration::from_millis(5)).await;
    }
}

async fn dispatch(
    command: Command,
    model: Option<String>,
    database: &Database,
    output: &mut Output,
) -> Result<(), Failure> {
    match command {
        Command::Retain(args) => retain::run(database, args, output).await,
        Command::Get(args) => get::run(database, args, output).await,
        Command::Update(args) => update::run(database, args, output).await,
        Command::Recall(args) => recall::run(database, args, output).await,
        Command::Import(args) => import::run(database, args, output).await,
        Command::Export(args) => export::run(database, args, output).await,
        Command::Backup(args) => backup::run(database, args, output).await,
        Command::List(args) => list::run(database, args, output).await,
        Command::Reflect(args) => reflect::run(database, args, output).await,
        Command::Consolidate(args) => consolidate::run(database, args, output).await,
        Command::Undo(args) => consolidate::undo(database, args, output).await,
        Command::Relate(args) => relate::relate(database, args, output).await,
        Command::Unrelate(args) => relate::unrelate(database, args, output).await,
        Command::Related(args) => relate::related(database, args, output).await,
        Command::Prune(args) => remove::prune(database, args, output).await,
        Command::Forget(args) => remove::forget(database, args, output).await,
        Command::Stats(args) => stats::run(database, args, output).await,
        Command::Doctor => doctor::run(database, output).await,
        Command::Migrate => migrate::run(database, output).await,
        Command::Reembed(args) => reembed::run(database, args, output).await,
        Command::MaintainIndexes(args) => maintain_indexes::run(database, args, output).await,
        Command::Serve(args) => serve::serve(database, args, output).await,
        Command::Mcp(args) => mcp::run(database, args).await,
        Command::Token(args) => token::run(args, output),
        Command::Setup(args) => setup::run(args, model.as_deref(), output),
        Command::Completions(args) => completions::completions(&args, output),
        Command::Man(args) => completions::man(&args, output),
    }
}
