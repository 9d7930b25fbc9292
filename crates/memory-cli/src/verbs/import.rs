//! `memory import`: the memories of a JSONL file.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use memory::{EntityId, MemorySystem};

use crate::database::Database;
use crate::exit::Failure;
use crate::jsonl::{Ids, Lines, parse};
use crate::output::{Output, remark};

mod batch;
mod progress;
mod tally;

use batch::{Batch, Pending};
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
                let item = parse(text, self.entity.as_ref())?;
                Ok((item, text.len()))
            });
            match parsed {
                Ok((item, bytes)) => {
                    let id = item.id.unwrap_or_else(|| self.ids.next(&item));
                    let pending = Pending::new(number, item, id);
                    let outcome = self.batch.add(pending, bytes);
                    self.count(outcome.into_iter());
                }
                Err(reason) => self.refuse(&Refusal::malformed(number, reason)),
            }
            if self.batch.is_full() {
                self.settle().await?;
                self.progress.show(input.lines.consumed(), &self.tally);
            }
        }
        self.settle().await
    }

    async fn settle(&mut self) -> Result<(), Failure> {
        let settled = self.batch.settle(&self.system).await;
        self.count(settled.outcomes.into_iter());
        settled.end
    }

    fn count(&mut self, outcomes: impl Iterator<Item = batch::Outcome>) {
        for outcome in outcomes {
            match outcome {
                batch::Outcome::Imported => self.tally.imported += 1,
                batch::Outcome::AlreadyThere => self.tally.already_there += 1,
                batch::Outcome::Refused(refusal) => self.refuse(&refusal),
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
