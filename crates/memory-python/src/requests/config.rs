//! The configuration of a system.

use std::time::Duration;

use memory::{
    AccessCounting, ByteSize, Consistency, Excerpt, Language, LimitPolicy,
    MemoryConfig as FacadeConfig, Preset,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDelta;

use super::count::optional_count;
use crate::names::Named;

/// Sizes and lifetimes of the tiers, and limits of entities. What is given replaces the
/// value of every other source of settings; what is left out does not.
#[pyclass(frozen, eq, from_py_object, module = "memory")]
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MemoryConfig {
    pub(crate) preset: Option<Preset>,
    cache_max_capacity: Option<u64>,
    cache_ttl_seconds: Option<u64>,
    cache_tti_seconds: Option<u64>,
    embedding_cache_capacity: Option<u64>,
    embedding_cache_ttl_seconds: Option<u64>,
    memory_cache_max_bytes: Option<u64>,
    entity_cache_max_bytes: Option<u64>,
    embedding_cache_max_bytes: Option<u64>,
    consistency: Option<Consistency>,
    max_memories_per_entity: Option<u64>,
    limit_policy: Option<LimitPolicy>,
    prune_min_keep: Option<u64>,
    consolidation_threshold: Option<u64>,
    access_counting: Option<AccessCounting>,
    language: Option<Language>,
    warm_entities: Option<u64>,
}

#[pymethods]
impl MemoryConfig {
    #[new]
    #[pyo3(signature = (*, preset=None, cache_max_capacity=None, cache_ttl_seconds=None, cache_tti_seconds=None, embedding_cache_capacity=None, embedding_cache_ttl_seconds=None, memory_cache_max_bytes=None, entity_cache_max_bytes=None, embedding_cache_max_bytes=None, consistency=None, max_memories_per_entity=None, limit_policy=None, prune_min_keep=None, consolidation_threshold=None, access_counting=None, language=None, warm_entities=None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of Python, one for each setting"
    )]
    fn new(
        preset: Option<Named<Preset>>,
        #[pyo3(from_py_with = optional_count)] cache_max_capacity: Option<u64>,
        #[pyo3(from_py_with = optional_count)] cache_ttl_seconds: Option<u64>,
        #[pyo3(from_py_with = optional_count)] cache_tti_seconds: Option<u64>,
        #[pyo3(from_py_with = optional_count)] embedding_cache_capacity: Option<u64>,
        #[pyo3(from_py_with = optional_count)] embedding_cache_ttl_seconds: Option<u64>,
        #[pyo3(from_py_with = optional_count)] memory_cache_max_bytes: Option<u64>,
        #[pyo3(from_py_with = optional_count)] entity_cache_max_bytes: Option<u64>,
        #[pyo3(from_py_with = optional_count)] embedding_cache_max_bytes: Option<u64>,
        consistency: Option<ConsistencyArgument>,
        #[pyo3(from_py_with = optional_count)] max_memories_per_entity: Option<u64>,
        limit_policy: Option<Named<LimitPolicy>>,
        #[pyo3(from_py_with = optional_count)] prune_min_keep: Option<u64>,
        #[pyo3(from_py_with = optional_count)] consolidation_threshold: Option<u64>,
        access_counting: Option<Named<AccessCounting>>,
        language: Option<Named<Language>>,
        #[pyo3(from_py_with = optional_count)] warm_entities: Option<u64>,
    ) -> Self {
        Self {
            preset: preset.map(|preset| preset.0),
            cache_max_capacity,
            cache_ttl_seconds,
            cache_tti_seconds,
            embedding_cache_capacity,
            embedding_cache_ttl_seconds,
            memory_cache_max_bytes,
            entity_cache_max_bytes,
            embedding_cache_max_bytes,
            consistency: consistency.map(|consistency| consistency.0),
            max_memories_per_entity,
            limit_policy: limit_policy.map(|policy| policy.0),
            prune_min_keep,
            consolidation_threshold,
            access_counting: access_counting.map(|counting| counting.0),
            language: language.map(|language| language.0),
            warm_entities,
        }
    }
}

impl MemoryConfig {
    /// Sets what is given.
    pub(crate) fn apply(&self, config: &mut FacadeConfig) {
        fn set<T: Copy>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut config.cache_max_capacity, self.cache_max_capacity);
        set(&mut config.cache_ttl_seconds, self.cache_ttl_seconds);
        set(&mut config.cache_tti_seconds, self.cache_tti_seconds);
        set(
            &mut config.embedding_cache_capacity,
            self.embedding_cache_capacity,
        );
        set(
            &mut config.embedding_cache_ttl_seconds,
            self.embedding_cache_ttl_seconds,
        );
        set(
            &mut config.memory_cache_max_bytes,
            self.memory_cache_max_bytes.map(ByteSize),
        );
        set(
            &mut config.entity_cache_max_bytes,
            self.entity_cache_max_bytes.map(ByteSize),
        );
        set(
            &mut config.embedding_cache_max_bytes,
            self.embedding_cache_max_bytes.map(ByteSize),
        );
        set(&mut config.consistency, self.consistency.map(Some));
        set(
            &mut config.max_memories_per_entity,
            self.max_memories_per_entity.map(Some),
        );
        set(&mut config.limit_policy, self.limit_policy);
        set(&mut config.prune_min_keep, self.prune_min_keep);
        set(
            &mut config.consolidation_threshold,
            self.consolidation_threshold,
        );
        set(&mut config.access_counting, self.access_counting);
        set(&mut config.language, self.language.map(Some));
        set(&mut config.warm_entities, self.warm_entities);
    }
}

/// `"local"`, `"checked"`, or a `timedelta` that bounds how old a read may be.
struct ConsistencyArgument(Consistency);

impl FromPyObject<'_, '_> for ConsistencyArgument {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if value.is_instance_of::<PyDelta>() {
            let bound: Duration = value.extract()?;
            return Ok(Self(Consistency::Bounded(bound)));
        }
        match &*value.extract::<String>()? {
            "local" => Ok(Self(Consistency::Local)),
            "checked" => Ok(Self(Consistency::Checked)),
            other => Err(PyValueError::new_err(format!(
                "unknown consistency {}; it must be local, checked or a timedelta",
                Excerpt::from(other),
            ))),
        }
    }
}
