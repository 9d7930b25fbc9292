//! Standard output as text or JSON, and notes on standard error.

use std::fmt::{Arguments, Display, Write as _};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::exit::Failure;
use crate::rows::{self, Row};

/// The format of results and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines of text.
    Human,
    /// One JSON document, on one line.
    Json,
}

/// Standard output. A closed pipe ends the run silently: see
/// [`Failure::OutputClosed`].
pub(crate) struct Output {
    format: Format,
    /// The width of the terminal, if standard output is one.
    columns: Option<usize>,
    to: BufWriter<Stdout>,
    /// What the command has done already.
    done: Option<String>,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            columns: console::Term::stdout()
                .size_checked()
                .map(|(_, columns)| columns.into()),
            to: BufWriter::new(io::stdout()),
            done: None,
        }
    }

    /// Records what was done: where it cannot be printed, the error must not look as if
    /// nothing was, as such a command would be repeated. It completes "…; WHAT".
    pub(crate) fn set_done(&mut self, what: impl Display) {
        self.done = Some(what.to_string());
    }

    /// Adds to a failure after it what was done, whose repetition can do it a second time.
    pub(crate) fn after_done(&self, failure: Failure) -> Failure {
        match &self.done {
            Some(done) => failure.with_hint(done).not_retryable(),
            None => failure,
        }
    }

    fn output_failure(&self, error: &io::Error) -> Failure {
        self.after_done(Failure::output(error))
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Writes a line of text.
    pub(crate) fn write_line(&mut self, text: Arguments<'_>) -> Result<(), Failure> {
        writeln!(self.to, "{text}").map_err(|error| self.output_failure(&error))
    }

    /// Writes a row of a listing: on one line, or, on a terminal, on as many lines of the
    /// screen as it needs.
    pub(crate) fn write_row(&mut self, row: &Row) -> Result<(), Failure> {
        match self.columns {
            None => self.write_line(format_args!("{}", row.to_line())),
            Some(columns) => self.write_lines(row.to_lines(columns)),
        }
    }

    /// Writes parts of a sentence, indented, wrapped on a terminal.
    pub(crate) fn write_parts(&mut self, parts: &[String]) -> Result<(), Failure> {
        match self.columns {
            None => self.write_line(format_args!("{}", rows::unwrapped(parts))),
            Some(columns) => self.write_lines(rows::wrap(parts, columns)),
        }
    }

    fn write_lines(&mut self, lines: Vec<String>) -> Result<(), Failure> {
        for line in lines {
            self.write_line(format_args!("{line}"))?;
        }
        Ok(())
    }

    /// Writes a JSON document on one line.
    pub(crate) fn write_json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.to, value)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(self.to))
            .map_err(|error| self.output_failure(&error))
    }

    /// The stream itself, for output that is neither a line nor a document.
    pub(crate) fn writer(&mut self) -> &mut impl Write {
        &mut self.to
    }

    /// Writes out the buffer. Must succeed before the run counts as successful.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|error| self.output_failure(&error))
    }
}

/// Writes a note for people to standard error.
pub(crate) fn note(text: Arguments<'_>) {
    // A closed standard error is no reason to stop.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The progress of something of this length, where it is known, on standard error
/// if that is a terminal.
pub(crate) fn progress_bar(length: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{bar:30} {percent:>3} %  {msg}  {elapsed} elapsed, {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
    };
    // An invalid template, which would be a mistake in this file, leaves the
    // default style.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    // The elapsed time is updated while a batch is embedded.
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// Puts text on one line: line breaks and tabs become spaces, and control
/// characters, which could control the terminal, are escaped.
pub(crate) fn single_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() => {
                let _ = write!(line, "{}", c.escape_default());
            }
            c => line.push(c),
        }
    }
    line
}

/// Formats a count with its noun in the singular or plural.
pub(crate) fn count_noun(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Formats a byte count in KiB or MiB.
#[expect(clippy::cast_precision_loss, reason = "one decimal place is shown")]
pub(crate) fn format_bytes(count: u64) -> String {
    let mebibytes = count as f64 / f64::from(1 << 20);
    if mebibytes < 1.0 {
        format!("{:.0} KiB", mebibytes * 1024.0)
    } else {
        format!("{mebibytes:.1} MiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_done_is_not_to_be_repeated() {
        use memory::{ErrorKind, MemoryError};

        let failure = || Failure::from(MemoryError::store(ErrorKind::Unavailable, "close", "x"));
        let mut output = Output::new(Format::Json);
        assert!(output.after_done(failure()).is_retryable());
        output.set_done("memory 1 is stored");
        let failure = output.after_done(failure());
        assert!(!failure.is_retryable());
        assert!(failure.message().ends_with("; memory 1 is stored"));
    }

    #[test]
    fn single_line_escapes_line_breaks_and_control_characters() {
        assert_eq!(single_line(" a\nb\tc \r\n"), "a b c");
        assert_eq!(single_line("red \u{1b}[31m"), "red \\u{1b}[31m");
        assert_eq!(single_line("水车 🌾"), "水车 🌾");
    }

    #[test]
    fn counts_and_sizes_are_formatted() {
        assert_eq!(count_noun(1, "memory", "memories"), "1 memory");
        assert_eq!(count_noun(0, "memory", "memories"), "0 memories");
        assert_eq!(format_bytes(4096), "4 KiB");
        assert_eq!(format_bytes(3 << 19), "1.5 MiB");
    }
}
