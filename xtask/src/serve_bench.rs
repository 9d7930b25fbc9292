//! `cargo xtask serve-bench`: measures `memory serve` and `memory mcp` from outside, as their
//! clients see them, and writes a section of docs/performance.md.

mod data;
mod ingest;
mod kill;
mod page;
mod peers;
mod requests;
mod results;
mod server;
mod start;
mod transfer;
mod wrk;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;
use tempfile::TempDir;

use crate::error::TaskError;
use crate::{bench, setup, shell};
use data::Data;
use results::{Ingest, Results, Run};
use server::MemoryCommand;
use wrk::Wrk;

/// Why the bench failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("the file with conversations is not in the LoCoMo format, or has none")]
    NoConversations,
    #[error("the process ended before it was ready; its message is above")]
    NotReady,
    #[error("the request to {path} failed")]
    Request {
        path: String,
        #[source]
        source: Box<ureq::Error>,
    },
    #[error("the request to {path} was refused with status {status}: {detail}")]
    Refused {
        path: String,
        status: u16,
        detail: String,
    },
    #[error("the answer of {what} is no JSON of the expected form")]
    Answer {
        what: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the tool recall failed: {answer}")]
    Tool { answer: String },
    #[error("{imported} of {lines} lines were imported")]
    Incomplete { imported: u64, lines: usize },
    #[error("wrk printed no summary")]
    NoSummary,
    #[error("a thread of the bench panicked")]
    Panicked,
    #[error("the results cannot be used: {reason}")]
    Results { reason: String },
}

#[derive(Args)]
pub(crate) struct Options {
    /// Conversations in the LoCoMo format [default: generated texts]
    #[arg(long)]
    data: Option<PathBuf>,
    /// The command to measure [default: a release build of it; with --quick, that of the tests]
    #[arg(long, value_name = "PATH")]
    memory: Option<PathBuf>,
    /// Duration of the mixed load
    #[arg(long, default_value_t = 5)]
    minutes: u32,
    /// Also measure Chroma and mem0 (600 MB of Python packages, once)
    #[arg(long)]
    peers: bool,
    /// Run everything for a moment and write no page
    #[arg(long)]
    quick: bool,
    /// Write the page from these results of an earlier run
    #[arg(long, conflicts_with = "quick")]
    results: Option<PathBuf>,
}

/// How much is measured.
struct Extent {
    /// Of each load.
    duration: Duration,
    mixed: Duration,
    kills: usize,
    starts: usize,
    lines: usize,
}

impl Extent {
    fn of(options: &Options) -> Self {
        match options.quick {
            true => Self {
                duration: Duration::from_secs(1),
                mixed: Duration::from_secs(2),
                kills: 1,
                starts: 1,
                lines: 1_000,
            },
            false => Self {
                duration: Duration::from_secs(10),
                mixed: Duration::from_secs(60) * options.minutes,
                kills: 5,
                starts: 5,
                lines: 100_000,
            },
        }
    }
}

/// Measures, and writes the page. The results are in `target/serve-bench.json`.
pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let mut results = match &options.results {
        Some(path) => read_results(&bench::absolute_path(path))?,
        None => measure(options)?,
    };
    let failed = match options.peers {
        true => measure_peers(options, &mut results)?,
        false => 0,
    };
    println!("{}", page::section(&results));
    match options.quick {
        true => page::check(&results)?,
        false => page::write(&results)?,
    }
    match failed {
        0 => Ok(()),
        count => Err(TaskError::Findings {
            count,
            what: "products failed; the results are those of the others",
        }),
    }
}

fn measure(options: &Options) -> Result<Results, TaskError> {
    let (memory, data, folder) = prepare(options)?;
    let started = Instant::now();
    let results = measure_with(options, &memory, &data, folder.path())?;
    println!("measured in {} s", started.elapsed().as_secs());
    write_results(&results)?;
    Ok(results)
}

