//! Project tasks: `cargo xtask help`.
#![allow(
    clippy::print_stdout,
    reason = "a task runner talks to the person who runs it"
)]

mod bench_report;
mod boundaries;
mod ci;
mod demo;
mod embedding;
mod error;
mod libtorch;
mod pg;
mod quality;
mod setup;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::TaskError;

/// Project tasks of the memory workspace.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Fetch the pinned runtime, model and test server into the cache folder
    Setup(setup::Options),
    /// Set up what is missing, then run the demo
    Demo,
    /// Set up what is missing, then run every test of the workspace
    Test(test::Options),
    /// A private PostgreSQL with pgvector
    #[command(subcommand)]
    Pg(pg::Action),
    /// Measure recall on real conversations, each part of the ranking off once
    Quality(quality::Options),
    /// Run the swap bench of the caches and write docs/performance.md and its plots
    BenchReport(bench_report::Options),
    /// Measure what embedding costs, beside what people use today (needs
    /// libtorch: 800 MB to download, once)
    Embedding(embedding::Options),
    /// Check the house rules that no compiler knows
    Tidy,
    /// Check with cargo tree that dependencies point the right way
    Boundaries,
    /// Run everything that has to pass before a merge
    Ci,
}

impl Task {
    fn run(self) -> Result<(), TaskError> {
        match self {
            Self::Setup(options) => setup::with_server(options).map(drop),
            Self::Demo => demo::run(),
            Self::Test(options) => test::run(&options),
            Self::Pg(action) => pg::run(action),
            Self::Quality(options) => quality::run(&options),
            Self::BenchReport(options) => bench_report::run(&options),
            Self::Embedding(options) => embedding::run(&options),
            Self::Tidy => tidy::run(),
            Self::Boundaries => boundaries::run(),
            Self::Ci => ci::run(),
        }
    }
}

fn main() -> ExitCode {
    match Arguments::parse().task.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error::print(&error);
            ExitCode::FAILURE
        }
    }
}
