//! Splitting a JSON document into values, without parsing them.
//!
//! Only strings and brackets are followed. So a value that is too large is passed over
//! without being held in memory, and nesting needs no stack.

use std::io::{self, BufRead};

/// Where something is in a document: its line, and its byte in that, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    fn advance(&mut self, bytes: &[u8]) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let last = lines.next_back().unwrap_or_default();
        match lines.count() {
            0 => self.column += last.len(),
            breaks => {
                self.line += breaks;
                self.column = last.len() + 1;
            }
        }
    }

    /// The position in the document of a position in the text that begins here.
    pub(crate) fn add(self, line: usize, column: usize) -> Self {
        match line {
            0 | 1 => Self {
                column: self.column - 1 + column,
                ..self
            },
            _ => Self {
                line: self.line + line - 1,
                column,
            },
        }
    }
}

/// Why a document cannot be split further.
#[derive(Debug)]
pub(crate) enum SplitError {
    Io(io::Error),
    /// It is not JSON.
    Syntax {
        position: Position,
        reason: &'static str,
    },
}

impl From<io::Error> for SplitError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A value that begins with a bracket and ends with the one that closes it, or a string,
/// or anything else up to the next comma or bracket.
#[derive(Debug)]
pub(crate) struct RawValue {
    /// Empty where it is too large.
    pub(crate) text: Vec<u8>,
    pub(crate) start: Position,
    pub(crate) is_too_large: bool,
}

/// Splits a document.
pub(crate) struct JsonSplitter<R> {
    content: R,
    position: Position,
}

impl<R: BufRead> JsonSplitter<R> {
    pub(crate) fn new(content: R) -> Self {
        let position = Position { line: 1, column: 1 };
        Self { content, position }
    }

    /// The next byte that is not white space, which stays; `None` at the end.
    pub(crate) fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            let chunk = self.content.fill_buf()?;
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
            let found = chunk.iter().position(|byte| !blank(byte));
            let (count, next) = match found {
                Some(index) => (index, Some(chunk[index])),
                None => (chunk.len(), None),
            };
            self.position.advance(&chunk[..count]);
            let is_end = chunk.is_empty();
            self.content.consume(count);
            if next.is_some() || is_end {
                return Ok(next);
            }
        }
    }

    /// Takes the next byte that is not white space if it is this one.
    pub(crate) fn take(&mut self, expected: u8) -> io::Result<bool> {
        let is_next = self.peek()? == Some(expected);
        if is_next {
            self.content.consume(1);
            self.position.column += 1;
        }
        Ok(is_next)
    }

    /// What is wrong with the next byte, or with the end.
    pub(crate) fn unexpected(&self, reason: &'static str) -> SplitError {
        let position = self.position;
        SplitError::Syntax { position, reason }
    }

    /// Takes a value of at most `max` bytes; a larger one is passed over.
    pub(crate) fn take_value(&mut self, max: u64) -> Result<RawValue, SplitError> {
        let first = self.peek()?;
        let mut value = RawValue {
            text: Vec::new(),
            start: self.position,
            is_too_large: false,
        };
        if let None | Some(b',' | b']' | b'}' | b':') = first {
            return Err(self.unexpected("expected value"));
        }
        let mut scanner = Scanner::default();
        loop {
            let chunk = self.content.fill_buf()?;
            if chunk.is_empty() {
                // The end of the file ends a number, or cuts off anything else.
                return match scanner.is_scalar() {
                    true => Ok(value),
                    false => Err(self.unexpected("EOF while parsing a value")),
                };
            }
            let end = scanner.find_end(chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let length = value.text.len() as u64 + part.len() as u64;
            value.is_too_large |= length > max;
            match value.is_too_large {
                true => value.text = Vec::new(),
                false => value.text.extend_from_slice(part),
            }
            let count = part.len();
            self.position.advance(part);
            self.content.consume(count);
            if end.is_some() {
                return Ok(value);
            }
        }
    }
}

/// Where in a value a reader is.
#[derive(Debug, Default)]
struct Scanner {
    depth: u64,
    in_string: bool,
    is_escaped: bool,
}

impl Scanner {
    fn is_scalar(&self) -> bool {
        self.depth == 0 && !self.in_string
    }

    /// Where the value ends in its next bytes.
    fn find_end(&mut self, chunk: &[u8]) -> Option<usize> {
        for (index, byte) in chunk.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => {
                        self.in_string = false;
                        if self.depth == 0 {
                            return Some(index + 1);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'[' | b'{' => self.depth += 1,
                // What follows a number.
                b']' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' if self.depth == 0 => {
                    return Some(index);
                }
                b']' | b'}' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(index + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn splitter(text: &str, chunk: usize) -> JsonSplitter<BufReader<&[u8]>> {
        JsonSplitter::new(BufReader::with_capacity(chunk, text.as_bytes()))
    }

    #[test]
    fn values_end_where_they_do_in_json() {
        for value in [
            "7",
            "-1.5e3",
            "null",
            "\"\"",
            r#""a\"]}\\""#,
            "[]",
            "{}",
            r#"{"a":[1,{"b":"}]"}],"c":"\\"}"#,
            "[\n1,\n2 ]",
        ] {
            for chunk in [1, 2, 3, 1_000] {
                for after in ["", ",1", " ,1", "]", "\n}"] {
                    let text = format!(" \n {value}{after}");
                    let mut splitter = splitter(&text, chunk);
                    let taken = splitter.take_value(1_000).unwrap();
                    assert_eq!(taken.text, value.as_bytes(), "{text}");
                    assert_eq!(taken.start, Position { line: 2, column: 2 });
                    let next = after.trim().bytes().next();
                    assert_eq!(splitter.peek().unwrap(), next, "{text}");
                }
            }
        }
    }

    #[test]
    fn large_values_are_passed_over() {
        let large = format!("[{}\"{}\"]", "[1],".repeat(100), "x".repeat(1_000));
        let text = format!("{large},8");
        for (max, fits) in [(0, false), (large.len() - 1, false), (large.len(), true)] {
            let mut splitter = splitter(&text, 64);
            let taken = splitter.take_value(max as u64).unwrap();
            assert_eq!(taken.is_too_large, !fits);
            assert_eq!(taken.text.len(), if fits { large.len() } else { 0 });
            assert!(splitter.take(b',').unwrap());
            assert_eq!(splitter.take_value(1).unwrap().text, b"8");
        }
    }

    #[test]
    fn what_is_cut_off_is_an_error_with_its_place() {
        for text in ["", "\n[1,\n[", "\"abc", "{\"a\":\"\\\"", ",", "]"] {
            let error = splitter(text, 2).take_value(1_000).unwrap_err();
            let SplitError::Syntax { position, .. } = error else {
                panic!("{error:?}");
            };
            assert_eq!(position.line, text.matches('\n').count() + 1, "{text}");
        }
        let position = Position { line: 3, column: 5 };
        assert_eq!(position.add(1, 2), Position { line: 3, column: 6 });
        assert_eq!(position.add(4, 2), Position { line: 6, column: 2 });
    }
}
