//! Reading lines from a stream in bounded memory, and recognizing input that is
//! not UTF-8 text.

use std::io::{self, BufRead, Read};

/// The maximum length of a line in bytes. The largest valid memory, with every
/// character escaped, takes about half of this.
pub const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// The byte order mark of UTF-8. Some programs put it at the start of a file,
/// and concatenated files have it at the start of later lines.
pub const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// First bytes of files that cannot be JSONL in UTF-8, and what they are. A
/// prefix of another entry comes after it.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"\xFF\xFE\0\0", UTF_32),
    (b"\0\0\xFE\xFF", UTF_32),
    (b"\xFF\xFE", UTF_16),
    (b"\xFE\xFF", UTF_16),
    (b"{\0", UTF_16),
    (b"\0{", UTF_16),
    (b"\x1F\x8B", "compressed with gzip; decompress it first"),
    (
        b"\x28\xB5\x2F\xFD",
        "compressed with zstd; decompress it first",
    ),
    (b"\xFD7zXZ\0", "compressed with xz; decompress it first"),
    (b"PK\x03\x04", "a ZIP archive; extract it first"),
    (
        b"SQLite format 3\0",
        "a SQLite database, not JSONL; write it as JSONL with `memory export` first",
    ),
];
const UTF_16: &str = "UTF-16 text (byte order mark or NUL bytes); convert it to UTF-8 first";
const UTF_32: &str = "UTF-32 text (byte order mark); convert it to UTF-8 first";
const LONGEST_SIGNATURE: u64 = 16;

/// What the first bytes of input that is not UTF-8 text show it to be; `None`
/// where they do not show it.
pub fn foreign_format(start: &[u8]) -> Option<&'static str> {
    if is_bzip2(start) {
        return Some("compressed with bzip2; decompress it first");
    }
    SIGNATURES
        .iter()
        .find(|(signature, _)| start.starts_with(signature))
        .map(|(_, format)| *format)
}

/// Whether input is compressed with bzip2: its first letters, the size of its blocks and the
/// mark of the first block, or of the end. A text can begin with the letters.
fn is_bzip2(start: &[u8]) -> bool {
    const BLOCK: &[u8] = b"\x31\x41\x59\x26\x53\x59";
    const END: &[u8] = b"\x17\x72\x45\x38\x50\x90";
    let rest = start.strip_prefix(b"BZh");
    let Some([b'1'..=b'9', rest @ ..]) = rest else {
        return false;
    };
    rest.starts_with(BLOCK) || rest.starts_with(END)
}

/// A numbered line, or why it has no text.
#[derive(Debug, PartialEq, Eq)]
pub struct NumberedLine<'a> {
    /// Counted from 1, blank lines included.
    pub number: usize,
    /// The line without its end, or what is wrong with it, for people.
    pub text: Result<&'a str, String>,
}

/// Reads a stream line by line, skipping blank lines. Lines end in `\n` or
/// `\r\n`; the last one may have no line end.
pub struct Lines<R> {
    input: io::Chain<io::Cursor<Vec<u8>>, R>,
    max_line_bytes: usize,
    line: Vec<u8>,
    number: usize,
    consumed: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads the first bytes of `input`, whose lines have at most [`MAX_LINE_BYTES`].
    ///
    /// # Errors
    /// An I/O error, or [`io::ErrorKind::InvalidData`] with the format of input
    /// that cannot be JSONL.
    pub fn open(input: R) -> io::Result<Self> {
        Self::with_max(input, MAX_LINE_BYTES)
    }

