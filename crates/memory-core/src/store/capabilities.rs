//! What a store is and can do.

use crate::limits;

/// What a store is and can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCapabilities {
    /// Its name in errors and reports: `sqlite`, `postgres`, …
    pub backend: &'static str,
    /// Whether an acknowledged write survives the end of the process.
    pub durable: bool,
    /// Whether [`Store::search`](super::Store::search) has a lexical retriever.
    pub lexical: bool,
    /// The most dimensions that a vector may have.
    pub max_dimensions: usize,
    /// How exactly vectors come back.
    pub precision: VectorPrecision,
}

/// How exactly a store gives back the vectors that it was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VectorPrecision {
    /// As `f32`, bit for bit.
    #[default]
    Single,
    /// Each component rounded to the nearest IEEE 754 `binary16`, ties to even.
    Half,
}

impl StoreCapabilities {
    /// A durable store with a lexical retriever and the core's own vector bound.
    #[must_use]
    pub const fn new(backend: &'static str) -> Self {
        Self {
            backend,
            durable: true,
            lexical: true,
            max_dimensions: limits::MAX_DIMENSIONS,
            precision: VectorPrecision::Single,
        }
    }

    /// Sets whether acknowledged writes survive the end of the process.
    #[must_use]
    pub const fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Sets whether there is a lexical retriever.
    #[must_use]
    pub const fn lexical(mut self, lexical: bool) -> Self {
        self.lexical = lexical;
        self
    }

    /// Sets the most dimensions that a vector may have.
    #[must_use]
    pub const fn max_dimensions(mut self, max_dimensions: usize) -> Self {
        self.max_dimensions = max_dimensions;
        self
    }

    /// Sets how exactly vectors come back.
    #[must_use]
    pub const fn precision(mut self, precision: VectorPrecision) -> Self {
        self.precision = precision;
        self
    }
}
