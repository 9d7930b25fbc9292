//! The measurement tasks: retrieval quality, the cache comparison and the
//! comparison of embedders.

use std::ffi::OsStr;
use std::fs;
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
pub(crate) struct ReportOptions {
    /// Conversations in the LoCoMo format; the agent workload is skipped without them
    #[arg(long)]
    data: Option<PathBuf>,
    /// A short smoke run; its report goes to target/bench-report
    #[arg(long)]
    quick: bool,
    /// Write the report from these results of an earlier run
    #[arg(long)]
    results: Option<PathBuf>,
}

/// `cargo xtask bench-report`.
pub(crate) fn report(options: &ReportOptions) -> Result<(), TaskError> {
    let scratch = shell::target_dir().join("bench-report");
    fs::create_dir_all(&scratch).map_err(|source| TaskError::Write {
        path: scratch.clone(),
        source,
    })?;
    let results = match &options.results {
        Some(results) => absolute_path(results),
        None => {
            let results = scratch.join("cache_comparison.json");
            compare_caches(options, &results)?;
            results
        }
    };
    let docs = if options.quick {
        let page = shell::root().join("docs").join("performance.md");
        let copy = scratch.join("performance.md");
        fs::copy(&page, copy).map_err(|source| TaskError::Read { path: page, source })?;
        scratch
    } else {
        shell::root().join("docs")
    };
    let mut report = shell::cargo();
    report.args(["run", "--quiet", "--release", "--package", "memory-benches"]);
    report
        .args(["--bin", "bench_report", "--", "--results"])
        .arg(results);
    report.arg("--docs").arg(&docs);
    shell::run(&mut report)?;
    println!("wrote {}", docs.join("performance.md").display());
    Ok(())
}

fn compare_caches(options: &ReportOptions, results: &Path) -> Result<(), TaskError> {
    let data = options.data.as_deref().map(absolute_path);
    let mut bench = shell::cargo();
    bench.args(["bench", "--package", "memory-benches"]);
    bench
        .args(["--bench", "cache_comparison", "--", "--json"])
        .arg(results);
    if let Some(data) = data.or_else(conversations) {
        bench.args([OsStr::new("--data"), data.as_os_str()]);
    }
    if options.quick {
        bench.arg("--quick");
    }
    shell::run(&mut bench)
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
fn conversations() -> Option<PathBuf> {
    Some(shell::root().join(CONVERSATIONS)).filter(|data| data.exists())
}

/// Paths are relative to the caller's folder, but cargo runs at the workspace
/// root.
fn absolute_path(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
}