    /// As [`open`](Self::open), for lines of at most `max_line_bytes`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_max(mut input: R, max_line_bytes: usize) -> io::Result<Self> {
        let mut start = Vec::new();
        input
            .by_ref()
            .take(LONGEST_SIGNATURE)
            .read_to_end(&mut start)?;
        if let Some(format) = foreign_format(&start) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format));
        }
        Ok(Self {
            input: io::Cursor::new(start).chain(input),
            max_line_bytes,
            line: Vec::new(),
            number: 0,
            consumed: 0,
        })
    }

    /// Bytes read so far.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The next line that is not blank; `None` at the end.
    ///
    /// # Errors
    /// An I/O error. A line that is too long or not UTF-8 is returned as a line
    /// without text.
    pub fn next_line(&mut self) -> io::Result<Option<NumberedLine<'_>>> {
        let is_complete = loop {
            let read = self.read_line()?;
            if read.bytes == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.consumed += read.bytes;
            while self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
            if !read.is_complete || !self.line.trim_ascii().is_empty() {
                break read.is_complete;
            }
        };
        let text = if is_complete {
            decode_line(&self.line)
        } else {
            let hint = if self.line.contains(&b'\r') {
                "; it contains carriage returns (\\r): lines must end in \\n or \\r\\n"
            } else {
                ""
            };
            Err(format!(
                "the line is longer than {} bytes{hint}",
                self.max_line_bytes
            ))
        };
        Ok(Some(NumberedLine {
            number: self.number,
            text,
        }))
    }

    /// Reads to the end of the line; bytes beyond the limit are skipped and not
    /// kept.
    fn read_line(&mut self) -> io::Result<LineRead> {
        let with_line_end = (self.max_line_bytes as u64).saturating_add(1);
        self.line.clear();
        let mut bounded = self.input.by_ref().take(with_line_end);
        let kept = bounded.read_until(b'\n', &mut self.line)?;
        let is_complete = kept <= self.max_line_bytes || self.line.ends_with(b"\n");
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

fn decode_line(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line)
        .map(str::trim_end)
        .map_err(|error| {
            let at = error.valid_up_to() + 1;
            match foreign_format(line) {
                Some(format) => format!("from this line on the input is {format}"),
                None => {
                    format!("the line is not valid UTF-8 at byte {at}; convert the input to UTF-8")
                }
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers and texts; errors are marked by a `!`.
    fn read(input: &[u8]) -> Vec<(usize, String)> {
        let mut lines = Lines::open(input).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
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
    fn byte_order_marks_of_concatenated_files_are_skipped() {
        let input = b"\xEF\xBB\xBF{1}\n\xEF\xBB\xBF{2}\n\xEF\xBB\xBF\n\xEF\xBB\xBF\xEF\xBB\xBF{4}";
        assert_eq!(read(input), owned(&[(1, "{1}"), (2, "{2}"), (4, "{4}")]));
    }

    #[test]
    fn input_that_cannot_be_jsonl_is_named() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_mark: Vec<u8> = utf16("\u{feff}{}");
        let without_mark: Vec<u8> = utf16("{}");
        for (input, format) in [
            (with_mark.as_slice(), "UTF-16"),
            (&without_mark, "UTF-16"),
            (b"\xFE\xFF\0{", "UTF-16"),
            (b"\xFF\xFE\0\0{\0\0\0", "UTF-32"),
            (b"\x1F\x8B\x08\0\0\0", "gzip"),
            (b"PK\x03\x04....", "ZIP"),
            (b"BZh91AY&SY....", "bzip2"),
            (b"BZh9\x17\x72\x45\x38\x50\x90....", "bzip2"),
            (b"SQLite format 3\0....", "SQLite database"),
        ] {
            let error = Lines::open(input).err().unwrap();
            assert!(error.to_string().contains(format), "{format}: {error}");
        }
        let later = read(&[b"{1}\n\xFF\xFE".as_slice(), &without_mark].concat());
        assert!(later[1].1.contains("UTF-16"), "{later:?}");
        assert!(Lines::open(b"{".as_slice()).is_ok());
        for text in ["BZhang called.", "BZh9 is a name.", "BZh"] {
            assert_eq!(foreign_format(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn overlong_line_of_carriage_returns_is_named() {
        let lines = read(&b"{1}\r".repeat(MAX_LINE_BYTES / 2));
        assert!(lines[0].1.contains("carriage return"), "{lines:?}");
    }

    #[test]
    fn invalid_utf8_does_not_affect_the_next_line() {
        let lines = read(b"{1}\nab\xFF\n{3}\n");
        let expected = [
            (1, "{1}"),
            (
                2,
                "!the line is not valid UTF-8 at byte 3; convert the input to UTF-8",
            ),
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
    fn lines_may_have_another_limit() {
        let mut lines = Lines::with_max(b"12345\n123456\n".as_slice(), 5).unwrap();
        let first = lines.next_line().unwrap().unwrap();
        assert_eq!(first.text, Ok("12345"));
        let second = lines.next_line().unwrap().unwrap();
        assert!(second.text.unwrap_err().contains("longer than 5 bytes"));
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
