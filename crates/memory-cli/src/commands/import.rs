//! `memory import`: stores the memories of a JSONL file, or of an export of another
//! product.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use memory::{EntityId, MemoryError, MemorySystem};
use memory_import::Format;
use memory_json::{DEFAULT_BATCH, Importer, ItemOutcome, Refusal};
use tokio::sync::mpsc::Receiver;

use crate::database::Database;
use crate::exit::Failure;
use crate::interrupt::{DRAIN_TIMEOUT, Signal, Signals};
use crate::output::{Output, count_noun, note};

mod import_summary;
mod input;

use import_summary::{ImportSummary, Progress, format_refusal};
use input::{InputItem, InputReader};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// JSONL file (see docs/jsonl.md), - reads standard input; with --from, an export: a file, ZIP archive or folder
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// Product whose export is read (see docs/import.md)
    #[arg(long, value_name = "PRODUCT", value_parser = format_parser())]
    from: Option<Format>,

    /// Entity of lines that name none; with --from, of all memories
    #[arg(long, value_name = "NAME")]
    entity: Option<String>,

    /// Number of memories embedded and written together
    #[arg(long, value_name = "N", default_value_t = DEFAULT_BATCH)]
    batch: NonZeroUsize,
}

/// Names of formats, which a shell completes.
fn format_parser() -> impl TypedValueParser<Value = Format> {
    let names = PossibleValuesParser::new(Format::ALL.map(Format::as_str));
    names.try_map(|name| name.parse::<Format>())
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
    if let Some(file) = database.own_file(&args.path) {
        return Err(Failure::usage(format!(
            "cannot import {}: it is the database {} itself or one of its files; import a JSONL file",
            args.path.display(),
            file.display()
        )));
    }
    let mut input = match args.from {
        None => InputReader::lines(&args.path, entity)?,
        Some(format) => InputReader::export(format, args.path, entity)?,
    };
    let mut signals = Signals::listen()?;
    let mut import = Import {
        importer: Importer::new(args.batch),
        progress: Progress::new(input.length),
        summary: ImportSummary::start(input.unit),
        json: output.is_json(),
        database,
        system: None,
    };
    let mut outcome = import.process(&mut input.items, &mut signals).await;
    if outcome.is_err() {
        import.drain(&mut signals).await;
    }
    import.progress.clear();
    if input.is_at_end() {
        match input.finish() {
            Ok(report) => import.summary.report = report,
            Err(failure) => outcome = outcome.and(Err(Stop::Failed(failure))),
        }
    }
    output.set_done("what was imported is stored; importing it again adds nothing");
    // What was imported before a failure stays and is reported.
    let printed = import.summary.print(output).and_then(|()| output.flush());
    if !output.is_json() {
        import.summary.note_report();
    }
    match outcome {
        Ok(()) => {}
        Err(Stop::Failed(failure)) => return Err(failure),
        Err(Stop::Interrupted(signal)) => {
            return Err(import.interrupted(signal, &mut signals).await);
        }
    }
    import.note_orphans();
    import.note_own_links();
    // A reader that left must not hide what was refused.
    import.summary.result().and(printed)
}

