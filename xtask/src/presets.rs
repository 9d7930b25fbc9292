//! `cargo xtask presets`: loads each configuration preset as it is meant to be loaded.

use std::path::{PathBuf, absolute};

use clap::Args;
use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{setup, shell};

/// The page with the tables.
const PAGE: &str = "docs/MEMORY_SYSTEM_PERFORMANCE_SUMMARY.md";

#[derive(Args)]
pub(crate) struct Options {
    /// Duration of each case
    #[arg(long, default_value = "10")]
    minutes: String,
    /// Measure only this case, such as `low_memory-max`, and print its tables
    #[arg(long)]
    case: Option<String>,
    /// Write the page from these results of an earlier run
    #[arg(long)]
    results: Option<PathBuf>,
}

/// Measures, and writes the page. The results are in `target/presets.json`.
pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let mut load = shell::cargo();
    load.args(["run", "--quiet", "--release", "--package", "memory-benches"])
        .args(["--bin", "preset_load", "--", "--minutes", &options.minutes])
        .arg("--json")
        .arg(shell::target_dir().join("presets.json"));
    if let Some(results) = &options.results {
        let results = absolute(results).unwrap_or_else(|_| results.clone());
        load.arg("--results").arg(results);
    }
    match &options.case {
        Some(case) => load.args(["--case", case]),
        None => load.arg("--page").arg(shell::root().join(PAGE)),
    };
    load.env(CACHE_ENV, cache);
    shell::run(&mut load)
}
