//! Content from an argument or from standard input.

use std::io::{self, Read};

use memory::limits;
use memory_json::{BYTE_ORDER_MARK, MAX_LINE_BYTES, foreign_format};

use crate::exit::{Code, Failure};

/// The content that an argument gives: itself, or standard input for `-`.
pub(crate) fn content(argument: String) -> Result<String, Failure> {
    match argument.as_str() {
        "-" => read_stdin(),
        _ => Ok(argument),
    }
}

/// Reads standard input to its end, without trailing line ends.
fn read_stdin() -> Result<String, Failure> {
    // No valid content is longer, so the rest need not be read.
    let max = MAX_LINE_BYTES as u64;
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(max + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::io("read standard input", &error))?;
    let refused = |message: String| Failure::new(Code::InvalidInput, "invalid_input", message);
    if bytes.len() > MAX_LINE_BYTES {
        return Err(refused(format!(
            "standard input holds more than {max} bytes; content may have at most {} characters",
            limits::MAX_CONTENT_CHARS
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
