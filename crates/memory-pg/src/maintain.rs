//! Maintenance: the approximate indexes of very large entities.

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use sha2::{Digest, Sha256};
use sqlx::Row;

use crate::approximate::predicate;
use crate::database::{Database, Link};
use crate::error::Failure;
use crate::options::Pooler;
use crate::row;
use crate::sql::quoted;

const OPERATION: &str = "maintain";

/// What an index is built in: a graph of 100,000 vectors of 384 dimensions takes
/// about 130 MB, and one that does not fit is built many times more slowly.
const MEMORY: &str = "512MB";

/// What [`PgStore::maintain`](crate::PgStore::maintain) did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintenance {
    /// Indexes that were made.
    pub created: usize,
    /// Indexes that were dropped: no longer wanted, or damaged.
    pub dropped: usize,
    /// Indexes that stay as they are.
    pub kept: usize,
}

pub(crate) async fn maintain(database: &Database) -> MemoryResult<Maintenance> {
    database.open(OPERATION)?;
    if database.options.pooler == Pooler::Transaction || database.options.row_level_security {
        // One takes a session away, the other most of the rows.
        return Err(MemoryError::Unsupported {
            operation: "maintenance through a pooler or under row-level security",
            backend: "postgres",
        });
    }
    let mut link = database.link().await.map_err(told)?;
    let outcome = work(database, &mut link).await.map_err(told);
    // The session has settings of its own, and is not given back. Its end may
    // take the server a moment, so that the lock is given up before.
    let _ = link.script("SELECT pg_advisory_unlock_all()").await;
    drop(link);
    outcome
}

fn told(failure: Failure) -> MemoryError {
    failure.told(OPERATION)
}

async fn work(database: &Database, link: &mut Link) -> Result<Maintenance, Failure> {
    link.be_patient();
    link.script("SET statement_timeout = 0; SET lock_timeout = 0")
        .await?;
    let lock = "SELECT pg_try_advisory_lock(hashtext('memory-pg maintenance'), \
                hashtext(current_schema())) AS ours";
    let rows = link.rows(sqlx::query(lock)).await?;
    if !rows.first().map_or(Ok(false), |row| row.try_get("ours"))? {
        let message = "somebody else is at it";
        return Err(MemoryError::store(ErrorKind::Unavailable, OPERATION, message).into());
    }
    let wanted = wanted(database, link).await?;
    let mut done = Maintenance::default();
    let mut names = Vec::new();
    for standing in standing(link).await? {
        let serves = |it: &&Wanted| it.is_served_by(&standing, database);
        match wanted.iter().find(serves) {
            Some(_) if standing.is_whole => {
                names.push(standing.name);
                done.kept += 1;
            }
            _ => {
                drop_index(link, &standing.name).await?;
                done.dropped += 1;
            }
        }
    }
    for wanted in wanted.iter().filter(|it| !names.contains(&it.name)) {
        create(database, link, wanted).await?;
        done.created += 1;
    }
    database.catalog.read(link).await?;
    Ok(done)
}

/// An index that should be there.
struct Wanted {
    name: String,
    entity: String,
    model: String,
    dimensions: u64,
    rows: u64,
}

/// An index that is, or was to be, there.
struct Standing {
    name: String,
    method: String,
    parameters: String,
    built_rows: u64,
    is_whole: bool,
}

impl Wanted {
    fn is_served_by(&self, standing: &Standing, database: &Database) -> bool {
        let Standing {
            method, parameters, ..
        } = standing;
        let kind = database.options.approximate;
        self.name == standing.name && kind.keeps(method, parameters, standing.built_rows, self.rows)
    }
}

