//! `memory import`: the memories of a JSONL file.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use chrono::Utc;
use memory::{EntityId, Memory, MemoryId, MemorySystem};

use crate::database::Database;
use crate::exit::Failure;
use crate::jsonl::{Ids, Lines, parse};
use crate::output::{Output, remark};

mod archive;
mod batch;
mod flights;
mod progress;
mod tally;

use archive::Archive;
use batch::{Batch, Outcome, Pending, Settled};
use flights::Flights;
use progress::Progress;
use tally::{Refusal, Tally};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The JSONL file (see docs/jsonl.md); - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Whose memories the lines are that name no entity
    #[arg(long, value_name = "NAME")]
    entity: Option<String>,

    /// How many memories are embedded and written at once
    #[arg(long, value_name = "N", default_value = "256")]
    batch: NonZeroUsize,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let entity = args.entity.map(EntityId::from);
    if let Some(entity) = &entity {
        entity.validate()?;
    }
    // Before the model is loaded and a database is made.
    let input = Input::open(&args.file)?;
    let system = database.open_or_create().await?;
    let mut import = Import {
        batch: Batch::new(args.batch),
        flights: Flights::new(),
        archive: Archive::default(),
        ids: Ids::default(),
        progress: Progress::new(input.length),
        tally: Tally::start(),
        json: output.is_json(),
        system,
        entity,
    };
    let outcome = import.read(input).await;
    import.progress.clear();
    // What was imported before a failure stays, and is told.
    import.tally.tell(output)?;
    outcome?;
    import.archive.tell_orphans();
    import.system.close().await?;
    import.tally.verdict()
}

/// Where the lines come from.
struct Input {
    lines: Lines<Box<dyn BufRead>>,
    name: String,
    /// In bytes, where it is known.
    length: Option<u64>,
}

impl Input {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self {
                lines: Lines::new(Box::new(BufReader::new(io::stdin()))),
                name: "standard input".to_owned(),
                length: None,
            });
        }
        let name = path.display().to_string();
        let failed = |error| Failure::io(format_args!("read {name}"), &error);
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if about.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self {
            lines: Lines::new(Box::new(BufReader::new(file))),
            length: about.is_file().then_some(about.len()),
            name,
        })
    }
}

/// One run over one file.
struct Import {
    system: MemorySystem,
    entity: Option<EntityId>,
    batch: Batch,
    flights: Flights,
    archive: Archive,
    ids: Ids,
    progress: Progress,
    tally: Tally,
    json: bool,
}

impl Import {
    async fn read(&mut self, mut input: Input) -> Result<(), Failure> {
        loop {
            let failed = |error| Failure::io(format_args!("read {}", input.name), &error);
            let Some(line) = input.lines.next().map_err(failed)? else {
                break;
            };
            let number = line.number;
            let parsed = line.text.and_then(|text| {
                let parsed = parse(text, self.entity.as_ref())?;
                let id = parsed
                    .item
                    .id
                    .unwrap_or_else(|| self.ids.next(&parsed.item));
                let archived_by = parsed.archived_by;
                let memory = parsed.into_memory(id, Utc::now());
                let memory = memory.map_err(|error| error.to_string())?;
                Ok((memory, archived_by, text.len()))
            });
            match parsed {
                Ok((memory, archived_by, bytes)) => {
                    self.take(number, memory, archived_by, bytes).await?;
                }
                Err(reason) => self.refuse(&Refusal::malformed(number, reason)),
            }
            if self.batch.is_full() {
                self.send().await?;
                self.progress.show(input.lines.consumed(), &self.tally);
            }
        }
        self.run_pending_tasks().await
    }

    /// Takes a memory into the batch; a summary whose sources came before it
    /// is put above them.
    async fn take(
        &mut self,
        line: usize,
        memory: Memory,
        archived_by: Option<MemoryId>,
        bytes: usize,
    ) -> Result<(), Failure> {
        let pending = Pending::new(line, memory.clone());
        let key = pending.key();
        if let Some(summary) = archived_by {
            self.archive.note((key.0.clone(), summary), key.1);
        }
        if self.archive.is_summary(&key) {
            // Its sources have to be in.
            self.run_pending_tasks().await?;
            let outcome = self.archive.put(&self.system, line, memory).await?;
            self.count(std::iter::once(outcome));
            return Ok(());
        }
        if self.flights.hold(&key) {
            // What becomes of this line hangs on what becomes of that one.
            self.run_pending_tasks().await?;
        }
        let outcome = self.batch.add(pending, bytes);
        self.count(outcome.into_iter());
        Ok(())
    }

    /// Sends the batch on its way, once there is room beside those under way.
    async fn send(&mut self) -> Result<(), Failure> {
        if self.flights.is_full() {
            self.land().await?;
        }
        self.flights.start(self.batch.take(), &self.system);
        Ok(())
    }

    /// Waits for everything that was taken.
    async fn run_pending_tasks(&mut self) -> Result<(), Failure> {
        if !self.batch.is_empty() {
            self.send().await?;
        }
        while !self.flights.is_empty() {
            self.land().await?;
        }
        Ok(())
    }

    async fn land(&mut self) -> Result<(), Failure> {
        let Some(Settled {
            outcomes,
            refused,
            end,
        }) = self.flights.next().await?
        else {
            return Ok(());
        };
        self.archive.leave_out(refused);
        self.count(outcomes.into_iter());
        end
    }

    fn count(&mut self, outcomes: impl Iterator<Item = Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Imported => self.tally.imported += 1,
                Outcome::AlreadyThere => self.tally.already_there += 1,
                Outcome::Refused(refusal) => self.refuse(&refusal),
            }
        }
    }

    /// Tells a refusal at once: whoever stops a long import has read it.
    fn refuse(&mut self, refusal: &Refusal) {
        self.tally.refuse(refusal);
        let told = refusal.told(self.json);
        self.progress.aside(|| remark(format_args!("{told}")));
    }
}
