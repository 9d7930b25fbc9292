//! Project tasks: `cargo xtask help`.
#![allow(clippy::print_stdout, reason = "a task runner prints its progress")]

mod bench;
mod bench_report;
mod boundaries;
mod ci;
mod debian;
mod deny;
mod deploy;
mod error;
mod features;
mod inspector;
mod libtorch;
mod load;
mod mcp;
mod observability;
mod outside;
mod package;
mod pg;
mod presets;
mod python;
mod quality;
mod rig;
mod serve_bench;
mod setup;
mod shell;
mod test;
mod tidy;
mod venv;

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
    /// Run a private PostgreSQL with pgvector
    #[command(subcommand)]
    Pg(pg::Action),
    /// Measure retrieval quality on conversations, with each part of the ranking switched off once
    Quality(quality::Options),
    /// Run the benches and write docs/performance.md and its plots; with --quick, compare ratios
    BenchReport(bench_report::Options),
    /// Load each configuration preset and write docs/MEMORY_SYSTEM_PERFORMANCE_SUMMARY.md
    Presets(presets::Options),
    /// Load PostgreSQL with a standby and Valkey by many processes, kill each once, and write docs/load.md
    Load(load::Options),
    /// Measure the server and the MCP server as clients see them, and write a section of docs/performance.md
    ServeBench(serve_bench::Options),
    /// Compare embedders with common alternatives (needs libtorch: an 800 MB download, once)
    Embedding(bench::EmbeddingOptions),
    /// Print the path of Prometheus, unpacked into the cache folder if it is not installed
    Prometheus,
    /// Use the server's page in a headless Chromium, and take its pictures
    Inspector(inspector::Options),
    /// Hold a conversation over MCP with clients in Python and JavaScript
    Mcp(mcp::Options),
    /// Test the Python package; with --wheel, build its wheel and test that
    Python(python::Options),
    /// Run the image's steps and check compose files and systemd unit, without containers
    Deploy,
    /// Check the workspace's rules that the compiler does not check
    Tidy,
    /// Check the dependencies between crates with cargo tree
    Boundaries,
    /// Check licenses and sources of dependencies against deny.toml
    Deny,
    /// Run every check that is required before a merge
    Ci(ci::Options),
}

impl Task {
    fn run(self) -> Result<(), TaskError> {
        match self {
            Self::Setup(options) => setup::with_server(options).map(drop),
            Self::Demo => test::demo(),
            Self::Test(options) => test::run(&options),
            Self::Pg(action) => pg::run(action),
            Self::Quality(options) => quality::run(&options),
            Self::BenchReport(options) => bench_report::run(&options),
            Self::Presets(options) => presets::run(&options),
            Self::Load(options) => load::run(&options),
            Self::ServeBench(options) => serve_bench::run(&options),
            Self::Embedding(options) => bench::embedding(&options),
            Self::Prometheus => observability::print_prometheus(),
            Self::Inspector(options) => inspector::run(&options),
            Self::Mcp(options) => mcp::run(&options),
            Self::Python(options) => python::run(&options),
            Self::Deploy => deploy::check(),
            Self::Tidy => tidy::run(),
            Self::Boundaries => boundaries::run(),
            Self::Deny => deny::run(),
            Self::Ci(options) => ci::run(&options),
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
