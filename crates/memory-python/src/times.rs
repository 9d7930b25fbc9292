//! Times as aware `datetime.datetime` objects in UTC.

use chrono::{DateTime, Utc};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyTzInfo, PyTzInfoAccess};

/// A moment. Python gives a `datetime` of any time zone, and gets one in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

impl FromPyObject<'_, '_> for Time {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let time = value.cast::<PyDateTime>()?;
        if time.get_tzinfo().is_none() {
            return Err(PyValueError::new_err(
                "a datetime has no time zone; give it one, as datetime.now(timezone.utc) has",
            ));
        }
        let utc = PyTzInfo::utc(value.py())?;
        let time = time.call_method1(intern!(value.py(), "astimezone"), (utc,))?;
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
