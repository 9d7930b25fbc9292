//! Arguments of the programs, as `--name value`.

use std::env;

/// The value that follows `name`.
#[must_use]
pub fn argument(name: &str) -> Option<String> {
    env::args().skip_while(|argument| argument != name).nth(1)
}

/// The value that follows `name`.
///
/// # Errors
/// If there is none; the message has the name.
pub fn required(name: &str) -> Result<String, String> {
    argument(name).ok_or_else(|| format!("{name} is required"))
}
