//! Index maintenance: the request and the report of
//! [`Store::maintain_indexes`](super::Store::maintain_indexes).

use crate::embedder::Fingerprint;
use crate::error::InvalidInput;
use crate::id::EntityId;

/// The recall that an approximate index reaches where nothing else is asked for: of the
/// ten nearest vectors, half a vector is missed on average.
pub const DEFAULT_ANN_TARGET_RECALL: f64 = 0.95;

/// Checks the share of the nearest vectors that an approximate index has to find.
///
/// # Errors
/// [`InvalidInput::TargetRecall`] unless it is above 0 and at most 1.
pub fn check_target_recall(value: f64) -> Result<(), InvalidInput> {
    if value > 0.0 && value <= 1.0 {
        Ok(())
    } else {
        Err(InvalidInput::TargetRecall { value })
    }
}

/// What [`Store::maintain_indexes`](super::Store::maintain_indexes) does: it chooses,
/// builds and drops the approximate indexes of very large entities, and how widely each is
/// searched, so that searches find a target share of the nearest vectors.
///
/// # Behavior
/// - Reads and writes go on meanwhile, and find the same memories before and after, but for
///   what an approximate search misses.
/// - In a dry run nothing is written.
/// - Indexes that the store did not create are left alone.
/// - While another process is running it, it fails with
///   [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable); a dry run does not.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct MaintenanceRequest {
    /// Whether to measure the indexes that exist and to say what would be done, without
    /// writing anything.
    pub dry_run: bool,
    /// The share of the ten nearest vectors that a search by an index has to find, above
    /// 0 and at most 1. `None`: the store's option, which is
    /// [`DEFAULT_ANN_TARGET_RECALL`] by default.
    pub target_recall: Option<f64>,
    /// The number of vectors from which an entity may get an index. `None`: the store's
    /// option. An index of an entity with fewer is dropped.
    pub min_vectors: Option<u64>,
}

impl MaintenanceRequest {
    /// Does what the store's options say.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether nothing is written.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Sets the recall to reach, in place of the store's option.
    #[must_use]
    pub fn target_recall(mut self, recall: f64) -> Self {
        self.target_recall = Some(recall);
        self
    }

    /// Sets the number of vectors from which an entity may get an index, in place of the
    /// store's option.
    #[must_use]
    pub fn min_vectors(mut self, vectors: u64) -> Self {
        self.min_vectors = Some(vectors);
        self
    }

    /// Checks the recall to reach.
    ///
    /// # Errors
    /// [`InvalidInput::TargetRecall`] unless it is above 0 and at most 1.
    pub fn validate(&self) -> Result<(), InvalidInput> {
        self.target_recall.map_or(Ok(()), check_target_recall)
    }
}

/// A kind of approximate index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IndexMethod {
    /// A graph of neighbors: fast to search, slow to build. Its search width is the
    /// number of candidates that a search considers (`hnsw.ef_search`).
    Hnsw,
    /// Lists around centroids: fast to build. Its search width is the number of lists
    /// that a search scans (`ivfflat.probes`).
    IvfFlat,
}

impl IndexMethod {
    /// The name: `hnsw` or `ivfflat`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hnsw => "hnsw",
            Self::IvfFlat => "ivfflat",
        }
    }
}

/// An approximate index.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexDescription {
    /// Its kind.
    pub method: IndexMethod,
    /// How it was built, such as `m = 16, ef_construction = 64`.
    pub parameters: String,
    /// How widely it is searched: see [`IndexMethod`]. `None` where this was not chosen
    /// yet.
    pub search_width: Option<u32>,
    /// Its size in bytes.
    pub bytes: u64,
}

impl IndexDescription {
    /// An index whose search width is not chosen yet.
    #[must_use]
    pub fn new(method: IndexMethod, parameters: impl Into<String>, bytes: u64) -> Self {
        Self {
            method,
            parameters: parameters.into(),
            search_width: None,
            bytes,
        }
    }

    /// Sets how widely it is searched.
    #[must_use]
    pub fn search_width(mut self, width: Option<u32>) -> Self {
        self.search_width = width;
        self
    }
}

/// What was measured by searching for the neighbors of stored vectors.
///
/// Times are those of the server on this occasion, so only their ratio says much.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct IndexMeasurement {
    /// How many stored vectors were searched for.
    pub questions: u32,
    /// The share of the ten nearest that the index found at its search width; `None`
    /// where there was no index to measure.
    pub recall: Option<f64>,
    /// What the recall is at least, with a confidence of 95 %.
    pub recall_at_least: Option<f64>,
    /// The median time of an exact search, in milliseconds.
    pub exact_ms: f64,
    /// The median time of a search by the index, in milliseconds.
    pub approximate_ms: Option<f64>,
}

