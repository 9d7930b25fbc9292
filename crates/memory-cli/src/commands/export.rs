//! `memory export`: memories as JSONL, in the format that import reads.

use std::io::Write;
use std::path::{Path, PathBuf};

use memory::{EntityId, MemorySystem};
use serde::Serialize;

use crate::atomic_file::AtomicFile;
use crate::commands::stats::all_entities;
use crate::database::Database;
use crate::exit::Failure;
use crate::interrupt::{Signal, Signals};
use crate::output::Output;
use crate::own_files::is_sqlite_database;
use memory_json::{ExportReader, Line};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Export only this entity's memories (repeatable) [default: all entities]
    #[arg(long = "entity", value_name = "NAME")]
    entities: Vec<String>,

    /// File to write, readable by its owner only; an existing file is replaced once the export is complete [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let file = args.output.as_deref().filter(|path| !is_stdout(path));
    if let Some(path) = file {
        database.refuse_own_file(path)?;
        if is_sqlite_database(path) {
            return Err(Failure::usage(format!(
                "cannot write {}: it is a SQLite database; name another file",
                path.display()
            )));
        }
    }
    let system = database.open_for_read().await?;
    let entities = match args.entities.as_slice() {
        [] => all_entities(&system).await?,
        names => names.iter().map(EntityId::from).collect(),
    };
    match file {
        None => {
            let failed = |error| Failure::output(&error);
            write(&system, &entities, output.writer(), failed).await?;
        }
        Some(path) => {
            let failed = |error| Failure::write(path, &error);
            let mut file = AtomicFile::create(path).map_err(failed)?;
            let memories = if file.is_replacement() {
                // A signal must not leave the temporary file.
                let writing = write(&system, &entities, &mut file, failed);
                let interrupted = |signal: Signal| {
                    let message = format!(
                        "interrupted by {}; {} was not written",
                        signal.name(),
                        path.display()
                    );
                    Failure::interrupted(signal, message)
                };
                let mut signals = Signals::listen()?;
                signals.guard(writing).await.map_err(interrupted)??
            } else {
                write(&system, &entities, &mut file, failed).await?
            };
            file.finish().map_err(failed)?;
            print_summary(memories, path.to_path_buf(), output)?;
        }
    }
    Ok(())
}

/// Whether a path names standard output, which is written to directly.
fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
        .iter()
        .any(|name| path == Path::new(name))
}

/// Writes entity by entity in the given order; returns the number of memories.
async fn write(
    system: &MemorySystem,
    entities: &[EntityId],
    to: &mut impl Write,
    failed: impl Fn(std::io::Error) -> Failure,
) -> Result<u64, Failure> {
    let mut memories = 0;
    for entity in entities {
        let mut reader = ExportReader::open(system, entity.clone()).await?;
        while let Some(page) = reader.next_page().await? {
            for memory in &page {
                serde_json::to_writer(&mut *to, &Line::from(memory))
                    .map_err(std::io::Error::from)
                    .and_then(|()| to.write_all(b"\n"))
                    .map_err(&failed)?;
                memories += 1;
            }
        }
    }
    Ok(memories)
}

#[derive(Serialize)]
struct Exported {
    exported: u64,
    file: PathBuf,
}

fn print_summary(exported: u64, file: PathBuf, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        output.write_json(&Exported { exported, file })
    } else {
        output.write_line(format_args!("exported {exported} to {}", file.display()))
    }
}
