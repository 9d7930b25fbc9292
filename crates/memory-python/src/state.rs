//! What `pickle` and `copy` store of an object.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The name of the function that makes an object from its state.
const RESTORE: &str = "_restore";

/// What `__reduce__` returns: the function that makes the object again, and the state that
/// it takes.
pub(crate) type Reduced<'py> = (Bound<'py, PyAny>, (String,));

/// Reduces an object of a class that has the function `_restore`.
pub(crate) fn reduce<'py>(
    object: &Bound<'py, PyAny>,
    value: &impl Serialize,
) -> PyResult<Reduced<'py>> {
    let state = serde_json::to_string(value).map_err(to_value_error)?;
    Ok((object.get_type().getattr(RESTORE)?, (state,)))
}

/// The value of a state.
pub(crate) fn restore<T: DeserializeOwned>(state: &str) -> PyResult<T> {
    serde_json::from_str(state).map_err(to_value_error)
}

/// Without the text of the error, which quotes values.
fn to_value_error(_: serde_json::Error) -> PyErr {
    PyValueError::new_err("the state of a pickled object is damaged, or of another version")
}
