//! Counts of entities and caches.

use pyo3::prelude::*;

/// Generation and numbers of memories of an entity.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntityStats {
    generation: u64,
    memory_count: u64,
    archived_count: u64,
}

#[pymethods]
impl EntityStats {
    fn __repr__(&self) -> String {
        format!(
            "EntityStats(generation={}, memory_count={}, archived_count={})",
            self.generation, self.memory_count, self.archived_count
        )
    }
}

impl From<memory::EntityStats> for EntityStats {
    fn from(stats: memory::EntityStats) -> Self {
        Self {
            generation: stats.generation.0,
            memory_count: stats.memory_count,
            archived_count: stats.archived_count,
        }
    }
}

/// Counters of one tier.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct TierStats {
    entries: u64,
    bytes: u64,
    hits: u64,
    misses: u64,
    loads: u64,
    coalesced_loads: u64,
    evictions: u64,
    invalidations: u64,
    stale_fills_refused: u64,
    hit_rate: f64,
}

#[pymethods]
impl TierStats {
    fn __repr__(&self) -> String {
        format!(
            "TierStats(entries={}, bytes={}, hits={}, misses={}, hit_rate={:.3})",
            self.entries, self.bytes, self.hits, self.misses, self.hit_rate
        )
    }
}

impl From<memory::TierStats> for TierStats {
    fn from(stats: memory::TierStats) -> Self {
        Self {
            entries: stats.entries,
            bytes: stats.bytes,
            hits: stats.hits,
            misses: stats.misses,
            loads: stats.loads,
            coalesced_loads: stats.coalesced_loads,
            evictions: stats.evictions,
            invalidations: stats.invalidations,
            stale_fills_refused: stats.stale_fills_refused,
            hit_rate: stats.hit_rate(),
        }
    }
}

/// Counters of the three tiers since the system was opened.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct CacheStats {
    memory: TierStats,
    entity: TierStats,
    embedding: TierStats,
    hit_rate: f64,
}

#[pymethods]
impl CacheStats {
    fn __repr__(&self) -> String {
        format!(
            "CacheStats(memory={}, entity={}, embedding={}, hit_rate={:.3})",
            self.memory.__repr__(),
            self.entity.__repr__(),
            self.embedding.__repr__(),
            self.hit_rate
        )
    }
}

impl From<memory::CacheStats> for CacheStats {
    fn from(stats: memory::CacheStats) -> Self {
        Self {
            memory: stats.memory.into(),
            entity: stats.entity.into(),
            embedding: stats.embedding.into(),
            hit_rate: stats.hit_rate(),
        }
    }
}
