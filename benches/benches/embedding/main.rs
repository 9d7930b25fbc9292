//! What embedding costs: this system's embedders, in each precision, beside
//! what people use today, on the same texts and the same model in one run.
//!
//! `cargo xtask embedding --data FILE`, FILE in the LoCoMo format, or without
//! the outside references and libtorch
//! `cargo bench -p memory-benches --bench embedding -- --data FILE`. Prints the
//! table of docs/performance.md.
//!
//! Each row is measured in a process of its own, so that its peak memory is
//! its own and no engine's threads are in another's way.

#![allow(clippy::print_stdout, reason = "a report is what this program is for")]

mod arguments;
mod engine;
mod measure;
mod peak;
mod plain;
mod row;
mod work;

use std::error::Error;
use std::process::{Command, Stdio};

use arguments::Arguments;
use engine::Engine;
use row::Row;
use work::Work;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read()?;
    let Some(data) = &arguments.data else {
        // `cargo bench` without arguments runs every bench; this one has
        // nothing to run on then.
        println!("embedding: give a file of conversations: -- --data FILE");
        return Ok(());
    };
    if let Some((engine, work)) = arguments.row {
        let row = measure::measure(engine, work, data, arguments.turns)?;
        println!("{}", serde_json::to_string(&row)?);
        return Ok(());
    }
    report(&arguments)
}

fn report(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let peak = arguments.peak.or_else(peak::gflops);
    match peak {
        Some(peak) => println!("fp32 peak of all cores: {peak:.0} GFLOP/s\n"),
        None => println!("fp32 peak unknown here: give it with --peak GFLOPS\n"),
    }
    println!("{}", row::HEADER);
    let mut rows = Vec::new();
    for work in Work::ALL {
        for engine in Engine::compiled().filter(|engine| work.is_for(*engine)) {
            let row = in_own_process(engine, work)?;
            println!("{}", row.line(peak));
            rows.push(row);
        }
    }
    println!("\n{}", row::ratios(&rows));
    Ok(())
}

/// Has this very program measure one row.
fn in_own_process(engine: Engine, work: Work) -> Result<Row, Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?);
    child
        .args(std::env::args_os().skip(1))
        .args(["--row", engine.name(), work.name()])
        .stderr(Stdio::inherit());
    let output = child.output()?;
    if !output.status.success() {
        return Err(format!("{}, {}: {}", engine.name(), work.name(), output.status).into());
    }
    let told = String::from_utf8(output.stdout)?;
    let last = told.lines().last().unwrap_or_default();
    Ok(serde_json::from_str(last)?)
}
