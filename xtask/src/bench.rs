//! The measurement tasks: retrieval quality and the comparison of embedders.

use std::path::{Path, PathBuf, absolute};

use clap::Args;
use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{libtorch, setup, shell};

/// Conversations next to a checkout; their license does not allow including
/// them.
const CONVERSATIONS: &str = "../shared/data/locomo-dev.json";

/// The minimum recall@10 of the default ranking on them, 0 to 1.
const MIN_RECALL: &str = "0.72";

#[derive(Args)]
pub(crate) struct QualityOptions {
    /// Conversations in the LoCoMo format
    #[arg(long)]
    data: PathBuf,
    /// Embed with 8-bit weights
    #[arg(long)]
    int8: bool,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Fail below this recall@10, 0 to 1
    #[arg(long)]
    at_least: Option<String>,
    /// Measure only the default ranking
    #[arg(long)]
    default_only: bool,
}

/// `cargo xtask quality`.
pub(crate) fn quality(options: &QualityOptions) -> Result<(), TaskError> {
    measure_quality(options, &["--release", "--package", "memory-benches"])
}

fn measure_quality(options: &QualityOptions, build: &[&str]) -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let mut quality = shell::cargo();
    quality
        .args(["run", "--quiet", "--example", "quality"])
        .args(build)
        .args(["--", "--data"])
        .arg(absolute_path(&options.data));
    if options.int8 {
        quality.arg("--int8");
    }
    if options.json {
        quality.arg("--json");
    }
    if options.default_only {
        quality.arg("--default-only");
    }
    if let Some(share) = &options.at_least {
        quality.args(["--at-least", share]);
    }
    quality.env(CACHE_ENV, cache);
    shell::run(&mut quality)
}

/// Fails if the default ranking is below [`MIN_RECALL`]; skipped without
/// conversations. Uses the profile and features of the tests, which share their
/// compiled dependencies.
pub(crate) fn check_quality() -> Result<(), TaskError> {
    let Some(data) = conversations() else {
        println!("skipped: {CONVERSATIONS} does not exist");
        return Ok(());
    };
    let options = QualityOptions {
        data,
        int8: false,
        json: false,
        at_least: Some(MIN_RECALL.to_owned()),
        default_only: true,
    };
    measure_quality(&options, &["--features", shell::FEATURES])
}

#[derive(Args)]
pub(crate) struct EmbeddingOptions {
    /// Conversations in the LoCoMo format
    #[arg(long)]
    data: PathBuf,
    /// Passed on to the benchmark
    #[arg(last = true)]
    extra: Vec<String>,
}

/// `cargo xtask embedding`: the bench `embedding` with every engine.
pub(crate) fn embedding(options: &EmbeddingOptions) -> Result<(), TaskError> {
    let cargo = libtorch::cargo_with_libtorch()?;
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
        .arg(absolute_path(&options.data))
        .args(&options.extra);
    shell::run(&mut bench)
}

/// The conversations next to this checkout, if they exist.
pub(crate) fn conversations() -> Option<PathBuf> {
    Some(shell::root().join(CONVERSATIONS)).filter(|data| data.exists())
}

/// Paths are relative to the caller's folder, but cargo runs at the workspace
/// root.
pub(crate) fn absolute_path(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
}
