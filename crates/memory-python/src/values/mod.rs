//! What operations return, as immutable objects of Python.
//!
//! | module | contents |
//! |---|---|
//! | `memory` | a memory, and pages of them |
//! | `recall` | hits of recalls and reflections |
//! | `lifecycle` | reports of consolidation and re-embedding, related memories |
//! | `stats` | counts of entities and caches |
//! | `repr` | short texts for `repr()` |

use std::convert::Infallible;

use pyo3::Borrowed;
use pyo3::prelude::*;
use pyo3::types::PyNone;

pub(crate) mod lifecycle;
pub(crate) mod memory;
pub(crate) mod recall;
mod repr;
pub(crate) mod stats;

pub(crate) use repr::excerpt;

/// A number as Python writes it: 0.9 for the `f32` nearest to it, not
/// 0.8999999761581421.
pub(crate) fn float(value: f32) -> f64 {
    value
        .to_string()
        .parse()
        .unwrap_or_else(|_| f64::from(value))
}

/// `None`, for operations without a result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nothing;

impl From<()> for Nothing {
    fn from((): ()) -> Self {
        Self
    }
}

impl<'py> IntoPyObject<'py> for Nothing {
    type Target = PyNone;
    type Output = Borrowed<'py, 'py, PyNone>;
    type Error = Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(PyNone::get(py))
    }
}
