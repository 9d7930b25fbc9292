//! Measured values: written by the benches as JSON lines, read by the report.
//!
//! A bench writes them to the file that the variable [`RECORDS_ENV`] names. The
//! first line describes the run, the last says that it ended; a file without it
//! is of a bench that failed, and its values are kept.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// The variable with the path of the file to which a bench appends its values.
pub const RECORDS_ENV: &str = "MEMORY_BENCH_RECORDS";

/// The values of one measured operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What was measured: a backend, or a peer.
    pub subject: String,
    /// The operation.
    pub operation: String,
    /// The number of memories or texts.
    pub size: u64,
    /// Values by name, such as [`P50`](Self::P50).
    pub values: BTreeMap<String, f64>,
}

impl Record {
    /// The median duration, in nanoseconds.
    pub const P50: &str = "p50_ns";
    /// The 95th percentile of the durations, in nanoseconds.
    pub const P95: &str = "p95_ns";
    /// The number of durations.
    pub const SAMPLES: &str = "samples";
    /// A size in bytes.
    pub const BYTES: &str = "bytes";

    /// A record without values.
    #[must_use]
    pub fn new(subject: &str, operation: &str, size: u64) -> Self {
        Self {
            subject: subject.to_owned(),
            operation: operation.to_owned(),
            size,
            values: BTreeMap::new(),
        }
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }
}

/// How and on what a bench ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The bench.
    pub bench: String,
    /// The arguments of the bench.
    pub arguments: Vec<String>,
    /// The machine, and its state when the bench started.
    pub machine: Machine,
}

impl Run {
    /// This run of a bench, which starts now.
    #[must_use]
    pub fn start(bench: &str) -> Self {
        let arguments = std::env::args().skip(1);
        Self {
            bench: bench.to_owned(),
            arguments: arguments.filter(|argument| argument != "--bench").collect(),
            machine: Machine::describe(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Run(Run),
    Record(Record),
    Finished { seconds: f64 },
}

/// Appends the values of a run to its file.
#[derive(Debug)]
pub struct RecordWriter {
    /// `None` without [`RECORDS_ENV`].
    file: Option<File>,
    start: Instant,
}

impl RecordWriter {
    /// Starts the file that [`RECORDS_ENV`] names.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn start(bench: &str) -> Result<Self, Box<dyn Error>> {
        let path = std::env::var_os(RECORDS_ENV).filter(|path| !path.is_empty());
        let options = OpenOptions::new().create(true).append(true).clone();
        let mut writer = Self {
            file: path.map(|path| options.open(path)).transpose()?,
            start: Instant::now(),
        };
        writer.write(&Line::Run(Run::start(bench)))?;
        Ok(writer)
    }

    /// Appends a record; does nothing without one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push(&mut self, record: impl Into<Option<Record>>) -> Result<(), Box<dyn Error>> {
        match record.into() {
            Some(record) => self.write(&Line::Record(record)),
            None => Ok(()),
        }
    }

    /// Marks the run as complete.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(mut self) -> Result<(), Box<dyn Error>> {
        let seconds = self.start.elapsed().as_secs_f64();
        self.write(&Line::Finished { seconds })
    }

    fn write(&mut self, line: &Line) -> Result<(), Box<dyn Error>> {
        if let Some(file) = &mut self.file {
            writeln!(file, "{}", serde_json::to_string(line)?)?;
        }
        Ok(())
    }
}

/// The values of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecords {
    /// The run.
    pub run: Run,
    /// Its values, in the order of the bench.
    pub records: Vec<Record>,
    /// The duration of the run; `None` if it did not end.
    pub seconds: Option<f64>,
}

impl RunRecords {
    /// Reads a file of records; `None` if it has none.
    ///
    /// # Errors
    /// If the file cannot be read, or a line is not a record. A last line that
    /// was cut off is skipped.
    pub fn read(path: &Path) -> Result<Option<Self>, Box<dyn Error>> {
        if !path.exists() {
            return Ok(None);
        }
        Self::parse(&std::fs::read_to_string(path)?)
    }

    fn parse(text: &str) -> Result<Option<Self>, Box<dyn Error>> {
        let mut read: Option<Self> = None;
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in complete.lines() {
            match (serde_json::from_str(line)?, &mut read) {
                (Line::Run(run), _) => {
                    read = Some(Self {
                        run,
                        records: Vec::new(),
                        seconds: None,
                    });
                }
                (Line::Record(record), Some(run)) => run.records.push(record),
                (Line::Finished { seconds }, Some(run)) => run.seconds = Some(seconds),
                (_, None) => return Err("the file of records has no description of its run".into()),
            }
        }
        Ok(read)
    }

    /// The record of this subject, operation and size.
    #[must_use]
    pub fn find(&self, subject: &str, operation: &str, size: u64) -> Option<&Record> {
        self.records.iter().find(|record| {
            record.subject == subject && record.operation == operation && record.size == size
        })
    }

    /// The subjects in the order of the bench.
    #[must_use]
    pub fn subjects(&self) -> Vec<&str> {
        distinct(self.records.iter().map(|record| record.subject.as_str()))
    }

    /// The operations in the order of the bench.
    #[must_use]
    pub fn operations(&self) -> Vec<&str> {
        distinct(self.records.iter().map(|record| record.operation.as_str()))
    }

    /// The sizes in the order of the bench.
    #[must_use]
    pub fn sizes(&self) -> Vec<u64> {
        distinct(self.records.iter().map(|record| record.size))
    }
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: &Line) -> String {
        serde_json::to_string(line).unwrap() + "\n"
    }

    #[test]
    fn a_run_that_did_not_end_keeps_its_records() {
        let run = Run::start("a");
        let record = Record::new("sqlite", "recall", 10).with(Record::P50, 5.0);
        let mut text = line(&Line::Run(run.clone())) + &line(&Line::Record(record.clone()));
        let cut_off = format!("{text}{{\"record\":{{\"sub");
        let read = RunRecords::parse(&cut_off).unwrap().unwrap();
        assert_eq!((read.seconds, &read.run), (None, &run));
        assert_eq!(read.find("sqlite", "recall", 10), Some(&record));
        assert_eq!(read.find("sqlite", "recall", 11), None);
        text += &line(&Line::Finished { seconds: 2.0 });
        let read = RunRecords::parse(&text).unwrap().unwrap();
        assert_eq!(read.seconds, Some(2.0));
        assert_eq!(RunRecords::parse("").unwrap(), None);
        assert!(RunRecords::parse(&line(&Line::Record(record))).is_err());
    }
}
