//! ANN indexes: the options, their parameters, and the catalog of existing ones.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use memory_core::{EntityId, Fingerprint, IndexMethod};
use sqlx::Row;

use crate::connections::connection::Connection;
use crate::error::Failure;
use crate::rows::sql::quoted;

/// How long a loaded catalog is current.
const CATALOG_TTL: Duration = Duration::from_secs(60);

/// How many vectors an HNSW search scans for each that it is to find before it
/// gives up on a filter: a filter that one memory in ten matches is served, and
/// a scan that finds too few costs some milliseconds.
const SCAN_FACTOR: u32 = 10;

/// How many times `probes` lists an IVFFlat search scans at most, for the same
/// reason.
const MAX_PROBES_FACTOR: u32 = 4;

/// The largest number of lists that pgvector accepts.
const MAX_LISTS: u16 = 32_768;

/// The largest `hnsw.ef_search` that pgvector accepts.
pub(crate) const MAX_EF_SEARCH: u32 = 1_000;

/// The approximate nearest neighbor (ANN) index for very large entities.
///
/// Without one, every vector of the entity is compared: exact, and in time that
/// grows with the entity (about 0.8 ms for each 1,000 vectors of 384 dimensions).
/// [`Store::maintain_indexes`](memory_core::Store::maintain_indexes) builds the
/// indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnnIndex {
    /// Whatever maintenance chose for each entity: no index, HNSW or IVFFlat, searched as
    /// widely as the [target recall](crate::PgOptions::ann_target_recall) takes. Where
    /// maintenance never ran, every search is exact. Through a transaction pooler and
    /// under row-level security this is [`None`](Self::None).
    #[default]
    Auto,
    /// No index: every search is exact, and maintenance drops the indexes.
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

    /// The method, where the options name one.
    pub(crate) fn method(self) -> Option<IndexMethod> {
        match self {
            Self::Auto | Self::None => None,
            Self::Hnsw { .. } => Some(IndexMethod::Hnsw),
            Self::IvfFlat { .. } => Some(IndexMethod::IvfFlat),
        }
    }

    /// The search width, where the options name a method.
    pub(crate) fn configured_width(self) -> Option<u32> {
        match self {
            Self::Auto | Self::None => None,
            Self::Hnsw { ef_search, .. } => Some(ef_search.into()),
            Self::IvfFlat { probes } => Some(probes.into()),
        }
    }

    /// The storage parameters of an index over this many vectors.
    pub(crate) fn storage_parameters(self, rows: u64) -> String {
        match self {
            Self::Auto | Self::None => String::new(),
            Self::Hnsw {
                m, ef_construction, ..
            } => format!("m = {m}, ef_construction = {ef_construction}"),
            Self::IvfFlat { .. } => format!("lists = {}", lists(rows)),
        }
    }

    /// Whether an index that was built with this method and these parameters over `built`
    /// vectors is one that these options ask for.
    pub(crate) fn accepts(self, method: IndexMethod, parameters: &str, built: u64) -> bool {
        match self {
            Self::Auto => true,
            Self::None => false,
            index => {
                Some(method) == index.method() && parameters == index.storage_parameters(built)
            }
        }
    }
}

/// The lists of an IVFFlat index over this many vectors.
pub(crate) fn lists(rows: u64) -> u32 {
    let lists = rows.isqrt().clamp(1, MAX_LISTS.into());
    u32::try_from(lists).unwrap_or(MAX_LISTS.into())
}

/// Whether an index that was built over `built` vectors is out of date for `rows`: the
/// centroids of IVFFlat are those of the vectors at the time of the build.
pub(crate) fn is_outgrown(method: IndexMethod, built: u64, rows: u64) -> bool {
    method == IndexMethod::IvfFlat && rows > built.saturating_mul(2)
}

/// The settings of a search for this many vectors, of this width. A scan goes on until
/// enough rows match the filter, or until it is clear that few do: exact search finds
/// those sooner, by the filter's own indexes.
pub(crate) fn search_settings(method: IndexMethod, width: u32, limit: usize) -> Vec<String> {
    if method == IndexMethod::IvfFlat {
        let most = width
            .saturating_mul(MAX_PROBES_FACTOR)
            .min(MAX_LISTS.into());
        return vec![
            "ivfflat.iterative_scan = 'relaxed_order'".to_owned(),
            format!("ivfflat.probes = {width}"),
            format!("ivfflat.max_probes = {most}"),
        ];
    }
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let ef_search = limit.max(width).min(MAX_EF_SEARCH);
    let most = limit.saturating_mul(SCAN_FACTOR).clamp(1_000, 20_000);
    vec![
        "hnsw.iterative_scan = 'relaxed_order'".to_owned(),
        format!("hnsw.ef_search = {ef_search}"),
        format!("hnsw.max_scan_tuples = {most}"),
    ]
}

