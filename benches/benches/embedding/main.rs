//! Compares embedders: this workspace's, in each precision, and common
//! alternatives, on the same texts and the same model in one run.
//!
//! `cargo xtask embedding --data FILE`, FILE in the LoCoMo format, or without
//! the third-party references and libtorch
//! `cargo bench -p memory-benches --bench embedding -- --data FILE`. Prints a
//! table.
//!
//! Each row is measured in a separate process, so that peak memory is that of
//! one engine and engines do not compete for threads.

#![allow(clippy::print_stdout, reason = "the program prints a report")]

mod engines;
mod measurement;
mod peak_flops;
mod plain_ort;
mod workload;

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use engines::Engine;
use measurement::Row;
use memory_benches::records::RecordWriter;
use workload::Workload;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let Some(data) = &arguments.data else {
        // `cargo bench` without arguments runs every bench.
        println!("embedding: give a file of conversations: -- --data FILE");
        return Ok(());
    };
    if let Some((engine, workload)) = arguments.row {
        let row = measurement::measure(engine, workload, data, arguments.turns)?;
        println!("{}", serde_json::to_string(&row)?);
        return Ok(());
    }
    report(&arguments)
}

fn report(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let peak = arguments.peak.or_else(peak_flops::gflops);
    match peak {
        Some(peak) => println!("fp32 peak of all cores: {peak:.0} GFLOP/s\n"),
        None => println!("fp32 peak unknown here: give it with --peak GFLOPS\n"),
    }
    println!("{}", measurement::HEADER);
    let mut records = RecordWriter::start("embedding")?;
    let mut rows = Vec::new();
    for workload in Workload::ALL {
        for engine in Engine::compiled().filter(|engine| workload.applies_to(*engine)) {
            let row = measure_in_subprocess(engine, workload)?;
            println!("{}", row.line(peak));
            records.push(row.record(peak))?;
            rows.push(row);
        }
    }
    println!("\n{}", measurement::ratios(&rows));
    records.finish()
}

/// Measures one row in a new process of this program.
fn measure_in_subprocess(engine: Engine, workload: Workload) -> Result<Row, Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?);
    child
        .args(std::env::args_os().skip(1))
        .args(["--row", engine.name(), workload.name()])
        .stderr(Stdio::inherit());
    let output = child.output()?;
    if !output.status.success() {
        return Err(format!("{}, {}: {}", engine.name(), workload.name(), output.status).into());
    }
    let stdout = String::from_utf8(output.stdout)?;
    let last = stdout.lines().last().unwrap_or_default();
    Ok(serde_json::from_str(last)?)
}

/// The default number of turns: those of four conversations.
const TURNS: usize = 2_080;

struct Arguments {
    /// `--data FILE`: conversations in the LoCoMo format.
    data: Option<PathBuf>,
    /// `--turns N`: at most this many turns of them.
    turns: usize,
    /// `--peak GFLOPS`: the machine's peak instead of the measured one.
    peak: Option<f64>,
    /// `--row ENGINE WORKLOAD`: measure only one row.
    row: Option<(Engine, Workload)>,
}

impl Arguments {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut parsed = Self {
            data: None,
            turns: TURNS,
            peak: None,
            row: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--data" => parsed.data = Some(value()?.into()),
                "--turns" => parsed.turns = value()?.parse()?,
                "--peak" => parsed.peak = Some(value()?.parse()?),
                "--row" => {
                    let (engine, workload) = (value()?, value()?);
                    let engine =
                        Engine::from_name(&engine).ok_or("unknown engine, or not in this build")?;
                    parsed.row = Some((
                        engine,
                        Workload::from_name(&workload).ok_or("unknown workload")?,
                    ));
                }
                // Cargo passes this to every bench.
                "--bench" => {}
                other => return Err(format!("unknown argument {other:?}").into()),
            }
        }
        Ok(parsed)
    }
}
