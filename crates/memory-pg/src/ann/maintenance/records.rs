//! What is on record of the ANN indexes: the table `memory_approximate`, and the server's
//! catalog and statistics of those that exist.

use std::collections::HashMap;

use memory_core::{EntityId, Fingerprint, IndexDescription, IndexMethod, IndexReason};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::ann::ann_index::method_of;
use crate::connections::connection::Connection;
use crate::error::Failure;
use crate::rows;

/// The method of a record that says that there is no index.
const NO_INDEX: &str = "none";

/// Vectors that an index may be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexKey {
    pub(super) entity: EntityId,
    pub(super) model: Fingerprint,
    pub(super) dimensions: u64,
}

impl IndexKey {
    /// A unique name of fixed length: entity ids may be longer than index names.
    pub(super) fn name(&self, method: Option<IndexMethod>) -> String {
        let method = method.map_or(NO_INDEX, IndexMethod::as_str);
        let (entity, model) = (self.entity.as_str(), self.model.as_str());
        let key = format!("{entity}\n{model}\n{}\n{method}", self.dimensions);
        let hash = Sha256::digest(key.as_bytes());
        let hex: String = hash
            .iter()
            .take(12)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("idx_memory_near_{hex}")
    }
}

/// An index on record, or that there is none.
#[derive(Debug)]
pub(super) struct IndexRecord {
    pub(super) name: String,
    pub(super) key: IndexKey,
    /// `None`: an earlier run found that no index is of use.
    pub(super) method: Option<IndexMethod>,
    pub(super) parameters: String,
    pub(super) built_rows: u64,
    pub(super) width: Option<u32>,
    target: Option<f64>,
    reason: Option<IndexReason>,
    /// The scans after the last maintenance.
    scans: u64,
    /// Whether enough time went by since the scans were beyond that.
    is_window_over: bool,
    /// The index itself, if it exists.
    state: Option<IndexState>,
}

/// What the server says about an existing index.
#[derive(Debug, Clone, Copy)]
struct IndexState {
    is_valid: bool,
    bytes: u64,
    scans: u64,
}

impl IndexRecord {
    /// Whether the index exists and is complete.
    pub(super) fn is_valid(&self) -> bool {
        self.state.is_some_and(|state| state.is_valid)
    }

    /// Whether nothing scanned the index for long.
    pub(super) fn is_unused(&self) -> bool {
        self.is_window_over && !self.was_scanned()
    }

    /// Whether something scanned the index since the last maintenance, or the statistics
    /// were reset.
    pub(super) fn was_scanned(&self) -> bool {
        self.state.is_none_or(|state| state.scans != self.scans)
    }

    /// The index, if it can be used.
    pub(super) fn description(&self) -> Option<IndexDescription> {
        let (state, method) = (self.state?, self.method?);
        let description = IndexDescription::new(method, &self.parameters, state.bytes);
        Some(description.search_width(self.width)).filter(|_| state.is_valid)
    }

    /// Why there is no index, where that still holds: the entity has not doubled, and a
    /// lower target is not what would make the difference.
    pub(super) fn standing_decision(&self, rows: u64, target: f64) -> Option<IndexReason> {
        let reason = self.reason.filter(|_| self.method.is_none())?;
        let is_outgrown = rows > self.built_rows.saturating_mul(2);
        let is_easier =
            reason == IndexReason::BelowTarget && self.target.is_none_or(|before| target < before);
        (!is_outgrown && !is_easier).then_some(reason)
    }
}

/// The reasons that are recorded.
const REASONS: [IndexReason; 3] = [
    IndexReason::BelowTarget,
    IndexReason::NotFaster,
    IndexReason::Unused,
];

/// Loads all records, in the order of their names.
pub(super) async fn load(connection: &mut Connection) -> Result<Vec<IndexRecord>, Failure> {
    // The interval is why an index that was just built is not unused: it is a week, so
    // that a job of the weekend counts as a use.
    let query = sqlx::query(
        "SELECT a.index_name, a.entity_id, a.model, a.dimensions, a.method, a.parameters, \
         a.built_rows, a.search_width, a.target_recall, a.reason, a.scans, \
         a.unused_since < now() - interval '7 days' AS is_window_over \
         FROM memory_approximate a ORDER BY a.index_name",
    );
    let found = connection.fetch_all(query).await?;
    let names = found.iter().map(|row| row.try_get("index_name"));
    let mut states = load_states(connection, names.collect::<Result<_, _>>()?).await?;
    let records = found.iter().map(|row| {
        let record = decode(row)?;
        let state = states.remove(&record.name);
        Ok::<_, Failure>(IndexRecord { state, ..record })
    });
    records.collect()
}

