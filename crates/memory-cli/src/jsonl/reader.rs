//! Lines out of a stream, in bounded memory.

use std::io::{self, BufRead, Read};

/// The longest line, in bytes. The largest memory that keeps every bound, with
/// every character escaped, is a line of about half of this.
pub(crate) const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// What some editors put at the start of a file of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A line of text, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Numbered<'a> {
    /// Counted from 1, blank lines included.
    pub(crate) number: usize,
    pub(crate) text: Result<&'a str, String>,
}

/// Reads a stream line by line. Blank lines are passed over; lines may end in
/// `\n` or `\r\n`, the last one in neither.
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
    /// What the stream fails with. A line that is too long or no UTF-8 is no
    /// failure of the stream: it is a line without text.
    pub(crate) fn next(&mut self) -> io::Result<Option<Numbered<'_>>> {
        let whole = loop {
            let read = self.read_line()?;
            if read.bytes == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.consumed += read.bytes;
            if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
            if !read.whole || !self.line.trim_ascii().is_empty() {
                break read.whole;
            }
        };
        let text = if whole {
            text_of(&self.line)
        } else {
            Err(format!("it is longer than {MAX_LINE_BYTES} bytes"))
        };
        Ok(Some(Numbered {
            number: self.number,
            text,
        }))
    }

    /// Reads up to the end of the line; what is beyond the bound is passed
    /// over and not kept.
    fn read_line(&mut self) -> io::Result<LineRead> {
        const WITH_LINE_END: u64 = MAX_LINE_BYTES as u64 + 1;
        self.line.clear();
        let mut bounded = self.input.by_ref().take(WITH_LINE_END);
        let kept = bounded.read_until(b'\n', &mut self.line)?;
        let whole = kept <= MAX_LINE_BYTES || self.line.ends_with(b"\n");
        let beyond = if whole {
            0
        } else {
            self.input.skip_until(b'\n')?
        };
        Ok(LineRead {
            bytes: (kept + beyond) as u64,
            whole,
        })
    }
}

/// How much of the stream a line was, and whether all of it was kept.
struct LineRead {
    bytes: u64,
    whole: bool,
}

fn text_of(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line)
        .map(str::trim_end)
        .map_err(|error| format!("it is not UTF-8 from byte {} on", error.valid_up_to() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers and texts, errors marked by a `!`.
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
    fn line_ends_blank_lines_and_a_byte_order_mark_are_passed_over() {
        let input = b"\xEF\xBB\xBF{1}\r\n\r\n  \n{2}\n\t\n{3}";
        assert_eq!(read(input), owned(&[(1, "{1}"), (4, "{2}"), (6, "{3}")]));
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n\n"), []);
    }

    #[test]
    fn a_line_that_is_no_utf8_spares_the_next() {
        let lines = read(b"{1}\nab\xFF\n{3}\n");
        let expected = [
            (1, "{1}"),
            (2, "!it is not UTF-8 from byte 3 on"),
            (3, "{3}"),
        ];
        assert_eq!(lines, owned(&expected));
    }

    #[test]
    fn a_line_may_be_as_long_as_the_bound_and_no_longer() {
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
            (2, "!it is lo"),
            (3, "!it is lo"),
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
