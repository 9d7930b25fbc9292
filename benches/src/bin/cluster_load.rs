//! The load of many processes: `cluster_load --minutes 5 --servers JSON --json FILE
//! [--entities N] [--memories N] [--docs FOLDER]`. `cargo xtask load` starts the servers
//! and this program; it kills and starts servers when a line on stdout says so, and
//! answers with the line `done`. `--results FILE` writes the page of an earlier run.
//!
//! `--test-fault lose_writes|keep_forgotten|stale_reads` gives every process a fault,
//! which the checks must detect.

#![allow(clippy::print_stderr, reason = "the program prints its progress")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use memory_benches::arguments::{argument, required};
use memory_benches::cluster_load::{
    Checker, Kind, Measurement, Plan, ProcessOptions, Results, Run, SHARED_TEXTS, Servers,
    Statements, Target, TestFault, WorkerOptions, check_shared_cache, check_standby, check_store,
    fill, now, run_process, statements, until,
};
use memory_benches::machine::Machine;
use memory_benches::report;
use tokio::runtime::Runtime;

/// The part of the run, without a fault, in which statements are counted.
const COUNTED: (f64, f64) = (0.05, 0.17);

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(process) = argument("--process") {
        return work(process.parse()?);
    }
    let results = match argument("--results") {
        Some(file) => serde_json::from_slice(&std::fs::read(file)?)?,
        None => measure()?,
    };
    if let Some(docs) = argument("--docs").map(PathBuf::from) {
        report::write_cluster_load(&results, &docs)?;
    }
    let mut broken = 0;
    for (rule, finding) in &results.findings {
        eprintln!(
            "{rule}: checked {}, broken {}",
            finding.checked, finding.broken
        );
        for line in &finding.described {
            eprintln!("  {line}");
        }
        broken += finding.broken;
    }
    match broken {
        0 => Ok(()),
        count => Err(format!("{count} checks failed").into()),
    }
}

/// Runs one of the processes.
fn work(process: u16) -> Result<(), Box<dyn Error>> {
    let kind = argument("--kind").unwrap_or_default();
    let kind = Kind::ALL.into_iter().find(|it| it.name() == kind);
    let options = WorkerOptions {
        process,
        kind: kind.ok_or("--kind is not a kind")?,
        plan: serde_json::from_str(&required("--plan")?)?,
        test_fault: argument("--test-fault").and_then(|name| TestFault::from_name(&name)),
    };
    let servers: Servers = serde_json::from_str(&required("--servers")?)?;
    let bound = Duration::from_millis(required("--bound-ms")?.parse()?);
    Runtime::new()?.block_on(run_process(options, &servers, bound))
}

/// Fills the database, runs the processes, and checks what they did.
fn measure() -> Result<Results, Box<dyn Error>> {
    let number = |name| argument(name).map(|value| value.parse()).transpose();
    let entities = number("--entities")?.map(u32::try_from).transpose()?;
    let plan = Plan::new(
        required("--minutes")?.parse()?,
        entities,
        number("--memories")?,
    );
    let servers: Servers = serde_json::from_str(&required("--servers")?)?;
    let test_fault = argument("--test-fault");
    if let Some(name) = &test_fault {
        TestFault::from_name(name).ok_or("--test-fault is no fault")?;
    }
    let runtime = Runtime::new()?;
    let machine = Machine::describe();

    let (entities, memories) = (plan.entities, plan.memories());
    eprintln!("filling the database: {entities} entities, {memories} memories");
    let filling = Instant::now();
    runtime.block_on(fill(&plan, &servers))?;
    let fill_seconds = filling.elapsed().as_secs_f64();

    eprintln!(
        "running for {} s (filled in {fill_seconds:.0} s)",
        plan.seconds
    );
    let count = || -> Result<_, Box<dyn Error>> {
        Ok((
            now(),
            runtime.block_on(statements(&servers.postgres))?,
            runtime.block_on(statements(&servers.standby))?,
        ))
    };
    let mut run = Run::start(ProcessOptions {
        plan: plan.clone(),
        servers: servers.clone(),
        test_fault,
    })?;
    let (start, began) = (Instant::now(), now());
    let at = |share: f64| Duration::from_secs_f64(plan.seconds * share);
    run.collect(start, at(COUNTED.0))?;
    let before = count()?;
    run.collect(start, at(COUNTED.1))?;
    let after = count()?;
    run.collect(start, at(1.0))?;
    let recording = run.finish()?;

    eprintln!("checking {} events", recording.entries.len());
    let outages: Vec<_> = recording
        .faults
        .iter()
        .filter(|past| past.fault.target == Target::Postgres)
        .map(|past| (past.began, until(past)))
        .collect();
    let mut checker = Checker::new(&recording.entries, &outages);
    let memories_at_end = runtime.block_on(check_store(&mut checker, &plan, &servers))?;
    runtime.block_on(check_standby(&mut checker, &servers))?;
    let texts = checker.shared_texts(&recording.entries, SHARED_TEXTS);
    let shared_texts = runtime.block_on(check_shared_cache(&mut checker, texts, &servers))?;

    let measurement = Measurement::new(&recording, began);
    let statements = Kind::ALL.map(|kind| {
        let counted = |counts: &std::collections::HashMap<String, u64>| {
            counts.get(kind.name()).copied().unwrap_or_default()
        };
        Statements {
            kind,
            operations: measurement.operations_of(kind, before.0, after.0),
            primary: counted(&after.1) - counted(&before.1),
            standby: counted(&after.2) - counted(&before.2),
        }
    });
    let results = Results {
        machine,
        fill_seconds,
        memories_at_end,
        operations: measurement.operations(),
        phases: measurement.phases(plan.seconds),
        seconds: measurement.seconds(),
        counts: measurement.counts(),
        statements: statements.into(),
        shared_texts,
        findings: checker.findings().into_iter().collect(),
        plan,
    };
    if let Some(file) = argument("--json") {
        std::fs::write(file, serde_json::to_vec_pretty(&results)?)?;
    }
    Ok(results)
}
