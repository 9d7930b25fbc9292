//! `cargo xtask load`: many processes on PostgreSQL with a standby and on Valkey, each
//! of which is killed once.

mod guard;
mod valkey;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf, absolute};
use std::process::{Command, Stdio};

use clap::Args;
use memory_assets::cache_dir;

use crate::error::TaskError;
use crate::pg::{self, Lifetime, Server};
use crate::{setup, shell};
use guard::Guard;
use valkey::Valkey;

/// The folder with the page `load.md` and its plot.
const DOCS: &str = "docs";

#[derive(Args)]
pub(crate) struct Options {
    /// Duration of the load. Entities and memories are in proportion to it
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Entities [default: 10,000 for an hour]
    #[arg(long)]
    entities: Option<u32>,
    /// Memories before the load [default: 10 million for an hour, which need 80 GB on disk]
    #[arg(long)]
    memories: Option<u64>,
    /// Build without optimization and write no page: to try it out
    #[arg(long)]
    debug: bool,
    /// Give every process a fault, which the checks must detect: lose_writes,
    /// keep_forgotten or stale_reads. Writes no page
    #[arg(long)]
    test_fault: Option<String>,
    /// Write the page from these results of an earlier run
    #[arg(long)]
    results: Option<PathBuf>,
}

/// Runs the load, and writes the page. The results are in `target/load.json`.
pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let mut load = shell::cargo();
    load.args(["run", "--quiet", "--package", "memory-benches"]);
    if !options.debug {
        load.arg("--release");
    }
    load.args(["--bin", "cluster_load", "--"]);
    if !options.debug && options.test_fault.is_none() {
        load.arg("--docs").arg(shell::root().join(DOCS));
    }
    if let Some(results) = &options.results {
        let results = absolute(results).unwrap_or_else(|_| results.clone());
        load.arg("--results").arg(results);
        return shell::run(&mut load);
    }
    load.args(["--minutes", &options.minutes.to_string()]);
    if let Some(entities) = options.entities {
        load.args(["--entities", &entities.to_string()]);
    }
    if let Some(memories) = options.memories {
        load.args(["--memories", &memories.to_string()]);
    }
    if let Some(fault) = &options.test_fault {
        load.args(["--test-fault", fault]);
    }
    load.arg("--json")
        .arg(shell::target_dir().join("load.json"));

    let cache = cache_dir()?;
    setup::valkey(&cache)?;
    pg::fetch(&cache, None)?;
    let mut servers = Servers::start(&cache)?;
    load.arg("--servers").arg(servers.urls());
    let outcome = servers.run(&mut load);
    servers.stop()?;
    outcome
}

/// The servers of the load. Dropping them stops them, and so does the end of this
/// process, however it ends.
struct Servers {
    standby: Server,
    postgres: Server,
    valkey: Valkey,
    guard: Guard,
}

impl Servers {
    fn start(cache: &Path) -> Result<Self, TaskError> {
        let postgres = Server::start(cache, None, Lifetime::Parent)?;
        let standby = postgres.start_standby()?;
        let valkey = Valkey::start(cache)?;
        let guard = Guard::start(&[standby.dir(), postgres.dir(), valkey.dir()])?;
        Ok(Self {
            standby,
            postgres,
            valkey,
            guard,
        })
    }

    /// Their URLs as JSON.
    fn urls(&self) -> String {
        let urls = serde_json::json!({
            "postgres": self.postgres.url(),
            "standby": self.standby.url(),
            "valkey": self.valkey.url(),
        });
        urls.to_string()
    }

    /// Runs the load, which orders with a line on stdout what is to be killed or
    /// started.
    fn run(&mut self, load: &mut Command) -> Result<(), TaskError> {
        let failed = shell::start_failed(load);
        let spawned = load.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = spawned.map_err(failed)?;
        let answers = process.stdin.take();
        let orders = process.stdout.take();
        if let (Some(mut answers), Some(orders)) = (answers, orders) {
            for order in BufReader::new(orders).lines().map_while(Result::ok) {
                println!("{order}");
                let answer = match self.execute(&order) {
                    Ok(()) => "done".to_owned(),
                    Err(error) => error.to_string().replace('\n', " "),
                };
                // It may have ended.
                let _ = writeln!(answers, "{answer}");
            }
        }
        let status = process.wait().map_err(shell::start_failed(load))?;
        shell::check(load, status)
    }

    fn execute(&mut self, order: &str) -> Result<(), TaskError> {
        match order {
            "postgres kill" => self.postgres.kill(),
            "postgres start" => self.postgres.restart(),
            "standby kill" => self.standby.kill(),
            "standby start" => self.standby.restart(),
            "valkey kill" => self.valkey.kill(),
            "valkey start" => self.valkey.restart(),
            "valkey stop" => self.valkey.signal("STOP"),
            "valkey continue" => self.valkey.signal("CONT"),
            _ => Err(TaskError::UnknownOrder {
                order: order.to_owned(),
            }),
        }
    }

    fn stop(self) -> Result<(), TaskError> {
        // Last, when it has nothing to do.
        let _guard = self.guard;
        self.standby.stop()?;
        self.postgres.stop()
    }
}
