//! The `memory` command: retain, recall, reflect, consolidate, relate, prune,
//! import, export, list, forget, stats, doctor, setup.
//!
//! | module | what it holds |
//! |---|---|
//! | `args` | the command line: global options and the verbs |
//! | `verbs/` | one file per verb: its own options and what it does |
//! | `filters` | the options that choose memories, shared by recall and list |
//! | `jsonl/` | the lines that import reads and export writes |
//! | `database` | which database, and opening it with or without the model |
//! | `output` | standard output, for people and for machines |
//! | `exit` | exit codes, and errors on standard error |

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod database;
mod exit;
mod filters;
mod jsonl;
mod output;
mod time;
mod verbs;
mod without_model;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use exit::Failure;
use output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let mut output = Output::new(cli.format());
    let outcome = run(cli, &mut output).and_then(|()| output.flush());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What was found before the failure is still worth reading.
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
    runtime.block_on(verbs::run(cli, output))
}
