//! Reading and parsing the input on a thread of its own, so that waiting for it
//! does not delay signals or batches.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use chrono::Utc;
use memory::EntityId;
use memory_import::{Format, ImportError, ImportOptions, ImportReport, Record};
use memory_json::{ImportItem, LineIds, Lines, Location};
use tokio::sync::mpsc::{Receiver, Sender, channel};

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
    /// It returns the report of an export that was read to its end.
    thread: Option<JoinHandle<Option<ImportReport>>>,
}

/// Where the thread sends what it reads.
type Items = Sender<Result<InputItem, Failure>>;

impl InputReader {
    /// Begins to read. A failure that `read` returns is the last item.
    fn start(
        unit: &'static str,
        length: Option<u64>,
        read: impl FnOnce(&Items) -> Result<Option<ImportReport>, Failure> + Send + 'static,
    ) -> Self {
        let (sender, items) = channel(ITEMS_AHEAD);
        let thread = std::thread::spawn(move || match read(&sender) {
            Ok(report) => report,
            Err(failure) => {
                // A dropped receiver needs no answer.
                let _ = sender.blocking_send(Err(failure));
                None
            }
        });
        Self {
            items,
            length,
            unit,
            thread: Some(thread),
        }
    }

    /// Reads a JSONL file, or standard input for `-`. Lines that name no entity get
    /// `entity`.
    pub(super) fn lines(path: &Path, entity: Option<EntityId>) -> Result<Self, Failure> {
        let input = Input::open(path)?;
        let input_length = input.length;
        let read = move |items: &Items| input.read(entity.as_ref(), items).map(|()| None);
        Ok(Self::start("lines", input_length, read))
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
        let read = move |items: &Items| {
            let mut pass_on =
                |record: Record| match items.blocking_send(Ok(InputItem::from(record))) {
                    Ok(()) => ControlFlow::Continue(()),
                    // Nobody waits for what a dropped receiver does not get.
                    Err(_) => ControlFlow::Break(()),
                };
            let report = memory_import::read(format, &path, &options, &mut pass_on);
            report.map(Some).map_err(|error| export_failure(&error))
        };
        Ok(Self::start("items", None, read))
    }

    /// Whether the thread has ended, as it has once there are no more items.
    pub(super) fn is_at_end(&self) -> bool {
        self.items.is_closed() && self.items.is_empty()
    }

    /// The report of an export that was read to its end, once there are no more items.
    ///
    /// # Errors
    /// If the thread panicked: then its last item is not the end of the input.
    pub(super) fn finish(&mut self) -> Result<Option<ImportReport>, Failure> {
        let report = self.thread.take().map(JoinHandle::join).transpose();
        let report = report.map_err(|_| {
            let message = "reading the input failed, and what comes after the imported memories \
                           was not read; this is a mistake in this program: please report it";
            Failure::new(Code::Failed, "other", message)
        })?;
        Ok(report.flatten())
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
                is_without_own_link: false,
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

    fn read(self, entity: Option<&EntityId>, sender: &Items) -> Result<(), Failure> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_thread_is_not_the_end_of_the_input() {
        let mut input = InputReader::start("lines", None, |_| panic!("expected by the test"));
        assert!(input.items.recv().await.is_none());
        assert!(input.is_at_end());
        let failure = input.finish().unwrap_err();
        assert_eq!(failure.code(), 1);
        assert!(input.finish().is_ok(), "it is reported once");

        let report = ImportReport::default();
        let mut input = InputReader::start("items", None, |_| Ok(Some(report)));
        assert!(input.items.recv().await.is_none());
        assert!(input.finish().unwrap().is_some());

        let failure = Failure::usage("wrong");
        let mut input = InputReader::start("items", None, |_| Err(failure));
        assert!(input.items.recv().await.unwrap().is_err());
        assert!(input.items.recv().await.is_none());
        assert!(input.finish().unwrap().is_none());
    }
}