/// The largest entities, as many as may have an index.
async fn wanted(database: &Database, link: &mut Link) -> Result<Vec<Wanted>, Failure> {
    let options = &database.options;
    if options.approximate.method().is_none() {
        return Ok(Vec::new());
    }
    // An index over vectors of several sizes, or of single precision, would
    // miss some: there is none for these.
    let query = sqlx::query(
        "SELECT v.entity_id, v.model, count(*) AS size, max(vector_dims(v.half)) AS dimensions \
         FROM memory_embedding v WHERE v.entity_id IN \
           (SELECT e.entity_id FROM entity e WHERE e.memory_count >= $1::bigint / 16) \
         AND NOT v.archived GROUP BY v.entity_id, v.model \
         HAVING count(*) >= $1::bigint AND count(v.half) = count(*) \
           AND min(vector_dims(v.half)) = max(vector_dims(v.half)) \
           AND max(vector_dims(v.half)) <= 4000 \
         ORDER BY count(*) DESC, v.entity_id, v.model LIMIT $2::bigint",
    );
    let query = query
        .bind(row::signed(options.approximate_from))
        .bind(i64::from(options.approximate_at_most));
    let mut wanted = Vec::new();
    for row in &link.rows(query).await? {
        let (entity, model): (String, String) = (row.try_get("entity_id")?, row.try_get("model")?);
        let dimensions: i32 = row.try_get("dimensions")?;
        let dimensions = u64::try_from(dimensions).unwrap_or_default();
        wanted.push(Wanted {
            name: name(&entity, &model, dimensions),
            rows: row::unsigned("size", row.try_get("size")?)?,
            entity,
            model,
            dimensions,
        });
    }
    Ok(wanted)
}

/// Tells indexes apart; names of entities are longer than those of indexes.
fn name(entity: &str, model: &str, dimensions: u64) -> String {
    let key = format!("{entity}\n{model}\n{dimensions}");
    let hash = Sha256::digest(key.as_bytes());
    let hex: String = hash
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("idx_memory_near_{hex}")
}

async fn standing(link: &mut Link) -> Result<Vec<Standing>, Failure> {
    let query = sqlx::query(
        "SELECT a.index_name, a.method, a.parameters, a.built_rows, \
         coalesce(i.indisvalid, false) AS whole FROM memory_approximate a \
         LEFT JOIN pg_index i ON i.indexrelid = to_regclass(quote_ident(a.index_name)) \
         ORDER BY a.index_name",
    );
    let mut standing = Vec::new();
    for row in &link.rows(query).await? {
        standing.push(Standing {
            name: row.try_get("index_name")?,
            method: row.try_get("method")?,
            parameters: row.try_get("parameters")?,
            built_rows: row::unsigned("built_rows", row.try_get("built_rows")?)?,
            is_whole: row.try_get("whole")?,
        });
    }
    Ok(standing)
}

async fn drop_index(link: &mut Link, name: &str) -> Result<(), Failure> {
    link.script(&format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        .await?;
    let forget = sqlx::query("DELETE FROM memory_approximate WHERE index_name = $1::text");
    link.run(forget.bind(name)).await?;
    Ok(())
}

/// Makes an index while others write. It is written down first, so that one
/// that was left half-made is found and dropped the next time.
async fn create(database: &Database, link: &mut Link, wanted: &Wanted) -> Result<(), Failure> {
    let kind = database.options.approximate;
    let (method, parameters) = (
        kind.method().unwrap_or_default(),
        kind.parameters(wanted.rows),
    );
    let note = sqlx::query(
        "INSERT INTO memory_approximate \
         (index_name, entity_id, model, dimensions, method, parameters, built_rows) \
         VALUES ($1::text, $2::text, $3::text, $4::integer, $5::text, $6::text, $7::bigint)",
    );
    let note = note
        .bind(&wanted.name)
        .bind(&wanted.entity)
        .bind(&wanted.model)
        .bind(i32::try_from(wanted.dimensions).unwrap_or(i32::MAX))
        .bind(method)
        .bind(&parameters)
        .bind(row::signed(wanted.rows));
    link.run(note).await?;
    let Wanted {
        name, dimensions, ..
    } = wanted;
    link.script(&format!("SET maintenance_work_mem = {}", quoted(MEMORY)))
        .await?;
    link.script(&format!(
        "CREATE INDEX CONCURRENTLY {name} ON memory_embedding \
         USING {method} ((half::halfvec({dimensions})) halfvec_cosine_ops) \
         WITH ({parameters}) WHERE {}",
        predicate(&wanted.entity, &wanted.model, *dimensions, ""),
    ))
    .await
}
