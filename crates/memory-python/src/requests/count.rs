//! Counts from Python. One that is out of range is a `ValueError`, as every other value that
//! is refused: to pyo3 it is an `OverflowError`, which is neither that nor an error of
//! `memory`.

use std::num::NonZeroU32;

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;

/// The number of something.
pub(crate) fn count(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    let refused = |error: PyErr| out_of_range(value.py(), error, 0, usize::MAX as u64);
    value.extract::<usize>().map_err(refused)
}

/// As [`count`], of memories in a store.
pub(crate) fn stored_count(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let refused = |error: PyErr| out_of_range(value.py(), error, 0, u64::MAX);
    value.extract::<u64>().map_err(refused)
}

/// As [`stored_count`], which may be left out.
pub(crate) fn optional_count(value: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    let refused = |error: PyErr| out_of_range(value.py(), error, 0, u64::MAX);
    value.extract::<Option<u64>>().map_err(refused)
}

/// How many per second, which may be left out.
pub(crate) fn optional_rate(value: &Bound<'_, PyAny>) -> PyResult<Option<NonZeroU32>> {
    let refused = |error: PyErr| out_of_range(value.py(), error, 1, u64::from(u32::MAX));
    value.extract::<Option<NonZeroU32>>().map_err(refused)
}

fn out_of_range(py: Python<'_>, error: PyErr, least: u64, most: u64) -> PyErr {
    match error.is_instance_of::<PyOverflowError>(py) {
        true => PyValueError::new_err(format!(
            "a number is out of range; it must be from {least} to {most}"
        )),
        false => error,
    }
}
