//! `cargo xtask embedding`: the table of what embedding costs, with every
//! engine that it knows.

use std::path::{PathBuf, absolute};

use clap::Args;

use crate::error::TaskError;
use crate::{libtorch, shell};

#[derive(Args)]
pub(crate) struct Options {
    /// Conversations in the LoCoMo format
    #[arg(long)]
    data: PathBuf,
    /// Passed on to the benchmark
    #[arg(last = true)]
    extra: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    // The path is the caller's, and cargo runs at the root of the workspace.
    let data = absolute(&options.data).unwrap_or_else(|_| options.data.clone());
    let cargo = libtorch::with_libtorch()?;
    let mut bench = cargo();
    bench
        .args([
            "bench",
            "--package",
            "memory-benches",
            "--bench",
            "embedding",
        ])
        .args(["--features", "bert,fastembed", "--", "--data"])
        .arg(data)
        .args(&options.extra);
    shell::run(&mut bench)
}