/// The predicate of a partial index. Searches repeat it literally: with
/// parameters the planner could not tell that the index applies.
///
/// The last condition is true of every row and not implied by that of the other method.
/// So a search uses an index of its own method only, for which its settings are, also
/// while maintenance compares two or a process does not know yet that one was replaced.
pub(crate) fn predicate(
    method: IndexMethod,
    entity: &str,
    model: &str,
    dimensions: u64,
    table: &str,
) -> String {
    let of_method = match method {
        IndexMethod::IvfFlat => "chunk < 2147483647",
        _ => "chunk >= 0",
    };
    format!(
        "{table}entity_id = {} AND {table}model = {} AND NOT {table}archived \
         AND vector_dims({table}half) = {dimensions} AND {table}{of_method}",
        quoted(entity),
        quoted(model)
    )
}

/// An existing index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CatalogEntry {
    pub(crate) dimensions: u64,
    pub(crate) method: IndexMethod,
    /// The search width that maintenance chose, if it did.
    width: Option<u32>,
}

impl CatalogEntry {
    /// The width of a search with these options; `None` where they do not use the index.
    pub(crate) fn search_width(self, options: AnnIndex) -> Option<u32> {
        match options {
            AnnIndex::Auto => self.width,
            AnnIndex::None => None,
            index if index.method() == Some(self.method) => index.configured_width(),
            _ => None,
        }
    }
}

/// The existing indexes, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct IndexCatalog(RwLock<CatalogState>);

#[derive(Debug, Default)]
struct CatalogState {
    /// The index for an entity and a model.
    indexes: HashMap<(String, String), CatalogEntry>,
    loaded_at: Option<Instant>,
}

impl IndexCatalog {
    /// The index for an entity's vectors of a model.
    pub(crate) fn get(&self, entity: &EntityId, model: &Fingerprint) -> Option<CatalogEntry> {
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
            "SELECT a.index_name, a.entity_id, a.model, a.dimensions, a.method, a.search_width \
             FROM memory_approximate a ORDER BY a.search_width NULLS FIRST",
        );
        let rows = connection.fetch_all(query).await?;
        let names = rows.iter().map(|row| row.try_get("index_name"));
        let valid = valid_indexes(connection, names.collect::<Result<_, _>>()?).await?;
        let mut indexes = HashMap::new();
        for row in &rows {
            if !valid.contains(row.try_get::<&str, _>("index_name")?) {
                continue;
            }
            let Some(method) = method_of(row.try_get("method")?) else {
                continue;
            };
            let dimensions: i32 = row.try_get("dimensions")?;
            let width: Option<i32> = row.try_get("search_width")?;
            let entry = CatalogEntry {
                dimensions: u64::try_from(dimensions).unwrap_or_default(),
                method,
                width: width.and_then(|width| u32::try_from(width).ok()),
            };
            // Of two, the one with a width, which is last.
            indexes.insert((row.try_get("entity_id")?, row.try_get("model")?), entry);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = CatalogState {
            indexes,
            loaded_at: Some(Instant::now()),
        };
        Ok(())
    }
}

/// The method of this name.
pub(crate) fn method_of(name: &str) -> Option<IndexMethod> {
    let methods = [IndexMethod::Hnsw, IndexMethod::IvfFlat];
    methods.into_iter().find(|method| method.as_str() == name)
}

/// Which of these indexes exist and are valid. Another schema of the search path may have
/// some of the same names: of the same entities. Apart from the tables with memories:
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
         JOIN pg_index i ON i.indexrelid = to_regclass(format('%I.%I', current_schema(), n.name)) \
         WHERE i.indisvalid",
    );
    let rows = connection.fetch_all(query.bind(names)).await?;
    let names = rows.iter().map(|row| row.try_get("name"));
    Ok(names.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_searched_as_the_options_say_or_as_maintenance_chose() {
        let entry = |method, width| CatalogEntry {
            dimensions: 384,
            method,
            width,
        };
        let hnsw = entry(IndexMethod::Hnsw, Some(60));
        assert_eq!(hnsw.search_width(AnnIndex::Auto), Some(60));
        assert_eq!(hnsw.search_width(AnnIndex::hnsw()), Some(100));
        // Its settings would be those of another method.
        assert_eq!(hnsw.search_width(AnnIndex::ivf_flat()), None);
        assert_eq!(hnsw.search_width(AnnIndex::None), None);
        let unmeasured = entry(IndexMethod::IvfFlat, None);
        assert_eq!(unmeasured.search_width(AnnIndex::Auto), None);
        assert_eq!(unmeasured.search_width(AnnIndex::ivf_flat()), Some(20));
    }

    #[test]
    fn settings_stay_within_the_limits_of_pgvector() {
        let of = |method, width, limit| search_settings(method, width, limit).join("; ");
        let hnsw = of(IndexMethod::Hnsw, 40, 22);
        assert!(
            hnsw.contains("ef_search = 40") && hnsw.contains("tuples = 1000"),
            "{hnsw}"
        );
        let large = of(IndexMethod::Hnsw, 40, 5_000);
        assert!(
            large.contains("ef_search = 1000") && large.contains("tuples = 20000"),
            "{large}"
        );
        let lists = of(IndexMethod::IvfFlat, 30_000, 22);
        assert!(
            lists.contains("probes = 30000") && lists.contains("max_probes = 32768"),
            "{lists}"
        );
    }
}
