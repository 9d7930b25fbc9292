//! Index maintenance: building and dropping the ANN indexes of very large
//! entities.

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use sha2::{Digest, Sha256};
use sqlx::Row;

use crate::ann_index::{predicate, valid_indexes};
use crate::connection::Connection;
use crate::database::Database;
use crate::error::Failure;
use crate::options::Pooler;
use crate::rows;
use crate::sql::quoted;

const OPERATION: &str = "maintain_indexes";

/// The `maintenance_work_mem` of a build: an HNSW graph of 100,000 vectors of 384
/// dimensions takes about 130 MB, and building one that does not fit takes many
/// times as long.
const BUILD_MEMORY: &str = "512MB";

/// What [`PgStore::maintain_indexes`](crate::PgStore::maintain_indexes) did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaintenanceReport {
    /// Indexes that were built.
    pub created: usize,
    /// Indexes that were dropped: no longer required, or invalid.
    pub dropped: usize,
    /// Indexes that were kept.
    pub kept: usize,
}

pub(crate) async fn maintain_indexes(database: &Database) -> MemoryResult<MaintenanceReport> {
    database.check_open(OPERATION)?;
    database.check_writable(OPERATION)?;
    if database.options.pooler == Pooler::Transaction || database.options.row_level_security {
        // A session lock does not survive a pooler; policies hide most rows.
        return Err(MemoryError::Unsupported {
            operation: "maintain_indexes through a pooler or under row-level security",
            backend: "postgres",
        });
    }
    let mut connection = database.acquire().await.map_err(into_error)?;
    let outcome = update_indexes(database, &mut connection)
        .await
        .map_err(into_error);
    // The session has settings of its own and is not returned to the pool. The
    // server may take a moment to end it, so the lock is released explicitly.
    let _ = connection
        .execute_batch("SELECT pg_advisory_unlock_all()")
        .await;
    drop(connection);
    outcome
}

fn into_error(failure: Failure) -> MemoryError {
    failure.into_error(OPERATION)
}

async fn update_indexes(
    database: &Database,
    connection: &mut Connection,
) -> Result<MaintenanceReport, Failure> {
    connection.disable_timeout();
    connection
        .execute_batch("SET statement_timeout = 0; SET lock_timeout = 0")
        .await?;
    let lock = "SELECT pg_try_advisory_lock(hashtext('memory-pg maintenance'), \
                hashtext(current_schema())) AS acquired";
    let rows = connection.fetch_all(sqlx::query(lock)).await?;
    if !rows
        .first()
        .map_or(Ok(false), |row| row.try_get("acquired"))?
    {
        let message = "another process is already running index maintenance";
        return Err(MemoryError::store(ErrorKind::Unavailable, OPERATION, message).into());
    }
    let required = required_indexes(database, connection).await?;
    let mut report = MaintenanceReport::default();
    let mut kept = Vec::new();
    for existing in existing_indexes(connection).await? {
        let is_required = |it: &RequiredIndex| it.is_served_by(&existing, database);
        match required.iter().any(is_required) {
            true if existing.is_valid => {
                kept.push(existing.name);
                report.kept += 1;
            }
            _ => {
                drop_index(connection, &existing.name).await?;
                report.dropped += 1;
            }
        }
    }
    for index in required.iter().filter(|it| !kept.contains(&it.name)) {
        create_index(database, connection, index).await?;
        report.created += 1;
    }
    database.index_catalog.load(connection).await?;
    Ok(report)
}

/// An index that should exist.
struct RequiredIndex {
    name: String,
    entity: String,
    model: String,
    dimensions: u64,
    rows: u64,
}

/// An index on record, which may be invalid or missing.
struct ExistingIndex {
    name: String,
    method: String,
    parameters: String,
    built_rows: u64,
    is_valid: bool,
}

impl RequiredIndex {
    fn is_served_by(&self, existing: &ExistingIndex, database: &Database) -> bool {
        let ExistingIndex {
            method, parameters, ..
        } = existing;
        let options = database.options.ann_index;
        self.name == existing.name
            && options.is_current_for(method, parameters, existing.built_rows, self.rows)
    }
}

