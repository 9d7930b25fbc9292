//! Progress, refusals and the final counts of an import.

use std::time::Instant;

use indicatif::ProgressBar;
use memory_import::ImportReport;
use memory_json::{Refusal, RefusalKind};
use serde::Serialize;

use crate::exit::{Code, Failure};
use crate::output::{Output, note, progress_bar};

/// Formats a refusal for standard error, without the line's content.
pub(super) fn format_refusal(refusal: &Refusal, json: bool) -> String {
    if json {
        serde_json::json!({ "refused": refusal }).to_string()
    } else {
        format!("refused: {}: {}", refusal.location, refusal.message)
    }
}

/// Counts of an import, and its duration.
#[derive(Debug)]
pub(super) struct ImportSummary {
    start: Instant,
    pub(super) imported: u64,
    pub(super) already_there: u64,
    malformed: u64,
    conflicts: u64,
    limit_reached: u64,
    /// What an export has besides memories.
    pub(super) report: Option<ImportReport>,
    /// What is counted, in the plural.
    unit: &'static str,
}

impl ImportSummary {
    /// Starts the clock; `unit` is what is counted, in the plural.
    pub(super) fn start(unit: &'static str) -> Self {
        Self {
            start: Instant::now(),
            imported: 0,
            already_there: 0,
            malformed: 0,
            conflicts: 0,
            limit_reached: 0,
            report: None,
            unit,
        }
    }

    /// Restarts the clock, so that opening the database does not count.
    pub(super) fn restart_clock(&mut self) {
        self.start = Instant::now();
    }

    pub(super) fn count_refusal(&mut self, refusal: &Refusal) {
        match refusal.kind {
            RefusalKind::Conflict => self.conflicts += 1,
            RefusalKind::LimitReached => self.limit_reached += 1,
            RefusalKind::InvalidInput => self.malformed += 1,
        }
    }

    /// Imported memories per second, reading and waiting included.
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
        self.malformed + self.conflicts + self.limit_reached
    }

    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let figures = Figures {
            imported: self.imported,
            already_there: self.already_there,
            refused: self.refused(),
            seconds: self.start.elapsed().as_secs_f64(),
            per_second: self.per_second(),
            report: self.report.as_ref(),
        };
        if output.is_json() {
            return output.write_json(&figures);
        }
        let Figures {
            imported,
            already_there,
            refused,
            seconds,
            per_second,
            report: _,
        } = figures;
        output.write_line(format_args!(
            "imported {imported}, already there {already_there}, refused {refused} \
             in {seconds:.1} s ({per_second:.0} memories/s)"
        ))
    }

    /// Says what of an export is not imported, and which of its fields are unknown.
    pub(super) fn note_report(&self) {
        let Some(report) = &self.report else { return };
        let skipped = report.skipped.iter().map(|(what, count)| (*what, *count));
        // They have a note of their own.
        let of_front_matter = ImportReport::INVALID_FRONT_MATTER;
        let (invalid, skipped): (Vec<_>, Vec<_>) =
            skipped.partition(|(what, _)| *what == of_front_matter);
        note_counts("not imported", skipped.into_iter());
        let unknown = report.unknown_fields.iter();
        let unknown = unknown.map(|(name, count)| (name.as_str(), *count));
        note_counts("unknown fields", unknown);
        if let [(_, count)] = invalid.as_slice() {
            let files = list_files(&report.invalid_front_matter, *count);
            note(format_args!(
                "fields in invalid YAML left out of the front matter of: {files}"
            ));
        }
    }

    /// An error if any line or item was refused, although the others are imported, so
    /// that a script does not take the file for imported.
    pub(super) fn result(&self) -> Result<(), Failure> {
        let (code, kind) = match (self.malformed, self.conflicts, self.limit_reached) {
            (0, 0, 0) => return Ok(()),
            (0, 0, _) => (Code::Conflict, "limit_reached"),
            (0, _, _) => (Code::Conflict, "conflict"),
            _ => (Code::InvalidInput, "invalid_input"),
        };
        let refused = self.refused();
        let all = refused + self.imported + self.already_there;
        let were = if refused == 1 { "was" } else { "were" };
        let others = match (self.imported, self.already_there) {
            (0, 0) => "nothing was imported",
            (0, _) => "the others were already there",
            _ => "the others were imported",
        };
        let unit = self.unit;
        let message = format!("{refused} of {all} {unit} {were} refused; {others}");
        Err(Failure::new(code, kind, message))
    }
}

