//! Reading and parsing the input on a thread of its own, so that waiting for it
//! does not delay signals or batches.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use chrono::Utc;
use memory::EntityId;
use memory_import::{Format, ImportError, ImportOptions, ImportReport, Record};
use memory_json::{ImportItem, LineIds, Lines, Location};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use crate::exit::{Code, Failure};

/// Lines or items that are parsed ahead. Each can be several megabytes.
const ITEMS_AHEAD: usize = 8;

/// What is read, by a thread that ends with the input, at an error, or when this is
/// dropped; the end of the process does not wait for it.
pub(super) struct InputReader {
    pub(super) items: Receiver<Result<InputItem, Failure>>,
    /// Of the input, in bytes, where known.
    pub(super) length: Option<u64>,
    /// What one item is, in the plural.
    pub(super) unit: &'static str,
    /// Of an export that was read to its end.
    report: Option<oneshot::Receiver<ImportReport>>,
}

impl InputReader {
    /// Reads a JSONL file, or standard input for `-`. Lines that name no entity get
    /// `entity`.
    pub(super) fn lines(path: &Path, entity: Option<EntityId>) -> Result<Self, Failure> {
        let input = Input::open(path)?;
        let length = input.length;
        let (sender, items) = channel(ITEMS_AHEAD);
        std::thread::spawn(move || {
            if let Err(failure) = input.read(entity.as_ref(), &sender) {
                // A dropped receiver needs no answer.
                let _ = sender.blocking_send(Err(failure));
            }
        });
        Ok(Self {
            items,
            length,
            unit: "lines",
            report: None,
        })
    }

    /// Reads an export. `entity` owns all its memories.
    pub(super) fn export(
        format: Format,
        path: PathBuf,
        entity: Option<EntityId>,
    ) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Err(Failure::usage(
                "--from reads a file, a ZIP archive or a folder, and not standard input; name one",
            ));
        }
        if entity.is_none() && format != Format::Mem0 {
            return Err(Failure::usage(format!(
                "--from {format} needs --entity NAME, the entity that owns the memories"
            )));
        }
        // What is not there is reported without counts.
        std::fs::metadata(&path)
            .map_err(|error| Failure::io(format_args!("read {}", path.display()), &error))?;
        let options = ImportOptions {
            entity,
            ..ImportOptions::default()
        };
        let (sender, items) = channel(ITEMS_AHEAD);
        let (report_sender, report) = oneshot::channel();
        std::thread::spawn(move || {
            let mut pass_on =
                |record: Record| match sender.blocking_send(Ok(InputItem::from(record))) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                };
            // Nobody waits for what a dropped receiver does not get.
            match memory_import::read(format, &path, &options, &mut pass_on) {
                Ok(report) => {
                    let _ = report_sender.send(report);
                }
                Err(error) => {
                    let _ = sender.blocking_send(Err(export_failure(&error)));
                }
            }
        });
        Ok(Self {
            items,
            length: None,
            unit: "items",
            report: Some(report),
        })
    }

    /// What an export has besides memories, once all its items were received.
    pub(super) fn take_report(&mut self) -> Option<ImportReport> {
        self.report.as_mut()?.try_recv().ok()
    }
}

fn export_failure(error: &ImportError) -> Failure {
    match error {
        ImportError::Io { file, source } => Failure::io(format_args!("read {file}"), source),
        _ => Failure::new(Code::InvalidInput, "invalid_input", error.to_string()),
    }
}

/// An opened JSONL file and its size.
struct Input {
    reader: Box<dyn Read + Send>,
    name: String,
    /// In bytes, where known.
    length: Option<u64>,
}

/// A line of a JSONL file, or an item of an export.
#[derive(Debug)]
pub(super) struct InputItem {
    pub(super) location: Location,
    /// The memory, or why there is none.
    pub(super) parsed: Result<ImportItem, String>,
    /// Bytes of the input up to the end of this line; 0 in an export.
    pub(super) consumed: u64,
}

impl From<Record> for InputItem {
    fn from(record: Record) -> Self {
        let parsed = record.item.and_then(|item| {
            let bytes = item.content.len();
            let memory = item.into_memory(Utc::now());
            let memory = memory.map_err(|error| error.to_string())?;
            Ok(ImportItem {
                item: memory.into(),
                archived_by: None,
                bytes,
            })
        });
        Self {
            location: Location::Item(record.origin),
            parsed,
            consumed: 0,
        }
    }
}

impl Input {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self {
                reader: Box::new(io::stdin()),
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
            reader: Box::new(file),
            length: metadata.is_file().then_some(metadata.len()),
            name,
        })
    }

    fn read(
        self,
        entity: Option<&EntityId>,
        sender: &Sender<Result<InputItem, Failure>>,
    ) -> Result<(), Failure> {
        let name = self.name;
        let failed = |error: io::Error| match error.kind() {
            // The reader recognized what the input is instead of JSONL.
            io::ErrorKind::InvalidData if error.get_ref().is_some() => Failure::new(
                Code::InvalidInput,
                "invalid_input",
                format!("cannot import {name}: it is {error}"),
            ),
            _ => Failure::io(format_args!("read {name}"), &error),
        };
        let mut ids = LineIds::default();
        let mut lines = Lines::open(BufReader::new(self.reader)).map_err(failed)?;
        while let Some(line) = lines.next_line().map_err(failed)? {
            let location = Location::Line(line.number);
            let parsed = line
                .text
                .and_then(|text| ImportItem::from_line(text, entity, |item| ids.next(item)));
            let consumed = lines.consumed();
            let line = InputItem {
                location,
                parsed,
                consumed,
            };
            if sender.blocking_send(Ok(line)).is_err() {
                break;
            }
        }
        Ok(())
    }
}