/// Why an import stops before the end of its input.
#[derive(Debug)]
enum Stop {
    Failed(Failure),
    Interrupted(Signal),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<MemoryError> for Stop {
    fn from(error: MemoryError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Signal> for Stop {
    fn from(signal: Signal) -> Self {
        Self::Interrupted(signal)
    }
}

/// The state of one import.
struct Import<'a> {
    database: &'a Database,
    /// Opened, and created if it is missing, with the first valid line.
    system: Option<MemorySystem>,
    importer: Importer,
    progress: Progress,
    summary: ImportSummary,
    json: bool,
}

impl Import<'_> {
    async fn process(
        &mut self,
        items: &mut Receiver<Result<InputItem, Failure>>,
        signals: &mut Signals,
    ) -> Result<(), Stop> {
        let mut outcome = Ok(());
        while let Some(item) = signals.guard(items.recv()).await? {
            let item = match item {
                Ok(item) => item,
                Err(failure) => {
                    // What was read before is imported.
                    outcome = Err(Stop::Failed(failure));
                    break;
                }
            };
            match item.parsed {
                Ok(memory) => {
                    let system = self.open(signals).await?;
                    let adding = self.importer.add(&system, item.location, memory);
                    let added = signals.guard(adding).await;
                    self.count();
                    added??;
                }
                Err(reason) => {
                    self.importer.refuse(item.location, reason);
                    self.count();
                }
            }
            self.progress.show(item.consumed, &self.summary);
        }
        if let Some(system) = self.system.clone() {
            let finished = signals.guard(self.importer.finish(&system)).await;
            self.count();
            finished??;
        }
        outcome
    }

    async fn open(&mut self, signals: &mut Signals) -> Result<MemorySystem, Stop> {
        if let Some(system) = &self.system {
            return Ok(system.clone());
        }
        let system = signals.guard(self.database.open_or_create()).await??;
        self.system = Some(system.clone());
        self.summary.restart_clock();
        Ok(system)
    }

    /// Waits for batches in flight after a failure or a signal, so that the
    /// counts include them. Ends at a timeout or the next signal.
    async fn drain(&mut self, signals: &mut Signals) {
        let draining = tokio::time::timeout(DRAIN_TIMEOUT, self.importer.drain());
        let _ = signals.guard(draining).await;
        self.count();
    }

    /// The failure of an interrupted import, after closing the database.
    async fn interrupted(&self, signal: Signal, signals: &mut Signals) -> Failure {
        let unfinished = self.importer.unfinished();
        let mut message = format!("interrupted by {}", signal.name());
        if self.system.is_none() {
            message.push_str("; nothing was imported");
        } else {
            message.push_str("; the imported memories are stored");
            if unfinished > 0 {
                let more = count_noun(unfinished as u64, "memory", "memories");
                message.push_str(&format!(
                    ", and up to {more} more of unfinished batches may be"
                ));
            }
        }
        message.push_str("; run the same command again to import the rest");
        if unfinished == 0 {
            // Closing writes only access counts; the memories are stored.
            let _ = signals
                .guard(tokio::time::timeout(DRAIN_TIMEOUT, self.database.close()))
                .await;
        }
        Failure::interrupted(signal, message)
    }

    fn count(&mut self) {
        for outcome in self.importer.take_outcomes() {
            match outcome {
                ItemOutcome::Imported => self.summary.imported += 1,
                ItemOutcome::AlreadyThere => self.summary.already_there += 1,
                ItemOutcome::Refused(refusal) => self.refuse(&refusal),
            }
        }
    }

    /// Says how many archived memories stay live because their summary was not in the
    /// input, came before them or was refused.
    fn note_orphans(&self) {
        let orphans = self.importer.orphans();
        if orphans > 0 {
            let memories = count_noun(orphans as u64, "archived memory", "archived memories");
            let (them, remain) = match orphans {
                1 => ("it", "remains"),
                _ => ("them", "remain"),
            };
            note(format_args!(
                "{memories} had no summary after {them} in the file, or one that was refused, and \
                 {remain} live"
            ));
        }
    }

    /// Says how many links of memories to themselves were left out.
    fn note_own_links(&self) {
        let links = self.importer.own_links();
        if links > 0 {
            let links = count_noun(
                links as u64,
                "link of a memory to itself was",
                "links of memories to themselves were",
            );
            note(format_args!("{links} left out"));
        }
    }

    /// Reports a refusal at once, so that it is seen even if the import is stopped.
    fn refuse(&mut self, refusal: &Refusal) {
        self.summary.count_refusal(refusal);
        let text = format_refusal(refusal, self.json);
        self.progress.suspend(|| note(format_args!("{text}")));
    }
}
