//! Reading lines from a stream in bounded memory.

use std::io::{self, BufRead, Read};

/// The maximum length of a line in bytes. The largest valid memory, with every
/// character escaped, takes about half of this.
pub(crate) const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Some programs put this at the start of a UTF-8 file.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A numbered line, or why it has no text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NumberedLine<'a> {
    /// Counted from 1, blank lines included.
    pub(crate) number: usize,
    pub(crate) text: Result<&'a str, String>,
}

/// Reads a stream line by line, skipping blank lines. Lines end in `\n` or
/// `\r\n`; the last one may have no line end.
pub(crate) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: usize,
    consumed: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
            consumed: 0,
        }
    }

    /// Bytes read so far.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The next line that is not blank; `None` at the end.
    ///
    /// # Errors
    /// An I/O error. A line that is too long or not UTF-8 is returned as a line
    /// without text.
    pub(crate) fn next(&mut self) -> io::Result<Option<NumberedLine<'_>>> {
        let is_complete = loop {
            let read = self.read_line()?;
            if read.bytes == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.consumed += read.bytes;
            if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
            if !read.is_complete || !self.line.trim_ascii().is_empty() {
                break read.is_complete;
            }
        };
        let text = if is_complete {
            text_of(&self.line)
        } else {
            Err(format!("the line is longer than {MAX_LINE_BYTES} bytes"))
        };
        Ok(Some(NumberedLine {
            number: self.number,
            text,
        }))
    }

    /// Reads to the end of the line; bytes beyond the limit are skipped and not
    /// kept.
    fn read_line(&mut self) -> io::Result<LineRead> {
        const WITH_LINE_END: u64 = MAX_LINE_BYTES as u64 + 1;
        self.line.clear();
        let mut bounded = self.input.by_ref().take(WITH_LINE_END);
        let kept = bounded.read_until(b'\n', &mut self.line)?;
        let is_complete = kept <= MAX_LINE_BYTES || self.line.ends_with(b"\n");
        let beyond = if is_complete {
            0
        } else {
            self.input.skip_until(b'\n')?
        };
        Ok(LineRead {
            bytes: (kept + beyond) as u64,
            is_complete,
        })
    }
}

/// The bytes that a line takes in the stream, and whether all were kept.
struct LineRead {
    bytes: u64,
    is_complete: bool,
}

fn text_of(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line)
        .map(str::trim_end)
        .map_err(|error| {
            format!(
                "the line is not valid UTF-8 at byte {}",
                error.valid_up_to() + 1
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers and texts; errors are marked by a `!`.
    fn read(input: &[u8]) -> Vec<(usize, String)> {
        let mut lines = Lines::new(input);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let text = line
                .text
                .map_or_else(|why| format!("!{why}"), str::to_owned);
            all.push((line.number, text));
        }
        assert_eq!(
            lines.consumed(),
            input.len() as u64,
            "every byte is counted"
        );
        all
    }

    fn owned(lines: &[(usize, &str)]) -> Vec<(usize, String)> {
        lines
            .iter()
            .map(|&(n, text)| (n, text.to_owned()))
            .collect()
    }

    #[test]
    fn line_ends_blank_lines_and_byte_order_marks_are_skipped() {
        let input = b"\xEF\xBB\xBF{1}\r\n\r\n  \n{2}\n\t\n{3}";
        assert_eq!(read(input), owned(&[(1, "{1}"), (4, "{2}"), (6, "{3}")]));
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n\n"), []);
    }

    #[test]
    fn invalid_utf8_does_not_affect_the_next_line() {
        let lines = read(b"{1}\nab\xFF\n{3}\n");
        let expected = [
            (1, "{1}"),
            (2, "!the line is not valid UTF-8 at byte 3"),
            (3, "{3}"),
        ];
        assert_eq!(lines, owned(&expected));
    }

    #[test]
    fn lines_may_be_as_long_as_the_limit() {
        let line = |length: usize| vec![b'x'; length];
        let mut input = line(MAX_LINE_BYTES);
        input.push(b'\n');
        input.extend(line(MAX_LINE_BYTES + 1));
        input.push(b'\n');
        input.extend(line(3 * MAX_LINE_BYTES));
        input.extend(b"\nlast\n");
        let lines = read(&input);
        let starts: Vec<(usize, &str)> = lines
            .iter()
            .map(|(n, text)| (*n, &text[..text.len().min(9)]))
            .collect();
        let expected = [
            (1, "xxxxxxxxx"),
            (2, "!the line"),
            (3, "!the line"),
            (4, "last"),
        ];
        assert_eq!(starts, expected);
        assert!(lines[1].1.contains("4194304 bytes"));
    }

    #[test]
    fn the_largest_memory_fits_a_line() {
        use memory::limits::{
            MAX_CONTENT_CHARS, MAX_CONTEXT_CHARS, MAX_ENTITY_ID_CHARS, MAX_LINKS,
            MAX_METADATA_BYTES, MAX_ROLE_CHARS, MAX_TAG_CHARS, MAX_TAGS,
        };
        // An escaped pair of surrogates for a character, an escape for a byte.
        let (chars, bytes) = (12, 6);
        let largest = chars
            * (MAX_CONTENT_CHARS
                + MAX_CONTEXT_CHARS
                + MAX_ENTITY_ID_CHARS
                + MAX_TAGS * MAX_TAG_CHARS
                + MAX_LINKS * (MAX_ENTITY_ID_CHARS + MAX_ROLE_CHARS)
                + MAX_LINKS * (36 + MAX_ROLE_CHARS))
            + bytes * MAX_METADATA_BYTES;
        assert!(largest < MAX_LINE_BYTES * 3 / 4, "{largest}");
    }
}
