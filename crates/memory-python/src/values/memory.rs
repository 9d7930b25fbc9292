//! A memory, and pages of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;
use pyo3::prelude::*;
use pyo3::types::PyFrozenSet;

use super::float;
use super::repr::excerpt;
use crate::identifiers::Id;
use crate::state::{Reduced, reduce, restore};
use crate::times::Time;

/// One memory of one entity. Collections are copies: changing them changes no memory.
#[pyclass(frozen, eq, from_py_object, module = "memory")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Memory(pub(crate) Arc<memory::Memory>);

#[pymethods]
impl Memory {
    #[getter]
    fn id(&self) -> Id {
        Id(self.0.id)
    }

    #[getter]
    fn entity_id(&self) -> &str {
        self.0.entity_id.as_str()
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind.as_str()
    }

    #[getter]
    fn content(&self) -> &str {
        &self.0.content
    }

    #[getter]
    fn timestamp(&self) -> Time {
        Time(self.0.timestamp)
    }

    #[getter]
    fn last_accessed(&self) -> Option<Time> {
        self.0.last_accessed.map(Time)
    }

    #[getter]
    fn access_count(&self) -> u64 {
        self.0.access_count
    }

    #[getter]
    fn importance(&self) -> f64 {
        float(self.0.importance)
    }

    #[getter]
    fn decay_rate(&self) -> f64 {
        float(self.0.decay_rate)
    }

    #[getter]
    fn context(&self) -> Option<&str> {
        self.0.context.as_deref()
    }

    #[getter]
    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    #[getter]
    fn related(&self) -> BTreeMap<Id, &str> {
        let links = self.0.related.iter();
        links.map(|(id, relation)| (Id(*id), &**relation)).collect()
    }

    #[getter]
    fn entities(&self) -> BTreeMap<&str, &str> {
        let entities = self.0.entities.iter();
        entities
            .map(|(entity, role)| (entity.as_str(), &**role))
            .collect()
    }

    #[getter]
    fn tags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyFrozenSet>> {
        let tags: &BTreeSet<String> = &self.0.tags;
        PyFrozenSet::new(py, tags)
    }

    #[getter]
    fn archived_by(&self) -> Option<Id> {
        self.0.archived_by.map(Id)
    }

    #[getter]
    fn is_live(&self) -> bool {
        self.0.is_live()
    }

    /// Importance after decay and raised by accesses, now or at a moment.
    #[pyo3(signature = (at=None))]
    fn current_importance(&self, at: Option<Time>) -> f64 {
        let at = at.map_or_else(Utc::now, |at| at.0);
        float(self.0.current_importance(at))
    }

    fn __reduce__<'py>(this: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduce(this, &*this.get().0)
    }

    #[staticmethod]
    fn _restore(state: &str) -> PyResult<Self> {
        restore(state).map(|memory: memory::Memory| memory.into())
    }

    pub(super) fn __repr__(&self) -> String {
        format!(
            "Memory(id=UUID('{}'), entity_id={}, kind='{}', content={})",
            self.0.id,
            excerpt(self.0.entity_id.as_str()),
            self.0.kind,
            excerpt(&self.0.content),
        )
    }
}

impl From<memory::Memory> for Memory {
    fn from(memory: memory::Memory) -> Self {
        Self(Arc::new(memory))
    }
}

/// A page of a list, newest first.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone)]
pub(crate) struct ListPage {
    memories: Vec<Memory>,
    next: Option<PageCursor>,
    generation: u64,
}

#[pymethods]
impl ListPage {
    fn __repr__(&self) -> String {
        format!(
            "ListPage({} memories, generation={}, next={})",
            self.memories.len(),
            self.generation,
            self.next
                .as_ref()
                .map_or_else(|| "None".to_owned(), PageCursor::__repr__),
        )
    }
}

impl From<Arc<memory::ListPage>> for ListPage {
    fn from(page: Arc<memory::ListPage>) -> Self {
        let page = Arc::unwrap_or_clone(page);
        Self {
            memories: page.memories.into_iter().map(Memory::from).collect(),
            next: page.next.map(PageCursor),
            generation: page.generation.0,
        }
    }
}

/// Where a page ended.
#[pyclass(frozen, eq, hash, from_py_object, module = "memory")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PageCursor(pub(crate) memory::PageCursor);

#[pymethods]
impl PageCursor {
    #[new]
    fn new(timestamp: Time, id: Id) -> Self {
        Self(memory::PageCursor {
            timestamp: timestamp.0,
            id: id.0,
        })
    }

    #[getter]
    fn timestamp(&self) -> Time {
        Time(self.0.timestamp)
    }

    #[getter]
    fn id(&self) -> Id {
        Id(self.0.id)
    }

    fn __getnewargs__(&self) -> (Time, Id) {
        (self.timestamp(), self.id())
    }

    fn __repr__(&self) -> String {
        format!("PageCursor('{}', UUID('{}'))", self.0.timestamp, self.0.id)
    }
}