/// What maintenance does with the index of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IndexAction {
    /// There is none, and none is built.
    None,
    /// One is built.
    Build,
    /// It is kept; its search width may change.
    Keep,
    /// Another is built in its place.
    Replace,
    /// It is dropped.
    Drop,
}

impl IndexAction {
    /// The name, such as `build`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Build => "build",
            Self::Keep => "keep",
            Self::Replace => "replace",
            Self::Drop => "drop",
        }
    }
}

/// Why maintenance does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IndexReason {
    /// The index reaches the target and is faster than an exact search.
    TargetReached,
    /// The store's options choose the index and its search width.
    Configured,
    /// No index reaches the target, at any search width.
    BelowTarget,
    /// An exact search takes about as long.
    NotFaster,
    /// No search used the index for a week.
    Unused,
    /// The entity is not among those that may have one: it has too few vectors, vectors
    /// that an index cannot hold, or too many entities are larger.
    NotRequired,
    /// The build was interrupted, or the index was dropped by someone else.
    Incomplete,
    /// The entity has doubled since the index was built.
    Outgrown,
    /// A dry run builds nothing, so it is not known which index reaches the target.
    NotBuilt,
}

impl IndexReason {
    /// The name, such as `target_reached`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TargetReached => "target_reached",
            Self::Configured => "configured",
            Self::BelowTarget => "below_target",
            Self::NotFaster => "not_faster",
            Self::Unused => "unused",
            Self::NotRequired => "not_required",
            Self::Incomplete => "incomplete",
            Self::Outgrown => "outgrown",
            Self::NotBuilt => "not_built",
        }
    }
}

/// What maintenance did with the index of one entity's vectors of one model, or in a dry
/// run would do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct IndexReport {
    /// The entity.
    pub entity: EntityId,
    /// The model of the vectors.
    pub model: Fingerprint,
    /// How many vectors there are; when the index was built, if the entity is no longer
    /// among those that may have one.
    pub vectors: u64,
    /// What was done, or would be.
    pub action: IndexAction,
    /// Why.
    pub reason: IndexReason,
    /// Whether the reason was found by an earlier run, which measured what this one did
    /// not: it is found again when the entity has doubled.
    pub is_known: bool,
    /// The usable index before the run, if there was one.
    pub before: Option<IndexDescription>,
    /// The index after the run; in a dry run, as far as it is known.
    pub after: Option<IndexDescription>,
    /// What was measured: of the index after the run; where none is left, of the one that
    /// there was before, or if that was not measured, of the best that was tried.
    pub measured: Option<IndexMeasurement>,
    /// How long building took, of all indexes that were tried, in milliseconds.
    pub build_ms: Option<f64>,
}

impl IndexReport {
    /// A report without an index.
    #[must_use]
    pub fn new(
        entity: EntityId,
        model: Fingerprint,
        vectors: u64,
        action: IndexAction,
        reason: IndexReason,
    ) -> Self {
        Self {
            entity,
            model,
            vectors,
            action,
            reason,
            is_known: false,
            before: None,
            after: None,
            measured: None,
            build_ms: None,
        }
    }
}

/// What [`Store::maintain_indexes`](super::Store::maintain_indexes) did, or in a dry run
/// would do.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct MaintenanceReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The recall to reach.
    pub target_recall: f64,
    /// One report for each entity and model that has an index or may get one: those that
    /// may not, then the largest first.
    pub indexes: Vec<IndexReport>,
}

impl MaintenanceReport {
    /// A report without indexes.
    #[must_use]
    pub fn new(dry_run: bool, target_recall: f64) -> Self {
        Self {
            dry_run,
            target_recall,
            indexes: Vec::new(),
        }
    }

    /// How many reports have this action.
    #[must_use]
    pub fn count(&self, action: IndexAction) -> usize {
        let has_action = |it: &&IndexReport| it.action == action;
        self.indexes.iter().filter(has_action).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_above_zero_and_at_most_one() {
        for value in [f64::MIN_POSITIVE, 0.5, 0.95, 1.0] {
            assert_eq!(check_target_recall(value), Ok(()), "{value}");
        }
        for value in [0.0, -0.1, 1.000_001, f64::NAN, f64::INFINITY] {
            let refused = MaintenanceRequest::new().target_recall(value).validate();
            let message = refused.unwrap_err().to_string();
            assert!(
                message.ends_with("above 0 and at most 1, such as 0.95"),
                "{message}"
            );
        }
        assert_eq!(MaintenanceRequest::new().validate(), Ok(()));
    }
}
