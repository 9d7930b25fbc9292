//! Times as aware `datetime.datetime` objects in UTC.

use chrono::{DateTime, Utc};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyTzInfo};

/// A moment. Python gives a `datetime` of any time zone, and gets one in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

impl FromPyObject<'_, '_> for Time {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let py = value.py();
        let time = value.cast::<PyDateTime>()?;
        // Also where there is a `tzinfo` without an offset: `astimezone` would take the time
        // for one of this machine's zone.
        if time.call_method0(intern!(py, "utcoffset"))?.is_none() {
            return Err(PyValueError::new_err(
                "a datetime has no time zone; give it one, as datetime.now(timezone.utc) has",
            ));
        }
        let utc = PyTzInfo::utc(py)?;
        let time = time.call_method1(intern!(py, "astimezone"), (utc,));
        let time = time.map_err(|error| match error.is_instance_of::<PyOverflowError>(py) {
            true => PyValueError::new_err(
                "a datetime is before year 1 or after year 9999 in UTC; memories cannot have it",
            ),
            false => error,
        })?;
        time.extract().map(Self)
    }
}

impl<'py> IntoPyObject<'py> for Time {
    type Target = PyDateTime;
    type Output = Bound<'py, PyDateTime>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        self.0.into_pyobject(py)
    }
}
