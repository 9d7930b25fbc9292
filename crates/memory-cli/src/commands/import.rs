//! `memory import`: stores the memories of a JSONL file.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use chrono::Utc;
use memory::{EntityId, Memory, MemoryId, MemorySystem};

use crate::database::Database;
use crate::exit::Failure;
use crate::jsonl::{LineIds, Lines, parse};
use crate::output::{Output, note};

mod archive;
mod batch;
mod import_summary;

use archive::Archive;
use batch::{Batch, BatchResult, InFlight, LineOutcome, PendingLine};
use import_summary::{ImportSummary, Progress, Refusal};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// JSONL file (see docs/jsonl.md); - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Entity of lines that name none
    #[arg(long, value_name = "NAME")]
    entity: Option<String>,

    /// Number of memories embedded and written together
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
    // Fails before the model is loaded or a database is created.
    let input = Input::open(&args.file)?;
    let system = database.open_or_create().await?;
    let mut import = Import {
        batch: Batch::new(args.batch),
        in_flight: InFlight::new(),
        archive: Archive::default(),
        ids: LineIds::default(),
        progress: Progress::new(input.length),
        summary: ImportSummary::start(),
        json: output.is_json(),
        system,
        entity,
    };
    let outcome = import.read(input).await;
    import.progress.clear();
    // What was imported before a failure stays and is reported.
    import.summary.print(output)?;
    outcome?;
    import.archive.note_orphans();
    import.system.close().await?;
    import.summary.result()
}

/// The input and its size.
struct Input {
    lines: Lines<Box<dyn BufRead>>,
    name: String,
    /// In bytes, where known.
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
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self {
            lines: Lines::new(Box::new(BufReader::new(file))),
            length: metadata.is_file().then_some(metadata.len()),
            name,
        })
    }
}

/// The state of one import.
struct Import {
    system: MemorySystem,
    entity: Option<EntityId>,
    batch: Batch,
    in_flight: InFlight,
    archive: Archive,
    ids: LineIds,
    progress: Progress,
    summary: ImportSummary,
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
                    self.add(number, memory, archived_by, bytes).await?;
                }
                Err(reason) => self.refuse(&Refusal::malformed(number, reason)),
            }
            if self.batch.is_full() {
                self.start_batch().await?;
                self.progress.show(input.lines.consumed(), &self.summary);
            }
        }
        self.finish_batches().await
    }

    /// Adds a memory to the batch; a summary whose sources came before it is
    /// stored together with its links to them.
    async fn add(
        &mut self,
        line: usize,
        memory: Memory,
        archived_by: Option<MemoryId>,
        bytes: usize,
    ) -> Result<(), Failure> {
        let pending = PendingLine::new(line, memory.clone());
        let key = pending.key();
        if let Some(summary) = archived_by {
            self.archive.add_source((key.0.clone(), summary), key.1);
        }
        if self.archive.is_summary(&key) {
            // Its sources must be stored first.
            self.finish_batches().await?;
            let outcome = self
                .archive
                .restore_summary(&self.system, line, memory)
                .await?;
            self.count(std::iter::once(outcome));
            return Ok(());
        }
        if self.in_flight.contains(&key) {
            // The outcome of this line depends on that of the earlier one.
            self.finish_batches().await?;
        }
        let outcome = self.batch.add(pending, bytes);
        self.count(outcome.into_iter());
        Ok(())
    }

    /// Starts writing the batch, waiting for an earlier one if there are too many.
    async fn start_batch(&mut self) -> Result<(), Failure> {
        if self.in_flight.is_full() {
            self.finish_oldest().await?;
        }
        self.in_flight.start(self.batch.take(), &self.system);
        Ok(())
    }

    /// Waits until everything that was added is written or refused.
    async fn finish_batches(&mut self) -> Result<(), Failure> {
        if !self.batch.is_empty() {
            self.start_batch().await?;
        }
        while !self.in_flight.is_empty() {
            self.finish_oldest().await?;
        }
        Ok(())
    }

    async fn finish_oldest(&mut self) -> Result<(), Failure> {
        let Some(BatchResult {
            outcomes,
            refused,
            result,
        }) = self.in_flight.finish_oldest().await?
        else {
            return Ok(());
        };
        self.archive.exclude(refused);
        self.count(outcomes.into_iter());
        result
    }

    fn count(&mut self, outcomes: impl Iterator<Item = LineOutcome>) {
        for outcome in outcomes {
            match outcome {
                LineOutcome::Imported => self.summary.imported += 1,
                LineOutcome::AlreadyThere => self.summary.already_there += 1,
                LineOutcome::Refused(refusal) => self.refuse(&refusal),
            }
        }
    }

    /// Reports a refusal at once, so that it is seen even if the import is stopped.
    fn refuse(&mut self, refusal: &Refusal) {
        self.summary.count_refusal(refusal);
        let text = refusal.to_text(self.json);
        self.progress.suspend(|| note(format_args!("{text}")));
    }
}
