//! Reading and parsing the input on a thread of its own, so that waiting for it
//! does not delay signals or batches.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use chrono::Utc;
use memory::{EntityId, MemoryId, RestoreItem};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::exit::{Code, Failure};
use memory_json::{LineIds, Lines, parse};

/// Lines that are parsed ahead. Each can be several megabytes.
const LINES_AHEAD: usize = 8;

/// An opened input and its size.
pub(super) struct Input {
    reader: Box<dyn Read + Send>,
    name: String,
    /// In bytes, where known.
    length: Option<u64>,
}

/// A line of the input.
#[derive(Debug)]
pub(super) struct ParsedLine {
    pub(super) number: usize,
    /// The memory, or why there is none.
    pub(super) parsed: Result<ParsedMemory, String>,
    /// Bytes of the input up to the end of this line.
    pub(super) consumed: u64,
}

/// The memory of a line.
#[derive(Debug)]
pub(super) struct ParsedMemory {
    pub(super) item: RestoreItem,
    /// The summary that replaced it.
    pub(super) archived_by: Option<MemoryId>,
    /// Length of the line.
    pub(super) bytes: usize,
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
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

    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Starts the thread. It ends with the input, at an error, or when the
    /// receiver is dropped; the end of the process does not wait for it.
    pub(super) fn spawn_reader(
        self,
        entity: Option<EntityId>,
    ) -> Receiver<Result<ParsedLine, Failure>> {
        let (sender, receiver) = channel(LINES_AHEAD);
        std::thread::spawn(move || {
            if let Err(failure) = self.read(entity.as_ref(), &sender) {
                // A dropped receiver needs no answer.
                let _ = sender.blocking_send(Err(failure));
            }
        });
        receiver
    }

    fn read(
        self,
        entity: Option<&EntityId>,
        sender: &Sender<Result<ParsedLine, Failure>>,
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
            let number = line.number;
            let parsed = line
                .text
                .and_then(|text| parse_memory(text, entity, &mut ids));
            let consumed = lines.consumed();
            let line = ParsedLine {
                number,
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

fn parse_memory(
    text: &str,
    entity: Option<&EntityId>,
    ids: &mut LineIds,
) -> Result<ParsedMemory, String> {
    let parsed = parse(text, entity)?;
    let id = parsed.item.id.unwrap_or_else(|| ids.next(&parsed.item));
    let archived_by = parsed.archived_by;
    let item = parsed.into_restore_item(id, Utc::now());
    Ok(ParsedMemory {
        item: item.map_err(|error| error.to_string())?,
        archived_by,
        bytes: text.len(),
    })
}
