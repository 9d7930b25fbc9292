//! Content from an argument or from standard input.

use std::fmt;
use std::io::{self, Read};

use memory::limits;
use memory_json::{BYTE_ORDER_MARK, MAX_LINE_BYTES, foreign_format};

use crate::exit::{Code, Failure};

/// The content that an argument gives: itself, or standard input for `-`.
pub(crate) fn content(argument: String) -> Result<String, Failure> {
    let max = limits::MAX_CONTENT_CHARS;
    // No valid content is longer than what is read, so the rest need not be.
    read(
        argument,
        format_args!("content may have at most {max} characters"),
    )
}

/// The text that an argument gives, as [`content`], which is split if it is long.
pub(crate) fn document(argument: String) -> Result<String, Failure> {
    read(
        argument,
        format_args!("retain a longer document in several pieces"),
    )
}

fn read(argument: String, hint: fmt::Arguments<'_>) -> Result<String, Failure> {
    match argument.as_str() {
        "-" => read_stdin(hint),
        _ => Ok(argument),
    }
}

/// Reads standard input to its end, without trailing line ends. `hint` says what to do
/// where it is too long.
fn read_stdin(hint: fmt::Arguments<'_>) -> Result<String, Failure> {
    let max = MAX_LINE_BYTES as u64;
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(max + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::io("read standard input", &error))?;
    let refused = |message: String| Failure::new(Code::InvalidInput, "invalid_input", message);
    if bytes.len() > MAX_LINE_BYTES {
        return Err(refused(format!(
            "standard input holds more than {max} bytes; {hint}"
        )));
    }
    if let Some(format) = foreign_format(&bytes) {
        return Err(refused(format!("standard input is {format}")));
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        refused(format!(
            "standard input is not valid UTF-8 at byte {at}; convert it to UTF-8"
        ))
    })?;
    let kept = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(kept);
    Ok(text)
}
