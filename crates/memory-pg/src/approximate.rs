//! Approximate indexes: which to make, and which there are.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use memory_core::{EntityId, Fingerprint};
use sqlx::Row;

use crate::database::Link;
use crate::error::Failure;
use crate::sql::quoted;

/// How long what was read of the catalog is good for.
const FRESH: Duration = Duration::from_secs(60);

/// How many vectors a search by a graph looks at, for each that it is to find,
/// before it takes the conditions for too narrow: those that one in ten meets
/// are served, and a scan in vain costs some milliseconds.
const PATIENCE: usize = 10;

/// How many times as many lists as its first a search by lists looks into, for
/// the same reason.
const MORE_LISTS: u32 = 4;

/// The most lists that pgvector takes.
const MAX_LISTS: u16 = 32_768;

/// How very large entities are searched.
///
/// Without an index every vector of the entity is compared: exact, and in time
/// that grows with the entity (about 0.8 ms for each 1,000 of 384 dimensions).
/// [`PgStore::maintain`](crate::PgStore::maintain) makes the indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApproximateIndex {
    /// Every search is exact.
    #[default]
    None,
    /// A graph: quick and precise to search, slow to build.
    Hnsw {
        /// Links of a node, 2 to 100; pgvector's own default is 16.
        m: u16,
        /// Candidates considered while building, 4 to 1,000, at least twice `m`.
        ef_construction: u16,
        /// Candidates considered while searching, 1 to 1,000; a search for more
        /// than that considers as many as it is for.
        ef_search: u16,
    },
    /// Lists around centers: quick to build, and to be built anew when the
    /// entity has grown much.
    IvfFlat {
        /// Lists that a search looks into, 1 to 32,768; there are about as many
        /// lists as the square root of the vectors.
        probes: u16,
    },
}

impl ApproximateIndex {
    /// A graph with the parameters of pgvector, and a search over 100 candidates.
    #[must_use]
    pub const fn hnsw() -> Self {
        Self::Hnsw {
            m: 16,
            ef_construction: 64,
            ef_search: 100,
        }
    }

    /// Lists of which a search looks into 20.
    #[must_use]
    pub const fn ivf_flat() -> Self {
        Self::IvfFlat { probes: 20 }
    }

    /// What is out of range, if anything is.
    pub(crate) fn problem(self) -> Option<&'static str> {
        match self {
            Self::Hnsw { m, .. } if !(2..=100).contains(&m) => Some("m must be from 2 to 100"),
            Self::Hnsw {
                m, ef_construction, ..
            } if !(4..=1_000).contains(&ef_construction) || ef_construction < 2 * m => {
                Some("ef_construction must be from 4 to 1,000 and at least twice m")
            }
            Self::Hnsw { ef_search, .. } if !(1..=1_000).contains(&ef_search) => {
                Some("ef_search must be from 1 to 1,000")
            }
            Self::IvfFlat { probes } if !(1..=MAX_LISTS).contains(&probes) => {
                Some("probes must be from 1 to 32,768")
            }
            _ => None,
        }
    }

    /// The name of the access method; `None` where there is no index.
    pub(crate) fn method(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Hnsw { .. } => Some("hnsw"),
            Self::IvfFlat { .. } => Some("ivfflat"),
        }
    }

    /// How an index over so many vectors is built.
    pub(crate) fn parameters(self, rows: u64) -> String {
        match self {
            Self::None => String::new(),
            Self::Hnsw {
                m, ef_construction, ..
            } => format!("m = {m}, ef_construction = {ef_construction}"),
            Self::IvfFlat { .. } => format!("lists = {}", rows.isqrt().clamp(1, MAX_LISTS.into())),
        }
    }

    /// Whether an index that was built in this way over `built` vectors still
    /// serves `rows`.
    pub(crate) fn keeps(self, method: &str, parameters: &str, built: u64, rows: u64) -> bool {
        let grown = match self {
            // Centers lie where the vectors were.
            Self::IvfFlat { .. } => rows > built.saturating_mul(2),
            _ => false,
        };
        Some(method) == self.method() && parameters == self.parameters(built) && !grown
    }

    /// What a search for so many vectors tells the server first, in its
    /// transaction. Scans go on until enough rows pass the conditions, or until
    /// it shows that few do: those the exact search finds sooner, by the
    /// conditions' own indexes.
    pub(crate) fn settings(self, limit: usize) -> String {
        match self {
            Self::None => String::new(),
            Self::Hnsw { ef_search, .. } => {
                let ef_search = limit.clamp(ef_search.into(), 1_000);
                let most = (limit * PATIENCE).clamp(1_000, 20_000);
                format!(
                    "SET LOCAL hnsw.iterative_scan = 'relaxed_order'; \
                     SET LOCAL hnsw.ef_search = {ef_search}; \
                     SET LOCAL hnsw.max_scan_tuples = {most}"
                )
            }
            Self::IvfFlat { probes } => {
                let most = (u32::from(probes) * MORE_LISTS).min(MAX_LISTS.into());
                format!(
                    "SET LOCAL ivfflat.iterative_scan = 'relaxed_order'; \
                     SET LOCAL ivfflat.probes = {probes}; \
                     SET LOCAL ivfflat.max_probes = {most}"
                )
            }
        }
    }
}

/// The conditions of an index, word for word as searches repeat them: values
/// of a statement would hide from the planner that it serves.
pub(crate) fn predicate(entity: &str, model: &str, dimensions: u64, table: &str) -> String {
    format!(
        "{table}entity_id = {} AND {table}model = {} AND NOT {table}archived \
         AND vector_dims({table}half) = {dimensions}",
        quoted(entity),
        quoted(model)
    )
}

/// Which indexes there are, as this process knows.
#[derive(Debug, Default)]
pub(crate) struct Catalog(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The dimensions of each.
    indexes: HashMap<(String, String), u64>,
    read_at: Option<Instant>,
}

impl Catalog {
    /// The dimensions of the index for an entity's vectors of a model.
    pub(crate) fn find(&self, entity: &EntityId, model: &Fingerprint) -> Option<u64> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let key = (entity.as_str().to_owned(), model.as_str().to_owned());
        known.indexes.get(&key).copied()
    }

    /// Whether it is time to read it anew; `true` is answered to one caller.
    pub(crate) fn is_due(&self) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let due = known.read_at.is_none_or(|at| at.elapsed() > FRESH);
        if due {
            known.read_at = Some(Instant::now());
        }
        due
    }

    /// Reads it anew: indexes that are whole, whoever made them.
    pub(crate) async fn read(&self, link: &mut Link) -> Result<(), Failure> {
        let query = sqlx::query(
            "SELECT a.entity_id, a.model, a.dimensions FROM memory_approximate a \
             JOIN pg_index i ON i.indexrelid = to_regclass(quote_ident(a.index_name)) \
             WHERE i.indisvalid",
        );
        let mut indexes = HashMap::new();
        for row in &link.rows(query).await? {
            let dimensions: i32 = row.try_get("dimensions")?;
            let dimensions = u64::try_from(dimensions).unwrap_or_default();
            indexes.insert(
                (row.try_get("entity_id")?, row.try_get("model")?),
                dimensions,
            );
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Known {
            indexes,
            read_at: Some(Instant::now()),
        };
        Ok(())
    }
}
