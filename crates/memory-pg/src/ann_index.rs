//! ANN indexes: the options, their parameters, and the catalog of existing ones.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use memory_core::{EntityId, Fingerprint};
use sqlx::Row;

use crate::connection::Connection;
use crate::error::Failure;
use crate::sql::quoted;

/// How long a loaded catalog is current.
const CATALOG_TTL: Duration = Duration::from_secs(60);

/// How many vectors an HNSW search scans for each that it is to find before it
/// gives up on a filter: a filter that one memory in ten matches is served, and
/// a scan that finds too few costs some milliseconds.
const SCAN_FACTOR: usize = 10;

/// How many times `probes` lists an IVFFlat search scans at most, for the same
/// reason.
const MAX_PROBES_FACTOR: u32 = 4;

/// The largest number of lists that pgvector accepts.
const MAX_LISTS: u16 = 32_768;

/// The approximate nearest neighbor (ANN) index for very large entities.
///
/// Without one, every vector of the entity is compared: exact, and in time that
/// grows with the entity (about 0.8 ms for each 1,000 vectors of 384 dimensions).
/// [`PgStore::maintain_indexes`](crate::PgStore::maintain_indexes) builds the
/// indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnnIndex {
    /// No index: every search is exact.
    #[default]
    None,
    /// A graph: fast and accurate to search, slow to build.
    Hnsw {
        /// Links per node, 2 to 100; pgvector's default is 16.
        m: u16,
        /// Candidates considered while building, 4 to 1,000, at least twice `m`.
        ef_construction: u16,
        /// Candidates considered while searching, 1 to 1,000; a search for more
        /// than that considers as many as it is for.
        ef_search: u16,
    },
    /// Lists around centroids: fast to build, and rebuilt when the entity has
    /// doubled.
    IvfFlat {
        /// Lists that a search scans, 1 to 32,768; there are about as many lists
        /// as the square root of the number of vectors.
        probes: u16,
    },
}

impl AnnIndex {
    /// HNSW with pgvector's parameters, searching over 100 candidates.
    #[must_use]
    pub const fn hnsw() -> Self {
        Self::Hnsw {
            m: 16,
            ef_construction: 64,
            ef_search: 100,
        }
    }

    /// IVFFlat, scanning 20 lists.
    #[must_use]
    pub const fn ivf_flat() -> Self {
        Self::IvfFlat { probes: 20 }
    }

    /// The parameter that is out of range and its range, if there is one.
    pub(crate) fn invalid_parameter(self) -> Option<&'static str> {
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

    /// The name of the access method; `None` for [`None`](Self::None).
    pub(crate) fn method(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Hnsw { .. } => Some("hnsw"),
            Self::IvfFlat { .. } => Some("ivfflat"),
        }
    }

    /// The storage parameters of an index over this many vectors.
    pub(crate) fn storage_parameters(self, rows: u64) -> String {
        match self {
            Self::None => String::new(),
            Self::Hnsw {
                m, ef_construction, ..
            } => format!("m = {m}, ef_construction = {ef_construction}"),
            Self::IvfFlat { .. } => format!("lists = {}", rows.isqrt().clamp(1, MAX_LISTS.into())),
        }
    }

    /// Whether an index that was built with this method and these parameters
    /// over `built` vectors may be kept for `rows`.
    pub(crate) fn is_current_for(
        self,
        method: &str,
        parameters: &str,
        built: u64,
        rows: u64,
    ) -> bool {
        let grown = match self {
            // The centroids are those of the vectors at the time of the build.
            Self::IvfFlat { .. } => rows > built.saturating_mul(2),
            _ => false,
        };
        Some(method) == self.method() && parameters == self.storage_parameters(built) && !grown
    }

    /// The settings of a search for this many vectors. A scan goes on until enough
    /// rows match the filter, or until it is clear that few do: exact search finds
    /// those sooner, by the filter's own indexes.
    pub(crate) fn search_settings(self, limit: usize) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Hnsw { ef_search, .. } => {
                let ef_search = limit.clamp(ef_search.into(), 1_000);
                let most = (limit * SCAN_FACTOR).clamp(1_000, 20_000);
                vec![
                    "hnsw.iterative_scan = 'relaxed_order'".to_owned(),
                    format!("hnsw.ef_search = {ef_search}"),
                    format!("hnsw.max_scan_tuples = {most}"),
                ]
            }
            Self::IvfFlat { probes } => {
                let most = (u32::from(probes) * MAX_PROBES_FACTOR).min(MAX_LISTS.into());
                vec![
                    "ivfflat.iterative_scan = 'relaxed_order'".to_owned(),
                    format!("ivfflat.probes = {probes}"),
                    format!("ivfflat.max_probes = {most}"),
                ]
            }
        }
    }
}

