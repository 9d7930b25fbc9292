//! Standard output, for people and for machines.

use std::fmt::{Arguments, Write as _};
use std::io::{self, BufWriter, Stdout, Write};

use memory::Memory;
use serde::Serialize;

use crate::exit::Failure;
use crate::time;

/// Whom the output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines of text.
    Human,
    /// One JSON document, on one line.
    Json,
}

/// Standard output. A reader that leaves early ends the run quietly: see
/// [`Failure::ReaderGone`].
pub(crate) struct Output {
    format: Format,
    to: BufWriter<Stdout>,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            to: BufWriter::new(io::stdout()),
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Writes a line of text.
    pub(crate) fn line(&mut self, text: Arguments<'_>) -> Result<(), Failure> {
        writeln!(self.to, "{text}").map_err(|error| Failure::output(&error))
    }

    /// Writes a document on one line.
    pub(crate) fn document(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.to, document)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(self.to))
            .map_err(|error| Failure::output(&error))
    }

    /// The stream itself, for what is neither a line nor a document.
    pub(crate) fn stream(&mut self) -> &mut impl Write {
        &mut self.to
    }

    /// Hands everything on. To be called before the run counts as done.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|error| Failure::output(&error))
    }
}

/// A remark for people, on standard error.
pub(crate) fn remark(text: Arguments<'_>) {
    // A remark that nobody can read is no reason to stop.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Time, kind and content, as the rows of list and recall end.
pub(crate) fn row(memory: &Memory) -> String {
    format!(
        "{}  {:<11}  {}",
        time::brief(memory.timestamp),
        memory.kind.as_str(),
        one_line(&memory.content)
    )
}

/// Text on one line: line breaks and tabs become spaces, and control
/// characters, which could drive the terminal, are written out.
pub(crate) fn one_line(text: &str) -> String {
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

/// A number and its noun.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Bytes as people read them.
#[expect(clippy::cast_precision_loss, reason = "one decimal place is shown")]
pub(crate) fn bytes(count: u64) -> String {
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
    fn content_stays_on_its_line_and_drives_no_terminal() {
        assert_eq!(one_line(" a\nb\tc \r\n"), "a b c");
        assert_eq!(one_line("red \u{1b}[31m"), "red \\u{1b}[31m");
        assert_eq!(one_line("水车 🌾"), "水车 🌾");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(counted(1, "memory", "memories"), "1 memory");
        assert_eq!(counted(0, "memory", "memories"), "0 memories");
        assert_eq!(bytes(4096), "4 KiB");
        assert_eq!(bytes(3 << 19), "1.5 MiB");
    }
}
