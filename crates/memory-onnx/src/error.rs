//! Constructors of this crate's errors, all of them [`MemoryError::Embedder`] or
//! [`MemoryError::Configuration`].
//!
//! No message contains text that was to be embedded.

use std::fmt::Display;
use std::io;
use std::path::Path;

use memory_core::{ErrorKind, MemoryError};
use memory_sentence_transformers::error as folder;
pub(crate) use memory_sentence_transformers::error::{CHUNK, EMBED, failed};

/// The operation named by errors of opening an embedder.
pub(crate) const OPEN: &str = "open the ONNX embedder";

/// Replaces the generic operation of opening a model by this embedder's.
pub(crate) fn opening(mut error: MemoryError) -> MemoryError {
    if let MemoryError::Embedder { operation, .. } = &mut error
        && *operation == folder::OPEN
    {
        *operation = OPEN;
    }
    error
}

/// A required file is missing. The message ends with the command that fixes it.
pub(crate) fn missing(what: impl Display) -> MemoryError {
    opening(folder::missing(what))
}

/// A file exists and is unusable. The message ends with the command that fixes
/// it.
pub(crate) fn corrupt(file: &Path, why: impl Display) -> MemoryError {
    opening(folder::corrupt(file, why))
}

/// The model needs something that this crate does not implement.
pub(crate) fn unsupported(file: &Path, what: impl Display) -> MemoryError {
    opening(folder::unsupported(file, what))
}

/// A file is missing or cannot be read.
pub(crate) fn unreadable(file: &Path, error: io::Error) -> MemoryError {
    opening(folder::unreadable(file, error))
}

/// The worker threads have ended.
pub(crate) fn stopped(operation: &'static str) -> MemoryError {
    let message = "the embedder's threads have ended; open the embedder again";
    MemoryError::embedder(ErrorKind::Closed, operation, message)
}
