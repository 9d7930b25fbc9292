//! Loads each configuration preset as it is meant to be loaded, and prints tables:
//! `preset_load --minutes 10 --json FILE [--case NAME] [--page FILE]`, where the
//! page has markers for the tables. `--results FILE` reads the results of an
//! earlier run.
//!
//! The real model must be installed. The database is filled once and copied for
//! each case, which runs in a process of its own.

#![allow(clippy::print_stdout, reason = "the program prints a report")]
#![allow(clippy::print_stderr, reason = "and its progress")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use memory_benches::arguments::argument;
use memory_benches::preset_load::{
    Case, CaseResult, MemoryLimit, Results, cases, fill, run, table,
};
use memory_benches::report::replace_generated;
use tokio::runtime::Runtime;

fn main() -> Result<(), Box<dyn Error>> {
    if let (Some(case), Some(file)) = (argument("--run"), argument("--file")) {
        let duration = Duration::from_secs_f64(argument("--seconds").unwrap_or_default().parse()?);
        let case: Case = serde_json::from_str(&case)?;
        let result = Runtime::new()?.block_on(run(&case, Path::new(&file), duration))?;
        println!("{}", serde_json::to_string(&result)?);
        return Ok(());
    }
    let results = match argument("--results") {
        Some(file) => serde_json::from_slice(&std::fs::read(file)?)?,
        None => measure()?,
    };
    let tables = table(&results);
    if let Some(page) = argument("--page") {
        let text = std::fs::read_to_string(&page)?;
        std::fs::write(page, replace_generated(&text, "presets", &tables)?)?;
    }
    println!("{tables}");
    Ok(())
}

/// Runs the chosen cases.
fn measure() -> Result<Results, Box<dyn Error>> {
    let minutes: f64 = argument("--minutes").as_deref().unwrap_or("10").parse()?;
    let chosen = argument("--case");
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| chosen.as_ref().is_none_or(|name| *name == case.name()))
        .collect();
    let entities = cases.iter().map(|case| case.entities).max();
    let entities = entities.ok_or("no case has this name")?;

    let folder = tempfile::tempdir()?;
    let filled = folder.path().join("filled.db");
    eprintln!("filling a database with {entities} entities");
    Runtime::new()?.block_on(fill(&filled, entities))?;
    let mut results = Results::default();
    for case in &cases {
        eprintln!("{}: {minutes} minutes", case.name());
        let file = folder.path().join("case.db");
        std::fs::copy(&filled, &file)?;
        results.cases.push(run_in_process(case, &file, minutes)?);
        for ending in ["", "-wal", "-shm"] {
            // The sidecar files are gone after an orderly end.
            let _ = std::fs::remove_file(format!("{}{ending}", file.display()));
        }
    }
    if let Some(path) = argument("--json").map(PathBuf::from) {
        std::fs::write(path, serde_json::to_vec_pretty(&results)?)?;
    }
    Ok(results)
}

/// Runs a case in a process of its own, so that its memory is its own.
fn run_in_process(case: &Case, file: &Path, minutes: f64) -> Result<CaseResult, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let limit = case
        .memory_limit_mib
        .map(|mebibytes| MemoryLimit::create(mebibytes * 1_048_576));
    let mut command = match &limit {
        Some(limit) => limit.command(&program),
        None => Command::new(&program),
    };
    command.arg("--run").arg(serde_json::to_string(case)?);
    command.arg("--file").arg(file);
    command.arg("--seconds").arg((minutes * 60.0).to_string());
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", case.name(), output.status).into());
    }
    let mut result: CaseResult = serde_json::from_slice(&output.stdout)?;
    result.limit = limit.as_ref().map(MemoryLimit::report);
    Ok(result)
}
