//! Errors of opening a model and of computing with it, all of them [`MemoryError::Embedder`] or
//! [`MemoryError::Configuration`].
//!
//! No text that was to be embedded ever enters a message: what a tokenizer or
//! a panic says about a text may quote it, so it is left out.

use std::fmt::Display;
use std::io;
use std::path::Path;

use memory_assets::SETUP_COMMAND;
use memory_core::{ErrorKind, MemoryError};

/// The operation named by errors while an embedder is opened.
pub const OPEN: &str = "open the model";
/// The operation named by errors of `embed`.
pub const EMBED: &str = "embed";
/// The operation named by errors of `chunk`.
pub const CHUNK: &str = "chunk";

/// A part that is needed is not there; the message ends with what mends it.
#[must_use]
pub fn missing(what: impl Display) -> MemoryError {
    MemoryError::embedder(ErrorKind::Missing, OPEN, with_mend(what))
}

/// A file is there and cannot be used; the message ends with what mends it.
#[must_use]
pub fn corrupt(file: &Path, why: impl Display) -> MemoryError {
    let what = format!("{} is damaged: {why}", file.display());
    MemoryError::embedder(ErrorKind::Corrupt, OPEN, with_mend(what))
}

/// The model asks for something that this crate does not do.
#[must_use]
pub fn unsupported(file: &Path, what: impl Display) -> MemoryError {
    let message = format!("{}: {what}", file.display());
    MemoryError::embedder(ErrorKind::Unsupported, OPEN, message)
}

/// A file that could not be read: missing, or there and unreadable.
#[must_use]
pub fn unreadable(file: &Path, error: io::Error) -> MemoryError {
    if error.kind() == io::ErrorKind::NotFound {
        missing(format_args!("{} does not exist", file.display()))
    } else {
        let message = format!("{} cannot be read: {error}", file.display());
        MemoryError::embedder(ErrorKind::Other, OPEN, message).with_source(error)
    }
}

/// Something that should not happen and that no file is to blame for.
#[must_use]
pub fn failed(operation: &'static str, what: impl Into<String>) -> MemoryError {
    MemoryError::embedder(ErrorKind::Other, operation, what)
}

fn with_mend(what: impl Display) -> String {
    format!("{what}\nto mend this, run: {SETUP_COMMAND}")
}
