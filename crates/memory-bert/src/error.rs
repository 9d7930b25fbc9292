//! Constructors of the errors that only this crate has; the others are in
//! `memory-sentence-transformers`.

use memory_core::{ErrorKind, MemoryError};
use memory_sentence_transformers::error;

pub(crate) use error::{CHUNK, EMBED, OPEN};

/// The worker thread has ended.
pub(crate) fn stopped(operation: &'static str) -> MemoryError {
    let message = "the embedder's thread has ended; open the embedder again";
    MemoryError::embedder(ErrorKind::Closed, operation, message)
}

/// libtorch returned an error. Its messages contain shapes and sizes, and never
/// text, because it processes only numbers.
pub(crate) fn libtorch(operation: &'static str, why: impl std::fmt::Display) -> MemoryError {
    error::failed(operation, format!("libtorch: {why}"))
}
