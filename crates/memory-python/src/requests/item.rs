//! Memories to retain.

use std::collections::{BTreeMap, BTreeSet};

use memory::MemoryKind;
use pyo3::prelude::*;

use super::Labels;
use crate::identifiers::{Id, from_links};
use crate::names::Named;
use crate::state::{Reduced, reduce, restore};
use crate::times::Time;

/// A memory to be retained: an entity, a kind, a content, and what else is known.
#[pyclass(frozen, eq, from_py_object, module = "memory")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MemoryBatchItem(pub(crate) memory::MemoryBatchItem);

#[pymethods]
impl MemoryBatchItem {
    #[new]
    #[pyo3(signature = (entity, kind, content, *, id=None, timestamp=None, importance=None, context=None, metadata=None, related=None, entities=None, tags=None, embedding=None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of Python, one for each field"
    )]
    pub(crate) fn new(
        entity: &str,
        kind: Named<MemoryKind>,
        content: String,
        id: Option<Id>,
        timestamp: Option<Time>,
        importance: Option<f32>,
        context: Option<String>,
        metadata: Option<BTreeMap<String, String>>,
        related: Option<BTreeMap<Id, String>>,
        entities: Option<BTreeMap<String, String>>,
        tags: Option<Labels>,
        embedding: Option<Vec<f32>>,
    ) -> Self {
        let mut item = memory::MemoryBatchItem::new(entity, kind.0, content);
        item.id = id.map(|id| id.0);
        item.timestamp = timestamp.map(|timestamp| timestamp.0);
        item.importance = importance;
        item.context = context;
        item.metadata = metadata.unwrap_or_default();
        item.related = from_links(related.unwrap_or_default());
        item.entities = to_participants(entities.unwrap_or_default());
        item.tags = BTreeSet::from_iter(tags.unwrap_or_default().0);
        item.embedding = embedding;
        Self(item)
    }

    fn __repr__(&self) -> String {
        format!(
            "MemoryBatchItem({:?}, '{}', {})",
            self.0.entity_id.as_str(),
            self.0.kind,
            crate::values::excerpt(&self.0.content),
        )
    }

    fn __reduce__<'py>(this: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduce(this, &this.get().0)
    }

    #[staticmethod]
    fn _restore(state: &str) -> PyResult<Self> {
        restore(state).map(Self)
    }
}

/// Participants from Python, each with a role.
pub(crate) fn to_participants(
    entities: BTreeMap<String, String>,
) -> BTreeMap<memory::EntityId, String> {
    let entities = entities.into_iter();
    entities
        .map(|(entity, role)| (entity.into(), role))
        .collect()
}
