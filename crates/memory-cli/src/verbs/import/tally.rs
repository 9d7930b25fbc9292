//! What an import did, counted and told.

use std::time::Instant;

use memory::{ErrorKind, MemoryError};
use serde::Serialize;

use crate::exit::{Code, Failure};
use crate::output::Output;

/// A line that is not imported, and why.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Refusal {
    line: usize,
    #[serde(rename = "kind", serialize_with = "name")]
    is_conflict: bool,
    message: String,
}

impl Refusal {
    /// It does not read, or breaks a bound.
    pub(super) fn malformed(line: usize, message: String) -> Self {
        Self {
            line,
            is_conflict: false,
            message,
        }
    }

    /// Its id is taken by other content.
    pub(super) fn conflict(line: usize, message: String) -> Self {
        Self {
            line,
            is_conflict: true,
            message,
        }
    }

    /// The system refused it.
    pub(super) fn from_error(line: usize, error: &MemoryError) -> Self {
        let message = match error {
            // Which item of the batch it was is known better: its line.
            MemoryError::InvalidInput { problem, .. } => problem.to_string(),
            other => other.to_string(),
        };
        Self {
            line,
            is_conflict: error.kind() == ErrorKind::Conflict,
            message,
        }
    }

    /// As it is told on standard error, without the line's content.
    pub(super) fn told(&self, json: bool) -> String {
        if json {
            serde_json::json!({ "refused": self }).to_string()
        } else {
            format!("refused: line {}: {}", self.line, self.message)
        }
    }
}

fn name<S: serde::Serializer>(is_conflict: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *is_conflict {
        "conflict"
    } else {
        "invalid_input"
    })
}

/// The count of a run.
#[derive(Debug)]
pub(super) struct Tally {
    start: Instant,
    pub(super) imported: u64,
    pub(super) already_there: u64,
    malformed: u64,
    conflicts: u64,
}

impl Tally {
    /// Starts the clock.
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
            imported: 0,
            already_there: 0,
            malformed: 0,
            conflicts: 0,
        }
    }

    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        if refusal.is_conflict {
            self.conflicts += 1;
        } else {
            self.malformed += 1;
        }
    }

    /// Memories imported a second, reading and waiting included.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate needs no more than 53 bits"
    )]
    pub(super) fn per_second(&self) -> f64 {
        let seconds = self.start.elapsed().as_secs_f64();
        if seconds > 0.0 {
            self.imported as f64 / seconds
        } else {
            0.0
        }
    }

    fn refused(&self) -> u64 {
        self.malformed + self.conflicts
    }

    pub(super) fn tell(&self, output: &mut Output) -> Result<(), Failure> {
        let figures = Figures {
            imported: self.imported,
            already_there: self.already_there,
            refused: self.refused(),
            seconds: self.start.elapsed().as_secs_f64(),
            per_second: self.per_second(),
        };
        if output.is_json() {
            return output.document(&figures);
        }
        let Figures {
            imported,
            already_there,
            refused,
            seconds,
            per_second,
        } = figures;
        output.line(format_args!(
            "imported {imported}, already there {already_there}, refused {refused} \
             in {seconds:.1} s ({per_second:.0} memories/s)"
        ))
    }

    /// Lines that were refused make the run a failure, although the others
    /// are in: a script must not take the file for imported.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let (code, kind) = match (self.malformed, self.conflicts) {
            (0, 0) => return Ok(()),
            (0, _) => (Code::Conflict, "conflict"),
            _ => (Code::InvalidInput, "invalid_input"),
        };
        let refused = self.refused();
        let all = refused + self.imported + self.already_there;
        let were = if refused == 1 { "was" } else { "were" };
        let message = format!("{refused} of {all} lines {were} refused; the others are imported");
        Err(Failure::new(code, kind, message))
    }
}

#[derive(Serialize)]
struct Figures {
    imported: u64,
    already_there: u64,
    refused: u64,
    seconds: f64,
    per_second: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_line_is_a_failure_and_the_worse_kind_names_it() {
        let mut tally = Tally::start();
        tally.imported = 3;
        assert!(tally.verdict().is_ok());
        tally.refuse(&Refusal::conflict(2, "taken".to_owned()));
        let failure = tally.verdict().unwrap_err();
        assert_eq!(failure.code(), 5);
        assert_eq!(
            failure.message(),
            "1 of 4 lines was refused; the others are imported"
        );
        tally.refuse(&Refusal::malformed(3, "blank".to_owned()));
        assert_eq!(tally.verdict().unwrap_err().code(), 3);
    }

    #[test]
    fn a_refusal_names_its_line_for_people_and_machines() {
        let refusal = Refusal::malformed(12, "content is empty".to_owned());
        assert_eq!(refusal.told(false), "refused: line 12: content is empty");
        let json: serde_json::Value = serde_json::from_str(&refusal.told(true)).unwrap();
        assert_eq!(json["refused"]["line"], 12);
        assert_eq!(json["refused"]["kind"], "invalid_input");
    }
}