/// Adds other products to the results; returns how many failed.
fn measure_peers(options: &Options, results: &mut Results) -> Result<usize, TaskError> {
    let (memory, data, folder) = prepare(options)?;
    println!("other products");
    let (peers, failed) = peers::measure(&memory.cache, folder.path(), &data)?;
    results.peers = peers;
    if let Some(seconds) = peers::import_with_vectors(&memory, folder.path(), &data)? {
        results.ingest.retain(|it| it.way != page::WITH_VECTORS);
        results.ingest.push(Ingest {
            way: page::WITH_VECTORS.to_owned(),
            texts: data.texts.len(),
            seconds,
        });
    }
    write_results(results)?;
    Ok(failed)
}

/// The command, the texts, and a folder for databases.
fn prepare(options: &Options) -> Result<(MemoryCommand, Data, TempDir), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let path = match &options.memory {
        Some(path) => bench::absolute_path(path),
        None if options.quick => shell::build_memory()?,
        None => build()?,
    };
    let data = match &options.data {
        Some(path) => Data::read(&bench::absolute_path(path))?,
        None => Data::generate(),
    };
    let folder = tempfile::tempdir().map_err(|source| TaskError::Write {
        path: std::env::temp_dir(),
        source,
    })?;
    Ok((MemoryCommand { path, cache }, data, folder))
}

fn measure_with(
    options: &Options,
    memory: &MemoryCommand,
    data: &Data,
    folder: &Path,
) -> Result<Results, TaskError> {
    let extent = Extent::of(options);
    let wrk = Wrk::new(folder)?;
    let run = describe(options, data)?;
    let (ingest, resident, server, database) = ingest::measure(memory, folder, data)?;
    let client = &server.client;
    println!("new questions");
    let new_question = requests::new_questions(client, data)?;
    println!("repeated questions");
    let overhead = requests::overhead(&wrk, client, data, extent.duration)?;
    let gets = requests::gets(client)?;
    let get = requests::measure_gets(&wrk, client, &gets, extent.duration)?;
    println!("mixed load for {} s", extent.mixed.as_secs());
    let mixed = requests::mixed(&wrk, &server, data, &gets, extent.mixed)?;
    drop(server);
    println!("kills");
    let kill = kill::measure(memory, folder, extent.kills)?;
    println!("starts");
    let question = data.questions.first().map_or("", String::as_str);
    let start = start::measure(memory, &database, question, extent.starts)?;
    println!("import and export of {} lines", extent.lines);
    let transfer = transfer::measure(memory, folder, data, extent.lines)?;
    Ok(Results {
        run,
        ingest,
        memory: resident,
        overhead,
        new_question,
        get,
        mixed,
        kill,
        start,
        transfer,
        peers: Vec::new(),
    })
}

/// A release build of the command.
fn build() -> Result<PathBuf, TaskError> {
    let mut build = shell::cargo();
    build.args(["build", "--quiet", "--release", "--package", "memory-cli"]);
    shell::run(&mut build)?;
    Ok(shell::target_dir().join("release").join("memory"))
}

fn describe(options: &Options, data: &Data) -> Result<Run, TaskError> {
    let line = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.current_dir(shell::root()).args(arguments);
        Ok::<_, TaskError>(shell::read_stdout(&mut command)?.trim().to_owned())
    };
    let load = shell::read_text(Path::new("/proc/loadavg"))?;
    Ok(Run {
        time: line("date", &["-u", "+%Y-%m-%d %H:%M UTC"])?,
        // A given command may be of any revision, and its `--version` has none.
        revision: match options.memory {
            None => Some(line("git", &["rev-parse", "--short", "HEAD"])?),
            Some(_) => None,
        },
        load: load.split(' ').next().unwrap_or_default().to_owned(),
        texts: data.texts.len(),
        questions: data.questions.len(),
        is_generated: data.is_generated,
    })
}

fn write_results(results: &Results) -> Result<(), TaskError> {
    let path = shell::target_dir().join("serve-bench.json");
    let text = serde_json::to_string_pretty(results).map_err(unusable)?;
    fs::write(&path, text).map_err(|source| TaskError::Write { path, source })
}

fn read_results(path: &Path) -> Result<Results, TaskError> {
    serde_json::from_str(&shell::read_text(path)?).map_err(|error| unusable(error).into())
}

fn unusable(error: impl std::fmt::Display) -> BenchError {
    BenchError::Results {
        reason: error.to_string(),
    }
}
