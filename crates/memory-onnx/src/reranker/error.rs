//! Constructors of a reranker's errors, and the conversion of an embedder's.

use std::io;

use memory_core::{ErrorKind, MemoryError};
use memory_sentence_transformers::error::without_fix;

/// The operation named by errors of opening a reranker.
pub(super) const OPEN: &str = "open the ONNX reranker";
/// The operation named by errors of scoring.
pub(super) const SCORE: &str = "score";

/// Turns an error of the parts that embedders share into a reranker's.
pub(super) fn into_reranker(operation: &'static str, error: MemoryError) -> MemoryError {
    match error {
        MemoryError::Embedder {
            kind,
            message,
            source,
            ..
        } => MemoryError::Reranker {
            kind,
            operation,
            message,
            source,
        },
        other => other,
    }
}

/// An error in the caller's model directory, which no command installs.
pub(super) fn in_folder(error: MemoryError) -> MemoryError {
    into_reranker(OPEN, without_fix(error))
}

/// An unexpected failure that no file caused.
pub(super) fn failed(operation: &'static str, what: impl Into<String>) -> MemoryError {
    MemoryError::reranker(ErrorKind::Other, operation, what)
}

/// The thread has ended.
pub(super) fn stopped(operation: &'static str) -> MemoryError {
    let message = "the reranker's thread has ended; open the reranker again";
    MemoryError::reranker(ErrorKind::Closed, operation, message)
}

/// A thread could not be started.
pub(super) fn no_thread(error: io::Error) -> MemoryError {
    failed(OPEN, format!("cannot start a thread: {error}")).with_source(error)
}