/// The predicate of a partial index. Searches repeat it literally: with
/// parameters the planner could not tell that the index applies.
pub(crate) fn predicate(entity: &str, model: &str, dimensions: u64, table: &str) -> String {
    format!(
        "{table}entity_id = {} AND {table}model = {} AND NOT {table}archived \
         AND vector_dims({table}half) = {dimensions}",
        quoted(entity),
        quoted(model)
    )
}

/// The existing indexes, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct IndexCatalog(RwLock<CatalogState>);

#[derive(Debug, Default)]
struct CatalogState {
    /// The dimensions of the index for an entity and a model.
    indexes: HashMap<(String, String), u64>,
    loaded_at: Option<Instant>,
}

impl IndexCatalog {
    /// The dimensions of the index for an entity's vectors of a model.
    pub(crate) fn dimensions(&self, entity: &EntityId, model: &Fingerprint) -> Option<u64> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let key = (entity.as_str().to_owned(), model.as_str().to_owned());
        state.indexes.get(&key).copied()
    }

    /// Whether it has to be reloaded. Only one caller gets `true`, and has to do
    /// it.
    pub(crate) fn start_reload_if_due(&self) -> bool {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let due = state.loaded_at.is_none_or(|at| at.elapsed() > CATALOG_TTL);
        if due {
            state.loaded_at = Some(Instant::now());
        }
        due
    }

    /// Loads it: all valid indexes, including those that other processes built.
    pub(crate) async fn load(&self, connection: &mut Connection) -> Result<(), Failure> {
        let query = sqlx::query(
            "SELECT a.index_name, a.entity_id, a.model, a.dimensions FROM memory_approximate a",
        );
        let rows = connection.fetch_all(query).await?;
        let names = rows.iter().map(|row| row.try_get("index_name"));
        let valid = valid_indexes(connection, names.collect::<Result<_, _>>()?).await?;
        let mut indexes = HashMap::new();
        for row in &rows {
            if !valid.contains(row.try_get::<&str, _>("index_name")?) {
                continue;
            }
            let dimensions: i32 = row.try_get("dimensions")?;
            let dimensions = u64::try_from(dimensions).unwrap_or_default();
            indexes.insert(
                (row.try_get("entity_id")?, row.try_get("model")?),
                dimensions,
            );
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = CatalogState {
            indexes,
            loaded_at: Some(Instant::now()),
        };
        Ok(())
    }
}

/// Which of these indexes exist and are valid. Apart from the tables with memories:
/// a distributed server joins none of them with a catalog.
pub(crate) async fn valid_indexes(
    connection: &mut Connection,
    names: Vec<&str>,
) -> Result<HashSet<String>, Failure> {
    if names.is_empty() {
        return Ok(HashSet::new());
    }
    let query = sqlx::query(
        "SELECT n.name FROM unnest($1::text[]) AS n(name) \
         JOIN pg_index i ON i.indexrelid = to_regclass(quote_ident(n.name)) WHERE i.indisvalid",
    );
    let rows = connection.fetch_all(query.bind(names)).await?;
    let names = rows.iter().map(|row| row.try_get("name"));
    Ok(names.collect::<Result<_, _>>()?)
}
