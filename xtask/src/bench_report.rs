//! `cargo xtask bench-report`: runs the swap bench of the caches, and writes
//! its tables and plots into docs/performance.md.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf, absolute};

use clap::Args;

use crate::error::TaskError;
use crate::{quality, shell};

#[derive(Args)]
pub(crate) struct Options {
    /// Conversations in the LoCoMo format; without any, the agent's life is
    /// left out
    #[arg(long)]
    data: Option<PathBuf>,
    /// A short run that shows whether it works; its page goes to target/bench-report
    #[arg(long)]
    quick: bool,
    /// Write the page from these results of an earlier run
    #[arg(long)]
    results: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let scratch = shell::root().join("target").join("bench-report");
    make(&scratch)?;
    let results = match &options.results {
        Some(results) => path_of(results),
        None => {
            let results = scratch.join("cache_comparison.json");
            measure(options, &results)?;
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
    let mut page = shell::cargo();
    page.args(["run", "--quiet", "--release", "--package", "memory-benches"]);
    page.args(["--bin", "bench_report", "--", "--results"])
        .arg(results);
    page.arg("--docs").arg(&docs);
    shell::run(&mut page)?;
    println!("written: {}", docs.join("performance.md").display());
    Ok(())
}

fn measure(options: &Options, results: &Path) -> Result<(), TaskError> {
    let data = options
        .data
        .as_deref()
        .map(path_of)
        .or_else(quality::beside);
    let mut bench = shell::cargo();
    bench.args(["bench", "--package", "memory-benches"]);
    bench
        .args(["--bench", "cache_comparison", "--", "--json"])
        .arg(results);
    if let Some(data) = data {
        bench.args([OsStr::new("--data"), data.as_os_str()]);
    }
    if options.quick {
        bench.arg("--quick");
    }
    shell::run(&mut bench)
}

/// The path is the caller's, and cargo runs at the root of the workspace.
fn path_of(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn make(folder: &Path) -> Result<(), TaskError> {
    fs::create_dir_all(folder).map_err(|source| TaskError::Read {
        path: folder.to_owned(),
        source,
    })
}
