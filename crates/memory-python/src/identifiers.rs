//! Ids of memories as `uuid.UUID`.

use std::collections::BTreeMap;

use memory::MemoryId;
use pyo3::prelude::*;
use pyo3::types::PyString;
use uuid::Uuid;

use crate::errors::to_exception;

/// The id of a memory. Python gives a `uuid.UUID` or its text, and gets a `uuid.UUID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) MemoryId);

impl FromPyObject<'_, '_> for Id {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.cast::<PyString>() {
            let id = text.to_cow()?.parse();
            return id
                .map(Self)
                .map_err(|error| to_exception(value.py(), &error));
        }
        value.extract().map(|uuid: Uuid| Self(uuid.into()))
    }
}

impl<'py> IntoPyObject<'py> for Id {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        self.0.as_uuid().into_pyobject(py)
    }
}

/// Ids for Python.
pub(crate) fn to_ids(ids: impl IntoIterator<Item = MemoryId>) -> Vec<Id> {
    ids.into_iter().map(Id).collect()
}

/// Ids from Python.
pub(crate) fn from_ids(ids: impl IntoIterator<Item = Id>) -> Vec<MemoryId> {
    ids.into_iter().map(|id| id.0).collect()
}

/// Links from Python, from ids to relations.
pub(crate) fn from_links(links: BTreeMap<Id, String>) -> BTreeMap<MemoryId, String> {
    links
        .into_iter()
        .map(|(id, relation)| (id.0, relation))
        .collect()
}