/// The indexes of the largest entities, up to the maximum number.
async fn required_indexes(
    database: &Database,
    connection: &mut Connection,
) -> Result<Vec<RequiredIndex>, Failure> {
    let options = &database.options;
    if options.ann_index.method().is_none() {
        return Ok(Vec::new());
    }
    let large = sqlx::query(
        "SELECT e.entity_id FROM entity e WHERE e.memory_count >= $1::bigint / 16 \
         ORDER BY e.entity_id",
    );
    let large = large.bind(rows::signed(options.ann_min_vectors));
    let mut required = Vec::new();
    for row in &connection.fetch_all(large).await? {
        let entity: String = row.try_get("entity_id")?;
        // An index would miss vectors of other dimensions or of single precision:
        // entities with such vectors get none.
        let query = sqlx::query(
            "SELECT v.model, count(*) AS size, max(vector_dims(v.half)) AS dimensions \
             FROM memory_embedding v WHERE v.entity_id = $1::text AND NOT v.archived \
             GROUP BY v.model HAVING count(*) >= $2::bigint AND count(v.half) = count(*) \
               AND min(vector_dims(v.half)) = max(vector_dims(v.half)) \
               AND max(vector_dims(v.half)) <= 4000",
        );
        let query = query.bind(&entity);
        let query = query.bind(rows::signed(options.ann_min_vectors));
        for row in &connection.fetch_all(query).await? {
            let model: String = row.try_get("model")?;
            let dimensions: i32 = row.try_get("dimensions")?;
            let dimensions = u64::try_from(dimensions).unwrap_or_default();
            required.push(RequiredIndex {
                name: index_name(&entity, &model, dimensions),
                rows: rows::unsigned("size", row.try_get("size")?)?,
                entity: entity.clone(),
                model,
                dimensions,
            });
        }
    }
    required.sort_by(|a, b| {
        let order = b.rows.cmp(&a.rows);
        order.then_with(|| (&a.entity, &a.model).cmp(&(&b.entity, &b.model)))
    });
    required.truncate(options.ann_max_indexes as usize);
    Ok(required)
}

/// A unique name of fixed length: entity ids may be longer than index names.
fn index_name(entity: &str, model: &str, dimensions: u64) -> String {
    let key = format!("{entity}\n{model}\n{dimensions}");
    let hash = Sha256::digest(key.as_bytes());
    let hex: String = hash
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("idx_memory_near_{hex}")
}

async fn existing_indexes(connection: &mut Connection) -> Result<Vec<ExistingIndex>, Failure> {
    let query = sqlx::query(
        "SELECT a.index_name, a.method, a.parameters, a.built_rows FROM memory_approximate a \
         ORDER BY a.index_name",
    );
    let found = connection.fetch_all(query).await?;
    let names = found.iter().map(|row| row.try_get("index_name"));
    let valid = valid_indexes(connection, names.collect::<Result<_, _>>()?).await?;
    let mut existing = Vec::new();
    for row in &found {
        let name: String = row.try_get("index_name")?;
        existing.push(ExistingIndex {
            is_valid: valid.contains(&name),
            name,
            method: row.try_get("method")?,
            parameters: row.try_get("parameters")?,
            built_rows: rows::unsigned("built_rows", row.try_get("built_rows")?)?,
        });
    }
    Ok(existing)
}

async fn drop_index(connection: &mut Connection, name: &str) -> Result<(), Failure> {
    connection
        .execute_batch(&format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        .await?;
    let remove = sqlx::query("DELETE FROM memory_approximate WHERE index_name = $1::text");
    connection.execute(remove.bind(name)).await?;
    Ok(())
}

/// Builds an index while others write. It is recorded first, so that the next run
/// finds and drops one whose build was interrupted.
async fn create_index(
    database: &Database,
    connection: &mut Connection,
    index: &RequiredIndex,
) -> Result<(), Failure> {
    let options = database.options.ann_index;
    let (method, parameters) = (
        options.method().unwrap_or_default(),
        options.storage_parameters(index.rows),
    );
    let record = sqlx::query(
        "INSERT INTO memory_approximate \
         (index_name, entity_id, model, dimensions, method, parameters, built_rows) \
         VALUES ($1::text, $2::text, $3::text, $4::integer, $5::text, $6::text, $7::bigint)",
    );
    let record = record
        .bind(&index.name)
        .bind(&index.entity)
        .bind(&index.model)
        .bind(i32::try_from(index.dimensions).unwrap_or(i32::MAX))
        .bind(method)
        .bind(&parameters)
        .bind(rows::signed(index.rows));
    connection.execute(record).await?;
    let RequiredIndex {
        name, dimensions, ..
    } = index;
    connection
        .execute_batch(&format!(
            "SET maintenance_work_mem = {}",
            quoted(BUILD_MEMORY)
        ))
        .await?;
    connection
        .execute_batch(&format!(
            "CREATE INDEX CONCURRENTLY {name} ON memory_embedding \
         USING {method} ((half::halfvec({dimensions})) halfvec_cosine_ops) \
         WITH ({parameters}) WHERE {}",
            predicate(&index.entity, &index.model, *dimensions, ""),
        ))
        .await
}
