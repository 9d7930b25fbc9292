//! Filters of lists and recalls.

use std::collections::{BTreeMap, BTreeSet};

use memory::{MemoryKind, MemoryTagMode};
use pyo3::prelude::*;

use super::Labels;
use crate::identifiers::Id;
use crate::names::Named;
use crate::state::{Reduced, reduce, restore};
use crate::times::Time;

/// Which memories an operation is about: those that meet every condition.
#[pyclass(frozen, eq, from_py_object, module = "memory")]
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MemoryFilter(pub(crate) memory::MemoryFilter);

#[pymethods]
impl MemoryFilter {
    #[new]
    #[pyo3(signature = (*, kinds=None, tags=None, tag_mode=None, since=None, until=None, metadata=None, involves=None, relates_to=None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of Python, one for each condition"
    )]
    fn new(
        kinds: Option<Vec<Named<MemoryKind>>>,
        tags: Option<Labels>,
        tag_mode: Option<Named<MemoryTagMode>>,
        since: Option<Time>,
        until: Option<Time>,
        metadata: Option<BTreeMap<String, String>>,
        involves: Option<String>,
        relates_to: Option<Id>,
    ) -> Self {
        let mut filter = memory::MemoryFilter::new();
        filter.kinds = kinds.into_iter().flatten().map(|kind| kind.0).collect();
        filter.tags = BTreeSet::from_iter(tags.unwrap_or_default().0);
        filter.tag_mode = tag_mode.map(|mode| mode.0).unwrap_or_default();
        filter.since = since.map(|since| since.0);
        filter.until = until.map(|until| until.0);
        filter.metadata = metadata.unwrap_or_default();
        filter.involves = involves.map(Into::into);
        filter.relates_to = relates_to.map(|id| id.0);
        Self(filter)
    }

    /// Whether a memory meets every condition.
    fn matches(&self, memory: &crate::values::memory::Memory) -> bool {
        self.0.matches(&memory.0)
    }

    fn __reduce__<'py>(this: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduce(this, &this.get().0)
    }

    #[staticmethod]
    fn _restore(state: &str) -> PyResult<Self> {
        restore(state).map(Self)
    }
}

/// The filter of an optional argument: without one, every memory matches.
pub(crate) fn or_everything(filter: Option<MemoryFilter>) -> memory::MemoryFilter {
    filter.unwrap_or_default().0
}
