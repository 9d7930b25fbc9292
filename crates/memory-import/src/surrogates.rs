//! Escapes in JSON that are half a character.
//!
//! A program that cuts a text between the two UTF-16 units of a character, such as an emoji,
//! writes an escape like `\ud83d` alone. It encodes nothing, and a parser ends there: one of
//! them would make the rest of an export unreadable.

use std::cell::Cell;
use std::io::{self, BufRead, Read};

/// The escape of U+FFFD, which is as long as what it replaces.
const REPLACEMENT: &[u8; 6] = br"\ufffd";

/// Bytes of an escape of a UTF-16 unit.
const ESCAPE_BYTES: usize = REPLACEMENT.len();

/// Reads JSON with U+FFFD in place of each half of a character, at the same position.
pub(crate) struct ReplaceSurrogates<'a, R> {
    content: R,
    /// An escape that is not complete, or the first half of a character.
    pending: Vec<u8>,
    /// What was checked and not read yet.
    checked: Vec<u8>,
    /// How many bytes of `checked` were read.
    read: usize,
    replaced: &'a Cell<u64>,
}

impl<'a, R: BufRead> ReplaceSurrogates<'a, R> {
    /// Counts in `replaced` what it replaces.
    pub(crate) fn new(content: R, replaced: &'a Cell<u64>) -> Self {
        Self {
            content,
            pending: Vec::new(),
            checked: Vec::new(),
            read: 0,
            replaced,
        }
    }

    /// Checks further bytes, until there are some to read or the content ends.
    fn check_more(&mut self) -> io::Result<()> {
        self.checked.clear();
        self.read = 0;
        while self.checked.is_empty() {
            let chunk = self.content.fill_buf()?;
            let length = chunk.len();
            if length == 0 {
                // What is not complete at the end is the parser's to refuse.
                self.checked.append(&mut self.pending);
                return Ok(());
            }
            if self.pending.is_empty() && !chunk.contains(&b'\\') {
                self.checked.extend_from_slice(chunk);
            } else {
                for &byte in chunk {
                    push(byte, &mut self.pending, &mut self.checked, self.replaced);
                }
            }
            self.content.consume(length);
        }
        Ok(())
    }
}

/// Adds a byte, and moves from `pending` to `checked` what can no longer change.
fn push(byte: u8, pending: &mut Vec<u8>, checked: &mut Vec<u8>, replaced: &Cell<u64>) {
    pending.push(byte);
    let is_second = pending.len() > ESCAPE_BYTES;
    let start = if is_second { ESCAPE_BYTES } else { 0 };
    let last = &pending[start..];
    let is_escape = match last.len() {
        1 => byte == b'\\',
        2 => byte == b'u',
        _ => byte.is_ascii_hexdigit(),
    };
    if is_escape && last.len() < ESCAPE_BYTES {
        return;
    }
    let unit = if is_escape { unit_of(last) } else { None };
    let mut replace = || {
        replaced.set(replaced.get() + 1);
        checked.extend_from_slice(REPLACEMENT);
    };
    match (is_second, unit) {
        // The second half of a character that is whole.
        (true, Some(0xDC00..=0xDFFF)) => checked.append(pending),
        // The first half has no second one: this may be another first one.
        (true, _) => {
            replace();
            let rest = pending.split_off(ESCAPE_BYTES);
            pending.clear();
            for byte in rest {
                push(byte, pending, checked, replaced);
            }
        }
        (false, Some(0xD800..=0xDBFF)) => {}
        (false, Some(0xDC00..=0xDFFF)) => {
            replace();
            pending.clear();
        }
        (false, _) => checked.append(pending),
    }
}

/// The UTF-16 unit of a complete escape.
fn unit_of(escape: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(escape.get(2..)?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

impl<R: BufRead> Read for ReplaceSurrogates<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.checked.len() {
            self.check_more()?;
        }
        let mut rest = &self.checked[self.read..];
        let count = rest.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn replace(text: &str, chunk: usize) -> (String, u64) {
        let replaced = Cell::new(0);
        let content = BufReader::with_capacity(chunk, text.as_bytes());
        let mut read = String::new();
        let mut reader = ReplaceSurrogates::new(content, &replaced);
        reader.read_to_string(&mut read).unwrap();
        (read, replaced.get())
    }

    #[test]
    fn halves_of_characters_are_replaced_and_nothing_else() {
        for (text, expected, count) in [
            ("", "", 0),
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#, 0),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#, 0),
            (r#""\uD83D\uDE00\u00e9""#, r#""\uD83D\uDE00\u00e9""#, 0),
            (r#""\ud83d""#, r#""\ufffd""#, 1),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#, 2),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#, 1),
            (r#""\ud83d\n\ude00""#, r#""\ufffd\n\ufffd""#, 2),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#, 1),
            (r#""\ud83dx""#, r#""\ufffdx""#, 1),
            (r#""\\ud83d""#, r#""\\ud83d""#, 0),
            (r#""\\\ud83d""#, r#""\\\ufffd""#, 1),
            (r#""\ud83d\\ud83d""#, r#""\ufffd\\ud83d""#, 1),
            (r#""\ud8"#, r#""\ud8"#, 0),
            (r#""\ud83d"#, r#""\ud83d"#, 0),
            (r#""\ud83d\ude"#, r#""\ud83d\ude"#, 0),
            (r#""\uzzzz\ud83d!""#, r#""\uzzzz\ufffd!""#, 1),
        ] {
            for chunk in [1, 2, 3, 7, 1_000] {
                let found = replace(text, chunk);
                assert_eq!(found, (expected.to_owned(), count), "{text} by {chunk}");
            }
        }
    }
}
