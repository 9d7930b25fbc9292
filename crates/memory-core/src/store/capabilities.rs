//! Capabilities of a store.

use crate::limits;

/// What a store is and supports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCapabilities {
    /// The name in errors and reports: `sqlite`, `postgres`, …
    pub backend: &'static str,
    /// Whether an acknowledged write survives the end of the process.
    pub durable: bool,
    /// Whether [`Store::search`](super::Store::search) has a lexical retriever.
    pub lexical: bool,
    /// Whether [`Store::search`](super::Store::search) returns samples. The
    /// provided one does.
    pub samples: bool,
    /// Whether [`Store::neighbors`](super::Store::neighbors) is supported.
    pub neighbors: bool,
    /// Whether calls after [`Store::close`](super::Store::close) answer
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    ///
    /// A call that is running then may answer it as well, where it waits for a connection, or
    /// is of several statements and needs another connection, such as for the texts of a
    /// search or to repeat a write. It has written nothing then. The close ends after what
    /// runs on the connections that the store has made, but for
    /// [`maintain_indexes`](super::Store::maintain_indexes), which may have one of its own.
    /// Where the application has made the connections, it may end before.
    pub closes: bool,
    /// The most dimensions that a vector may have.
    pub max_dimensions: usize,
    /// With which precision vectors are returned.
    pub precision: VectorPrecision,
    /// Whether others can write to the same database.
    pub writers: Writers,
}

/// Who can write to the database of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Writers {
    /// Other processes, or other stores of this process. Caches check for their
    /// writes unless [`Consistency::Local`](crate::Consistency::Local) is set.
    #[default]
    Shared,
    /// This store alone, as with a database in memory.
    Exclusive,
}

/// With which precision a store keeps vectors.
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
    /// What a store has that implements the required methods only: durable, with
    /// vectors kept as they are, samples, no lexical retriever, no neighbors, and
    /// nothing to close.
    #[must_use]
    pub const fn new(backend: &'static str) -> Self {
        Self {
            backend,
            durable: true,
            lexical: false,
            samples: true,
            neighbors: false,
            closes: false,
            max_dimensions: limits::MAX_DIMENSIONS,
            precision: VectorPrecision::Single,
            writers: Writers::Shared,
        }
    }

    /// Sets whether acknowledged writes survive the end of the process.
    #[must_use]
    pub const fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Sets whether there is a lexical retriever. A store that says so must
    /// override [`Store::search`](super::Store::search).
    #[must_use]
    pub const fn lexical(mut self, lexical: bool) -> Self {
        self.lexical = lexical;
        self
    }

    /// Sets whether a search returns samples.
    #[must_use]
    pub const fn samples(mut self, samples: bool) -> Self {
        self.samples = samples;
        self
    }

    /// Sets whether neighbors are supported. A store that says so must override
    /// [`Store::neighbors`](super::Store::neighbors).
    #[must_use]
    pub const fn neighbors(mut self, neighbors: bool) -> Self {
        self.neighbors = neighbors;
        self
    }

    /// Sets whether calls after a close answer
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed). A store that says so
    /// must override [`Store::close`](super::Store::close).
    #[must_use]
    pub const fn closes(mut self, closes: bool) -> Self {
        self.closes = closes;
        self
    }

    /// Sets the most dimensions that a vector may have.
    #[must_use]
    pub const fn max_dimensions(mut self, max_dimensions: usize) -> Self {
        self.max_dimensions = max_dimensions;
        self
    }

    /// Sets whether others can write to the same database; they can by default.
    #[must_use]
    pub const fn writers(mut self, writers: Writers) -> Self {
        self.writers = writers;
        self
    }

    /// Sets with which precision vectors are returned.
    #[must_use]
    pub const fn precision(mut self, precision: VectorPrecision) -> Self {
        self.precision = precision;
        self
    }
}
