//! `cargo xtask bench-report`: runs the benches and writes docs/performance.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;
use memory_assets::CACHE_ENV;
use serde_json::Value;

use crate::error::TaskError;
use crate::{bench, pg, setup, shell};

/// The variable with the file to which a bench appends its values.
const RECORDS_ENV: &str = "MEMORY_BENCH_RECORDS";

#[derive(Args)]
pub(crate) struct Options {
    /// Conversations in the LoCoMo format; what needs them is skipped without
    #[arg(long)]
    data: Option<PathBuf>,
    /// Run the short form and compare ratios with benches/ratios.json; the page
    /// goes to target/bench-report
    #[arg(long)]
    quick: bool,
    /// Run only these benches; the sections of the others stay
    #[arg(long, value_delimiter = ',', value_parser = part_names())]
    only: Vec<String>,
    /// Stop after this many minutes, without building; what was measured until
    /// then is written
    #[arg(long, default_value_t = 20)]
    budget: u64,
    /// Write the page from the results of an earlier run in this folder
    #[arg(long)]
    results: Option<PathBuf>,
}

/// A bench of the report.
struct Part {
    bench: &'static str,
    arguments: &'static [&'static str],
    /// Of the short form; `None` if it is not part of it.
    quick_arguments: Option<&'static [&'static str]>,
    requires_data: bool,
    /// Whether a private PostgreSQL runs during the full form.
    requires_server: bool,
}

/// In the order of their importance: those at the end are cut by the budget.
const PARTS: &[Part] = &[
    Part {
        bench: "memory_benchmarks",
        arguments: &[],
        quick_arguments: Some(&["--warm-up-time", "0.1", "--measurement-time", "1"]),
        requires_data: false,
        requires_server: true,
    },
    Part {
        bench: "scale",
        arguments: &[],
        quick_arguments: Some(&["--sizes", "1000,10000"]),
        requires_data: false,
        requires_server: false,
    },
    Part {
        bench: "conversation",
        arguments: &[],
        quick_arguments: None,
        requires_data: true,
        requires_server: false,
    },
    Part {
        bench: "stores",
        arguments: &[],
        quick_arguments: None,
        requires_data: false,
        requires_server: true,
    },
    Part {
        bench: "cache_comparison",
        arguments: &[],
        quick_arguments: Some(&["--quick"]),
        requires_data: false,
        requires_server: false,
    },
    Part {
        bench: "embedding",
        arguments: &[],
        quick_arguments: None,
        requires_data: true,
        requires_server: false,
    },
];

fn part_names() -> Vec<&'static str> {
    PARTS.iter().map(|part| part.bench).collect()
}

pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let scratch = shell::target_dir().join("bench-report");
    let results = options.results.as_deref().map(bench::absolute_path);
    let (results, failed) = match results {
        Some(results) => (results, 0),
        None => {
            let results = scratch.join(if options.quick { "quick" } else { "full" });
            create(&results)?;
            let failed = run_benches(options, &results)?;
            (results, failed)
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
    report
        .args(["run", "--quiet", "--release", "--package", "memory-benches"])
        .args(["--bin", "bench_report"]);
    if !options.quick {
        // The same build as that of the benches.
        report.args(["--features", "peers"]);
    }
    report.arg("--").arg("--results").arg(&results);
    report.arg("--docs").arg(&docs);
    if options.quick {
        let ratios = shell::root().join("benches").join("ratios.json");
        report.arg("--ratios").arg(ratios);
    }
    shell::run(&mut report)?;
    match failed {
        0 => Ok(()),
        count => Err(TaskError::Findings {
            count,
            what: "benches failed or were stopped; the page has the values of the others",
        }),
    }
}

/// Runs the benches one after the other; returns how many failed.
fn run_benches(options: &Options, results: &Path) -> Result<usize, TaskError> {
    let cache = setup::run(setup::Options::default())?;
    setup::for_tests(&cache, None)?;
    let executables = build(options.quick)?;
    let data = options.data.as_deref().map(bench::absolute_path);
    let data = data.or_else(bench::conversations);
    let budget = Duration::from_secs(options.budget * 60);
    let start = Instant::now();
    let mut failed = 0;
    for part in PARTS {
        let arguments = match part.quick_arguments {
            _ if !options.quick => part.arguments,
            Some(arguments) => arguments,
            None => continue,
        };
        if !options.only.is_empty() && !options.only.iter().any(|name| name == part.bench) {
            continue;
        }
        if part.requires_data && data.is_none() {
            println!("=== {} is skipped: --data FILE is required", part.bench);
            continue;
        }
        let left = budget.saturating_sub(start.elapsed());
        println!("=== {} ({} s left)", part.bench, left.as_secs());
        let Some(executable) = executables.get(part.bench) else {
            println!("=== {} was not built", part.bench);
            failed += 1;
            continue;
        };
        let records = results.join(format!("{}.jsonl", part.bench));
        let json = results.join(format!("{}.json", part.bench));
        for old in [&records, &json] {
            // It may not exist.
            let _ = fs::remove_file(old);
        }
        let mut command = Command::new(executable);
        command
            .current_dir(shell::root().join("benches"))
            .arg("--bench")
            .args(arguments)
            .env(RECORDS_ENV, records)
            .env(CACHE_ENV, &cache);
        if part.bench == "cache_comparison" {
            command.arg("--json").arg(json);
        }
        if let Some(data) = &data
            && (part.requires_data || part.bench == "cache_comparison")
        {
            command.arg("--data").arg(data);
        }
        let outcome = if part.requires_server && !options.quick {
            pg::with_server_and_limit(&mut command, left)
        } else {
            shell::run_with_limit(&mut command, left)
        };
        if let Err(error) = outcome {
            crate::error::print(&error);
            failed += 1;
        }
    }
    println!("=== measured in {} s", start.elapsed().as_secs());
    Ok(failed)
}

/// Builds the benches; returns the path of each by its name.
///
/// They are started directly, without cargo, so that the budget can stop them.
fn build(quick: bool) -> Result<BTreeMap<String, PathBuf>, TaskError> {
    let mut cargo = shell::cargo();
    cargo
        .args(["bench", "--no-run", "--package", "memory-benches"])
        .args(["--message-format", "json-render-diagnostics"]);
    let parts = PARTS.iter();
    for part in parts.filter(|part| !quick || part.quick_arguments.is_some()) {
        cargo.args(["--bench", part.bench]);
    }
    if !quick {
        cargo.args(["--features", "peers"]);
    }
    let output = shell::read_stdout(&mut cargo)?;
    Ok(output.lines().filter_map(executable).collect())
}

/// The name and path of the bench that a message of cargo says is built.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    let is_bench = target["kind"]
        .as_array()?
        .iter()
        .any(|kind| kind == "bench");
    let path = message["executable"].as_str()?;
    is_bench.then_some((target["name"].as_str()?.to_owned(), PathBuf::from(path)))
}

fn create(folder: &Path) -> Result<(), TaskError> {
    fs::create_dir_all(folder).map_err(|source| TaskError::Write {
        path: folder.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benches_are_found_in_the_messages_of_cargo() {
        let message = r#"{"reason":"compiler-artifact","target":{"kind":["bench"],"name":"scale"},"executable":"/t/scale-1"}"#;
        let expected = ("scale".to_owned(), PathBuf::from("/t/scale-1"));
        assert_eq!(executable(message), Some(expected));
        let library = message.replace("bench\"]", "lib\"]");
        assert_eq!(executable(&library), None);
        assert_eq!(executable("Compiling"), None);
    }
}
