//! Errors of the facade as exceptions: one class for each kind, in `memory.errors`.

use std::error::Error;

use memory::MemoryError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::identifiers::Id;

/// The exception for an error, with the facade's message and what a program branches on.
/// Where the error is due to an exception, as of a language model in Python, that is its
/// cause.
pub(crate) fn to_exception(py: Python<'_>, error: &MemoryError) -> PyErr {
    let exception = match new_exception(py, error) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => return failure,
    };
    if let Some(cause) = find_cause(error) {
        exception.set_cause(py, Some(cause.clone_ref(py)));
    }
    exception
}

fn new_exception<'py>(py: Python<'py>, error: &MemoryError) -> PyResult<Bound<'py, PyAny>> {
    static NEW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let item = match error {
        MemoryError::InvalidInput { item, .. } => *item,
        _ => None,
    };
    let ids: Vec<Id> = error.ids().iter().copied().map(Id).collect();
    NEW.import(py, "memory.errors", "_new")?.call1((
        error.to_string(),
        error.kind().name(),
        error.is_retryable(),
        error.operation(),
        item,
        ids,
    ))
}

/// The exception of Python among the sources of an error.
fn find_cause(error: &MemoryError) -> Option<&PyErr> {
    let mut source = error.source();
    while let Some(lower) = source {
        if let Some(exception) = lower.downcast_ref() {
            return Some(exception);
        }
        source = lower.source();
    }
    None
}
