//! The errors of this crate, all of them [`MemoryError::Embedder`] or
//! [`MemoryError::Configuration`].
//!
//! No text that was to be embedded ever enters a message: what a tokenizer or
//! a panic says about a text may quote it, so it is left out.

use std::fmt::Display;
use std::io;
use std::path::Path;

use memory_core::{ErrorKind, MemoryError};
use memory_sentence_transformers::error as folder;
pub(crate) use memory_sentence_transformers::error::{CHUNK, EMBED, failed};

/// The operation named by errors while an embedder is opened.
pub(crate) const OPEN: &str = "open the ONNX embedder";

/// An error of opening any model, said of this embedder.
pub(crate) fn opening(mut error: MemoryError) -> MemoryError {
    if let MemoryError::Embedder { operation, .. } = &mut error
        && *operation == folder::OPEN
    {
        *operation = OPEN;
    }
    error
}

/// A part that is needed is not there; the message ends with what mends it.
pub(crate) fn missing(what: impl Display) -> MemoryError {
    opening(folder::missing(what))
}

/// A file is there and cannot be used; the message ends with what mends it.
pub(crate) fn corrupt(file: &Path, why: impl Display) -> MemoryError {
    opening(folder::corrupt(file, why))
}

/// The model asks for something that this crate does not do.
pub(crate) fn unsupported(file: &Path, what: impl Display) -> MemoryError {
    opening(folder::unsupported(file, what))
}

/// A file that could not be read: missing, or there and unreadable.
pub(crate) fn unreadable(file: &Path, error: io::Error) -> MemoryError {
    opening(folder::unreadable(file, error))
}

/// The threads that do the work are gone.
pub(crate) fn stopped(operation: &'static str) -> MemoryError {
    let message = "the embedder's threads have stopped; open it anew";
    MemoryError::embedder(ErrorKind::Closed, operation, message)
}