/// Names of files, and how many of all `count` have no name here.
fn list_files(names: &[String], count: u64) -> String {
    let named = names.join(", ");
    match count.saturating_sub(names.len() as u64) {
        0 => named,
        more => format!("{named}, and {more} more"),
    }
}

/// Says how often something occurred, if anything did.
fn note_counts<'a>(label: &str, counts: impl Iterator<Item = (&'a str, u64)>) {
    let counts: Vec<String> = counts
        .map(|(what, count)| format!("{what} ({count})"))
        .collect();
    if !counts.is_empty() {
        note(format_args!("{label}: {}", counts.join(", ")));
    }
}

#[derive(Serialize)]
struct Figures<'a> {
    imported: u64,
    already_there: u64,
    refused: u64,
    seconds: f64,
    per_second: f64,
    #[serde(flatten)]
    report: Option<&'a ImportReport>,
}

/// A progress bar on standard error if that is a terminal, else nothing.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// For an input of `length` bytes, where known.
    pub(super) fn new(length: Option<u64>) -> Self {
        let bar = progress_bar(length);
        Self { bar }
    }

    /// Updates the bar.
    pub(super) fn show(&self, bytes: u64, summary: &ImportSummary) {
        if self.bar.is_hidden() {
            return;
        }
        let (count, rate) = (summary.imported, summary.per_second());
        self.bar.set_position(bytes);
        self.bar
            .set_message(format!("{count} memories, {rate:.0}/s"));
    }

    /// Hides the bar while `write` writes to standard error.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// Removes the bar.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use memory_json::Location;

    use super::*;

    #[test]
    fn refused_lines_make_the_import_fail() {
        let mut summary = ImportSummary::start("lines");
        summary.imported = 3;
        assert!(summary.result().is_ok());
        summary.count_refusal(&Refusal::conflict(Location::Line(2), "conflict".to_owned()));
        let failure = summary.result().unwrap_err();
        assert_eq!(failure.code(), 5);
        assert_eq!(
            failure.message(),
            "1 of 4 lines was refused; the others were imported"
        );
        summary.count_refusal(&Refusal::malformed(Location::Line(3), "blank".to_owned()));
        assert_eq!(summary.result().unwrap_err().code(), 3);
        let message = |imported, already_there| {
            let mut summary = ImportSummary::start("lines");
            (summary.imported, summary.already_there) = (imported, already_there);
            summary.count_refusal(&Refusal::malformed(Location::Line(1), "blank".to_owned()));
            summary.result().unwrap_err().message().to_owned()
        };
        assert_eq!(
            message(0, 0),
            "1 of 1 lines was refused; nothing was imported"
        );
        assert_eq!(
            message(0, 2),
            "1 of 3 lines was refused; the others were already there"
        );
    }

    #[test]
    fn a_list_of_files_that_was_cut_says_so() {
        let names = ["a.md".to_owned(), "b.md".to_owned()];
        assert_eq!(list_files(&names, 2), "a.md, b.md");
        assert_eq!(list_files(&names, 5), "a.md, b.md, and 3 more");
    }

    #[test]
    fn refusals_name_their_line_in_text_and_json() {
        let refusal = Refusal::malformed(Location::Line(12), "content is empty".to_owned());
        assert_eq!(
            format_refusal(&refusal, false),
            "refused: line 12: content is empty"
        );
        let json: serde_json::Value =
            serde_json::from_str(&format_refusal(&refusal, true)).unwrap();
        assert_eq!(json["refused"]["line"], 12);
        assert_eq!(json["refused"]["kind"], "invalid_input");

        let refusal = Refusal::conflict(Location::Item("a.md, heading 2".into()), "x".to_owned());
        assert_eq!(
            format_refusal(&refusal, false),
            "refused: a.md, heading 2: x"
        );
        let json: serde_json::Value =
            serde_json::from_str(&format_refusal(&refusal, true)).unwrap();
        assert_eq!(json["refused"]["item"], "a.md, heading 2");
    }
}
