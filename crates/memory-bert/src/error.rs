//! The errors that only this crate has; the rest are those of a model's folder
//! in `memory-sentence-transformers`.

use memory_core::{ErrorKind, MemoryError};
use memory_sentence_transformers::error;

pub(crate) use error::{CHUNK, EMBED, OPEN};

/// The thread that does the work is gone.
pub(crate) fn stopped(operation: &'static str) -> MemoryError {
    let message = "the embedder's thread has stopped; open a new one";
    MemoryError::embedder(ErrorKind::Closed, operation, message)
}

/// libtorch refused to compute. What it says names shapes and sizes, and never
/// a text: it sees numbers alone.
pub(crate) fn refused(operation: &'static str, why: impl std::fmt::Display) -> MemoryError {
    error::failed(operation, format!("libtorch: {why}"))
}
