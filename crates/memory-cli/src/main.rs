//! The `memory` command: retain, recall, reflect, get, update, list, consolidate,
//! relate, prune, forget, import, export, stats, doctor, maintain-indexes, setup, serve, mcp.
//!
//! | module | contents |
//! |---|---|
//! | `args` | the command line: global options and the commands |
//! | `commands/` | one file per command: its options and what it does |
//! | `filters` | the filter options of recall, reflect and list |
//! | `settings` | command line, environment, settings file, preset |
//! | `database` | the database URL, and opening it with or without a model |
//! | `open_hint` | what to do about a database that cannot be opened |
//! | `shared_cache` | the shared cache, in a build that supports one |
//! | `input` | content from an argument or from standard input |
//! | `atomic_file` | files that are replaced only once they are complete |
//! | `output` | standard output as text or JSON |
//! | `rows` | rows of listings, on one line or on several |
//! | `log` | warnings of `serve` on standard error |
//! | `own_files` | recognizing paths that lead to the database itself |
//! | `listen_address` | the address that `serve` listens on |
//! | `interrupt` | interrupt and termination signals |
//! | `exit` | exit codes, and errors on standard error |

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod atomic_file;
mod commands;
mod database;
mod exit;
mod filters;
mod input;
mod interrupt;
mod listen_address;
mod log;
mod null_embedder;
mod open_hint;
mod output;
mod own_files;
mod rows;
mod settings;
mod shared_cache;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use exit::Failure;
use output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::report_usage(&error),
    };
    let mut output = Output::new(cli.format());
    let outcome = run(cli, &mut output).and_then(|()| output.flush());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Print what was written before the failure as well.
            let _ = output.flush();
            failure.report(output.format())
        }
    }
}

fn run(cli: Cli, output: &mut Output) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("start the runtime's threads", &error))?;
    let outcome = runtime.block_on(commands::run(cli, output));
    // Commands close what they opened; after a failure or a signal, the end of
    // the process must not wait for blocking work.
    runtime.shutdown_background();
    outcome
}