fn decode(row: &PgRow) -> Result<IndexRecord, sqlx::Error> {
    let dimensions: i32 = row.try_get("dimensions")?;
    let width: Option<i32> = row.try_get("search_width")?;
    let reason: Option<&str> = row.try_get("reason")?;
    Ok(IndexRecord {
        name: row.try_get("index_name")?,
        key: IndexKey {
            entity: EntityId::from(row.try_get::<&str, _>("entity_id")?),
            model: Fingerprint::from(row.try_get::<&str, _>("model")?),
            dimensions: u64::try_from(dimensions).unwrap_or_default(),
        },
        method: method_of(row.try_get("method")?),
        parameters: row.try_get("parameters")?,
        built_rows: rows::unsigned("built_rows", row.try_get("built_rows")?)?,
        width: width.and_then(|width| u32::try_from(width).ok()),
        target: row.try_get("target_recall")?,
        reason: REASONS.into_iter().find(|it| Some(it.as_str()) == reason),
        scans: rows::unsigned("scans", row.try_get("scans")?)?,
        is_window_over: row.try_get("is_window_over")?,
        state: None,
    })
}

/// The indexes of these names that exist. Apart from the tables with memories: a
/// distributed server joins none of them with a catalog.
async fn load_states(
    connection: &mut Connection,
    names: Vec<&str>,
) -> Result<HashMap<String, IndexState>, Failure> {
    let query = sqlx::query(
        "SELECT n.name, i.indisvalid, pg_relation_size(i.indexrelid) AS bytes, \
         coalesce(s.idx_scan, 0) AS scans FROM unnest($1::text[]) AS n(name) \
         JOIN pg_index i ON i.indexrelid = to_regclass(format('%I.%I', current_schema(), n.name)) \
         LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid",
    );
    let found = connection.fetch_all(query.bind(names)).await?;
    let mut states = HashMap::with_capacity(found.len());
    for row in &found {
        let name: String = row.try_get("name")?;
        let bytes = match distributed_size(connection, &name).await? {
            Some(bytes) => bytes,
            None => row.try_get("bytes")?,
        };
        let state = IndexState {
            is_valid: row.try_get("indisvalid")?,
            bytes: rows::unsigned("bytes", bytes)?,
            scans: rows::unsigned("scans", row.try_get("scans")?)?,
        };
        states.insert(name, state);
    }
    Ok(states)
}

