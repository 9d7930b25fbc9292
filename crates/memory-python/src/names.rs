//! Values that Python gives by name, such as the kinds of memory.

use memory::onnx::Precision;
use memory::{
    AccessCounting, Excerpt, Language, LimitPolicy, ListScope, MemoryError, MemoryKind,
    MemoryTagMode, Preset, Ranking,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::to_exception;
use crate::identifiers::Id;

/// A value of the facade that Python gives by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Named<T>(pub(crate) T);

/// What has names.
pub(crate) trait HasNames: Sized {
    /// The value of a name, or the exception that says which names there are.
    fn from_name(py: Python<'_>, name: &str) -> PyResult<Self>;
}

impl<T: HasNames> FromPyObject<'_, '_> for Named<T> {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let name: String = value.extract()?;
        T::from_name(value.py(), &name).map(Self)
    }
}

/// The value of a name in a table.
fn choose<T: Copy>(what: &str, name: &str, values: &[(&str, T)]) -> PyResult<T> {
    let found = values.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = values.iter().map(|(known, _)| *known).collect();
        PyValueError::new_err(format!(
            "unknown {what} {}; it must be one of {}",
            Excerpt::from(name),
            known.join(", ")
        ))
    })
}

/// The facade's own parser, with its message.
fn parse<T: std::str::FromStr<Err = MemoryError>>(py: Python<'_>, name: &str) -> PyResult<T> {
    name.parse().map_err(|error| to_exception(py, &error))
}

impl HasNames for MemoryKind {
    fn from_name(py: Python<'_>, name: &str) -> PyResult<Self> {
        parse(py, name)
    }
}

impl HasNames for MemoryTagMode {
    fn from_name(py: Python<'_>, name: &str) -> PyResult<Self> {
        parse(py, name)
    }
}

impl HasNames for Language {
    fn from_name(_: Python<'_>, name: &str) -> PyResult<Self> {
        name.parse()
            .map_err(|error: memory::UnknownLanguage| PyValueError::new_err(error.to_string()))
    }
}

impl HasNames for Preset {
    fn from_name(_: Python<'_>, name: &str) -> PyResult<Self> {
        choose("preset", name, &Self::ALL.map(|it| (it.name(), it)))
    }
}

impl HasNames for Precision {
    fn from_name(_: Python<'_>, name: &str) -> PyResult<Self> {
        choose(
            "precision",
            name,
            &[("full", Self::Full), ("int8", Self::Int8)],
        )
    }
}

impl HasNames for LimitPolicy {
    fn from_name(_: Python<'_>, name: &str) -> PyResult<Self> {
        let values = [("reject", Self::Reject), ("prune", Self::Prune)];
        choose("limit policy", name, &values)
    }
}

impl HasNames for AccessCounting {
    fn from_name(_: Python<'_>, name: &str) -> PyResult<Self> {
        let values = [("background", Self::Background), ("off", Self::Off)];
        choose("access counting", name, &values)
    }
}

impl HasNames for Ranking {
    fn from_name(_: Python<'_>, name: &str) -> PyResult<Self> {
        let values = [
            ("default", Self::default()),
            ("weighted_sum", Self::weighted_sum()),
        ];
        choose("ranking", name, &values)
    }
}

/// Which memories are listed: `"live"`, `"archived"`, or the id of a summary for its
/// sources.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope(pub(crate) ListScope);

impl FromPyObject<'_, '_> for Scope {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        match value.extract::<String>() {
            Ok(name) if name == "live" => Ok(Self(ListScope::Live)),
            Ok(name) if name == "archived" => Ok(Self(ListScope::Archived)),
            _ => value
                .extract()
                .map(|id: Id| Self(ListScope::SourcesOf(id.0))),
        }
    }
}
