//! Changes to a memory.

use pyo3::prelude::*;

/// What happens to the context of a memory.
#[derive(Debug, Clone, Default)]
pub(crate) enum ContextChange {
    /// It stays: the argument is left out.
    #[default]
    Keep,
    /// It is replaced, or removed by `None`.
    Replace(Option<String>),
}

impl ContextChange {
    /// The field of a patch.
    pub(crate) fn into_field(self) -> Option<Option<String>> {
        match self {
            Self::Keep => None,
            Self::Replace(context) => Some(context),
        }
    }
}

impl FromPyObject<'_, '_> for ContextChange {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        value.extract().map(Self::Replace)
    }
}