/// The size of an index on all nodes of a distributed server, which has an empty one of
/// this name itself. `None` on any other server, and where this one does not tell: the
/// first releases of Citus 12 have no sizes of indexes.
async fn distributed_size(connection: &mut Connection, name: &str) -> Result<Option<i64>, Failure> {
    if !connection.is_distributed() {
        return Ok(None);
    }
    let query = sqlx::query(
        "SELECT citus_relation_size(format('%I.%I', current_schema(), $1::text)::regclass) AS bytes",
    );
    match connection.fetch_all(query.bind(name)).await {
        Ok(rows) => Ok(rows.first().map(|row| row.try_get("bytes")).transpose()?),
        // No transaction is open that it could have ended.
        Err(failure) if failure.is_refusal() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The size of an index in bytes.
pub(super) async fn size(connection: &mut Connection, name: &str) -> Result<u64, Failure> {
    let states = load_states(connection, vec![name]).await?;
    Ok(states.get(name).map_or(0, |state| state.bytes))
}

/// Whether the server counts scans, and all of them: those on a standby are counted there.
pub(super) async fn counts_all_scans(connection: &mut Connection) -> Result<bool, Failure> {
    if connection.is_distributed() {
        return Ok(false);
    }
    let query = sqlx::query(
        "SELECT current_setting('track_counts')::boolean AND NOT pg_is_in_recovery() \
         AND NOT EXISTS (SELECT FROM pg_stat_replication) \
         AND NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_type = 'physical') AS counts",
    );
    let found = connection.fetch_all(query).await?;
    let row = found.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok(row.try_get("counts")?)
}

/// Records an index that is about to be built, so that the next run finds and drops one
/// whose build was interrupted.
pub(super) async fn insert(
    connection: &mut Connection,
    key: &IndexKey,
    method: IndexMethod,
    parameters: &str,
    rows: u64,
) -> Result<(), Failure> {
    let query = sqlx::query(
        "INSERT INTO memory_approximate \
         (index_name, entity_id, model, dimensions, method, parameters, built_rows) \
         VALUES ($1::text, $2::text, $3::text, $4::integer, $5::text, $6::text, $7::bigint)",
    );
    let query = query
        .bind(key.name(Some(method)))
        .bind(key.entity.as_str())
        .bind(key.model.as_str())
        .bind(i32::try_from(key.dimensions).unwrap_or(i32::MAX))
        .bind(method.as_str())
        .bind(parameters)
        .bind(rows::signed(rows));
    connection.execute(query).await.map(drop)
}

/// Records that no index is of use.
pub(super) async fn insert_decision(
    connection: &mut Connection,
    key: &IndexKey,
    rows: u64,
    target: f64,
    reason: IndexReason,
) -> Result<(), Failure> {
    let query = sqlx::query(
        "INSERT INTO memory_approximate (index_name, entity_id, model, dimensions, method, \
         parameters, built_rows, target_recall, reason) \
         VALUES ($1::text, $2::text, $3::text, $4::integer, $5::text, '', $6::bigint, \
         $7::double precision, $8::text)",
    );
    let query = query
        .bind(key.name(None))
        .bind(key.entity.as_str())
        .bind(key.model.as_str())
        .bind(i32::try_from(key.dimensions).unwrap_or(i32::MAX))
        .bind(NO_INDEX)
        .bind(rows::signed(rows))
        .bind(target)
        .bind(reason.as_str());
    connection.execute(query).await.map(drop)
}

/// Records how widely an index is searched: from here on it is used.
pub(super) async fn set_width(
    connection: &mut Connection,
    name: &str,
    width: u32,
    target: f64,
) -> Result<(), Failure> {
    let query = sqlx::query(
        "UPDATE memory_approximate SET search_width = $2::integer, \
         target_recall = $3::double precision WHERE index_name = $1::text",
    );
    let query = query.bind(name);
    let query = query.bind(i32::try_from(width).unwrap_or(i32::MAX));
    connection.execute(query.bind(target)).await.map(drop)
}

/// Records how often each of these indexes was scanned until now, and for those that were
/// used that their time without a scan begins now.
pub(super) async fn record_scans(
    connection: &mut Connection,
    indexes: &[(String, bool)],
) -> Result<(), Failure> {
    let names: Vec<&str> = indexes.iter().map(|(name, _)| name.as_str()).collect();
    let states = load_states(connection, names).await?;
    for (name, was_used) in indexes {
        let scans = states.get(name).map_or(0, |state| state.scans);
        // Not as one statement with a CASE: a distributed server accepts `now()` in an
        // update, and in no CASE of one.
        let text = match was_used {
            true => {
                "UPDATE memory_approximate SET scans = $2::bigint, unused_since = now() \
                 WHERE index_name = $1::text"
            }
            false => "UPDATE memory_approximate SET scans = $2::bigint WHERE index_name = $1::text",
        };
        let query = sqlx::query(text).bind(name).bind(rows::signed(scans));
        connection.execute(query).await?;
    }
    Ok(())
}

/// An index's name with its schema, as statements have it.
pub(super) async fn qualified(connection: &mut Connection, name: &str) -> Result<String, Failure> {
    let query = sqlx::query("SELECT format('%I.%I', current_schema(), $1::text) AS qualified");
    let rows = connection.fetch_all(query.bind(name)).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok(row.try_get("qualified")?)
}

/// Removes a record. Its index has to be gone.
pub(super) async fn delete(connection: &mut Connection, name: &str) -> Result<(), Failure> {
    let query = sqlx::query("DELETE FROM memory_approximate WHERE index_name = $1::text");
    connection.execute(query.bind(name)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(scans: u64, state: Option<u64>) -> IndexRecord {
        IndexRecord {
            name: String::new(),
            key: IndexKey {
                entity: EntityId::from("mira"),
                model: Fingerprint::from("model"),
                dimensions: 384,
            },
            method: None,
            parameters: String::new(),
            built_rows: 1_000,
            width: None,
            target: Some(0.95),
            reason: Some(IndexReason::BelowTarget),
            scans,
            is_window_over: true,
            state: state.map(|scans| IndexState {
                is_valid: true,
                bytes: 0,
                scans,
            }),
        }
    }

    #[test]
    fn an_index_is_unused_if_its_scans_stayed_the_same_for_long() {
        assert!(record(7, Some(7)).is_unused());
        assert!(!record(7, Some(8)).is_unused());
        assert!(!record(7, Some(0)).is_unused(), "statistics were reset");
        let fresh = IndexRecord {
            is_window_over: false,
            ..record(7, Some(7))
        };
        assert!(!fresh.is_unused());
    }

    #[test]
    fn a_decision_stands_until_the_entity_has_doubled_or_the_target_is_lower() {
        let decision = record(0, None);
        let standing = |rows, target| decision.standing_decision(rows, target);
        assert_eq!(standing(2_000, 0.95), Some(IndexReason::BelowTarget));
        assert_eq!(standing(1_000, 0.99), Some(IndexReason::BelowTarget));
        assert_eq!(standing(1_000, 0.9), None);
        assert_eq!(standing(2_001, 0.95), None);
        let unused = IndexRecord {
            reason: Some(IndexReason::Unused),
            ..record(0, None)
        };
        assert_eq!(
            unused.standing_decision(1_000, 0.5),
            Some(IndexReason::Unused)
        );
    }

    #[test]
    fn names_differ_by_method() {
        let key = record(0, None).key;
        let names = [Some(IndexMethod::Hnsw), Some(IndexMethod::IvfFlat), None];
        let names = names.map(|method| key.name(method));
        assert!(names.iter().all(|name| name.len() == 40), "{names:?}");
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
    }
}
