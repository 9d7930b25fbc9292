//! The process that is killed.

use std::env;
use std::fmt;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{self, Child as Process, ChildStdout, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{MemoryBatchItem, MemoryId, MemoryKind, Store};
use memory_engine::Engine;
use memory_sqlite::{SqliteOptions, SqliteStore};

use super::fixtures::{
    BATCH, KilledWrite, Outcome, embedded, embedder, engine, entity, load_snapshot, open, text,
    write,
};

/// Makes a process the child of a check.
const VARIABLE: &str = "MEMORY_SQLITE_KILL_TEST";

/// What a child prints: before the number of a write that has returned, after it has loaded a
/// snapshot, after it has begun to convert the file, and before how many microseconds a write
/// of another entity took.
pub(super) const WRITTEN: &str = "kill check: written ";
pub(super) const LOADED: &str = "kill check: loaded";
pub(super) const CONVERTS: &str = "kill check: converts";
pub(super) const TOOK: &str = "kill check: took ";

/// What a child does besides writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Loads snapshots.
    Snapshots,
    /// Converts the file.
    Conversion,
    /// Writes to another entity, as fast as a user would.
    Measure,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Snapshots => "snapshots",
            Self::Conversion => "conversion",
            Self::Measure => "measure",
        })
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Self::Snapshots, Self::Conversion, Self::Measure];
        let found = all
            .into_iter()
            .find(|workload| workload.to_string() == name);
        found.ok_or_else(|| format!("no workload is called {name}"))
    }
}

/// A child that runs. It does not outlive a check that fails, nor this process.
pub(super) struct RunningChild(Process);

impl RunningChild {
    pub(super) fn output(&mut self) -> Outcome<ChildStdout> {
        Ok(self.0.stdout.take().ok_or("the child has no output")?)
    }

    pub(super) fn kill(&mut self) -> std::io::Result<ExitStatus> {
        self.0.kill()?;
        self.0.wait()
    }
}

impl Drop for RunningChild {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.kill();
    }
}

/// A process that is killed.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(super) workload: Workload,
    pub(super) memories: u64,
    pub(super) dimensions: usize,
    pub(super) path: PathBuf,
}

impl Child {
    /// The child that this process is.
    ///
    /// # Errors
    /// An unknown value of the variable.
    pub(crate) fn from_env() -> Outcome<Option<Self>> {
        let Ok(value) = env::var(VARIABLE) else {
            return Ok(None);
        };
        let mut parts = value.splitn(4, ' ');
        let mut next = || parts.next().ok_or("a part of the variable is missing");
        Ok(Some(Self {
            workload: next()?.parse()?,
            memories: next()?.parse()?,
            dimensions: next()?.parse()?,
            path: next()?.into(),
        }))
    }

    pub(super) fn start(&self, command: &dyn Fn() -> Command) -> Outcome<RunningChild> {
        let (memories, dimensions) = (self.memories, self.dimensions);
        let value = format!(
            "{} {memories} {dimensions} {}",
            self.workload,
            self.path.display()
        );
        let mut command = command();
        let command = command.env(VARIABLE, value).stdout(Stdio::piped());
        // Closed when this process ends: see `end_with_parent`.
        let command = command.stdin(Stdio::piped());
        Ok(RunningChild(command.spawn()?))
    }

    /// Works until it is killed, or its parent ends.
    ///
    /// # Errors
    /// Any error of the system.
    pub(crate) async fn run(self) -> Outcome<()> {
        std::thread::spawn(end_with_parent);
        match self.workload {
            Workload::Measure => {
                let store = open(&self.path).await?;
                self.measure(&store).await
            }
            Workload::Conversion => {
                // So that a kill after the first write comes early in the conversion.
                let options = SqliteOptions::new(&self.path).migrate(false);
                let before = Arc::new(SqliteStore::open_with(options).await?);
                self.write(&engine(&before, self.dimensions, false)?, 1)
                    .await?;
                before.close().await?;
                let store = open(&self.path).await?;
                print(format_args!("{CONVERTS}"))?;
                self.write(&engine(&store, self.dimensions, false)?, usize::MAX)
                    .await
            }
            Workload::Snapshots => {
                let store = open(&self.path).await?;
                let engine = engine(&store, self.dimensions, true)?;
                tokio::try_join!(self.write(&engine, usize::MAX), load_again(&engine))?;
                Ok(())
            }
        }
    }

    /// Makes the next writes, so many.
    async fn write(&self, engine: &Engine, count: usize) -> Outcome<()> {
        let generation = engine.entity_generation(&entity()).await?.0;
        let numbers = generation - self.memories.div_ceil(BATCH) + 1..;
        for number in numbers.take(count) {
            match write(number, self.memories) {
                KilledWrite::Retain(ids) => {
                    let item = |id| {
                        let item = MemoryBatchItem::new(entity(), MemoryKind::World, text(id));
                        item.with_id(id)
                    };
                    let items = ids.into_iter().map(item);
                    engine.retain_batch(items.collect()).await?;
                }
                KilledWrite::Forget(id) => {
                    engine.delete_memory(&entity(), &id).await?;
                }
            }
            print(format_args!("{WRITTEN}{number}"))?;
        }
        Ok(())
    }

    async fn measure(&self, store: &SqliteStore) -> Outcome<()> {
        loop {
            let took = write_elsewhere(store, self.dimensions).await?;
            print(format_args!("{TOOK}{}", took.as_micros()))?;
        }
    }
}

/// Ends this process when its parent has ended, which has the other end of its input.
fn end_with_parent() {
    // Nothing is ever written to it.
    let _ = std::io::stdin().read(&mut [0]);
    process::exit(1);
}

async fn load_again(engine: &Engine) -> Outcome<()> {
    loop {
        load_snapshot(engine).await?;
        print(format_args!("{LOADED}"))?;
        // So that there is something to merge.
        tokio::time::sleep(Duration::from_millis(100)).await;
        engine.clear_all_caches();
    }
}

/// Writes a memory of another entity, and returns how long that took, after a pause.
pub(super) async fn write_elsewhere(store: &SqliteStore, dimensions: usize) -> Outcome<Duration> {
    let id = MemoryId::new();
    let new = embedded("another".into(), id, text(id), &embedder(dimensions))?;
    let started = Instant::now();
    store.insert(&[new]).await?;
    let took = started.elapsed();
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(took)
}

fn print(line: fmt::Arguments<'_>) -> std::io::Result<()> {
    let mut parent = std::io::stdout();
    writeln!(parent, "{line}")?;
    parent.flush()
}
