//! Lists of texts.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Texts from any iterable of Python but a text itself, whose characters would be taken
/// for labels.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(pub(crate) Vec<String>);

impl FromPyObject<'_, '_> for Labels {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if value.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(
                "a str is given; it must be a list or another collection of str",
            ));
        }
        let texts = value.try_iter()?.map(|text| text?.extract());
        texts.collect::<PyResult<_>>().map(Self)
    }
}
