//! [`Store::vector_counts`](memory_core::Store::vector_counts),
//! [`Store::count_by_model`](memory_core::Store::count_by_model),
//! [`Store::replace_vectors`](memory_core::Store::replace_vectors) and
//! [`Store::remove_other_vectors`](memory_core::Store::remove_other_vectors).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use memory_core::{
    Embedding, EntityId, Fingerprint, Generation, MemoryId, MemoryResult, ReplaceVectorsOutcome,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connections::connection::Connection;
use crate::connections::database::Database;
use crate::connections::transaction::{Transaction, TxOutcome};
use crate::error::Failure;
use crate::operations::snapshot_pages;
use crate::options::Precision;
use crate::rows::batch_parts;
use crate::rows::entity::{self, CountDelta};
use crate::rows::sql::SqlBuilder;
use crate::rows::{self, EmbeddingColumns};

const OPERATION: &str = "replace_vectors";

pub(crate) async fn vector_counts(
    database: &Database,
    entity: &EntityId,
    ids: &[MemoryId],
    fingerprint: &Fingerprint,
) -> MemoryResult<Vec<usize>> {
    const OPERATION: &str = "vector_counts";
    database.check_open(OPERATION)?;
    let mut sql = SqlBuilder::new();
    let entity_param = sql.value(entity.as_str(), "text");
    let model = sql.value(fingerprint.as_str(), "text");
    let uuids: Vec<Uuid> = ids.iter().map(|id| *id.as_uuid()).collect();
    let uuids = sql.value(uuids, "uuid[]");
    sql.push(format!(
        "SELECT v.memory_id, count(*) AS vectors FROM memory_embedding v \
         WHERE v.entity_id = {entity_param} AND v.model = {model} \
         AND v.memory_id = ANY ({uuids}) GROUP BY v.memory_id"
    ));
    let ids = ids.to_vec();
    let decode = move |rows: &[PgRow]| {
        let mut counts: HashMap<Uuid, usize> = HashMap::with_capacity(rows.len());
        for row in rows {
            let count: i64 = row.try_get("vectors")?;
            counts.insert(
                row.try_get("memory_id")?,
                usize::try_from(count).unwrap_or(0),
            );
        }
        let count = |id: &MemoryId| counts.get(id.as_uuid()).copied().unwrap_or(0);
        Ok(ids.iter().map(count).collect())
    };
    database.read(OPERATION, entity, sql, decode).await
}

pub(crate) async fn count_by_model(
    database: &Database,
    entity: &EntityId,
) -> MemoryResult<BTreeMap<Fingerprint, u64>> {
    const OPERATION: &str = "count_by_model";
    database.check_open(OPERATION)?;
    let mut sql = SqlBuilder::new();
    let entity_param = sql.value(entity.as_str(), "text");
    sql.push(format!(
        "SELECT v.model, count(DISTINCT v.memory_id) AS memories FROM memory_embedding v \
         WHERE v.entity_id = {entity_param} GROUP BY v.model"
    ));
    let decode = |rows: &[PgRow]| {
        let count = |row: &PgRow| {
            let model = Fingerprint::from(row.try_get::<&str, _>("model")?);
            let memories: i64 = row.try_get("memories")?;
            Ok::<_, sqlx::Error>((model, memories.unsigned_abs()))
        };
        rows.iter().map(count).collect()
    };
    database.read(OPERATION, entity, sql, decode).await
}

pub(crate) async fn remove_other_vectors(
    database: &Arc<Database>,
    entity: &EntityId,
    ids: &[MemoryId],
    fingerprint: &Fingerprint,
) -> MemoryResult<u64> {
    database.check_open(RemoveOtherVectors::OPERATION)?;
    let remove = RemoveOtherVectors {
        entity: entity.clone(),
        ids: ids.iter().map(|id| *id.as_uuid()).collect(),
        fingerprint: fingerprint.clone(),
    };
    database.write(remove).await
}

struct RemoveOtherVectors {
    entity: EntityId,
    ids: Vec<Uuid>,
    fingerprint: Fingerprint,
}

impl Transaction for RemoveOtherVectors {
    const OPERATION: &'static str = "remove_other_vectors";
    type Output = u64;

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.entity]
    }

    async fn run(&self, connection: &mut Connection) -> Result<TxOutcome<u64>, Failure> {
        // A writer must not replace the vectors that let the others go.
        let Some(row) = entity::lock(connection, &self.entity).await? else {
            return Ok(TxOutcome::Rollback(0));
        };
        let find = sqlx::query(
            "SELECT DISTINCT o.memory_id FROM memory_embedding o \
             WHERE o.entity_id = $1::text AND o.memory_id = ANY ($2::uuid[]) \
             AND o.model <> $3::text AND EXISTS (SELECT FROM memory_embedding n \
               WHERE n.entity_id = $1::text AND n.memory_id = o.memory_id \
               AND n.model = $3::text)",
        );
        let (entity, model) = (self.entity.as_str(), self.fingerprint.as_str());
        let find = find.bind(entity).bind(&self.ids).bind(model);
        let rows = connection.fetch_all(find).await?;
        if rows.is_empty() {
            return Ok(TxOutcome::Rollback(0));
        }
        let ids = rows.iter().map(|row| row.try_get("memory_id"));
        let ids: Vec<Uuid> = ids.collect::<Result<_, _>>()?;
        let count = ids.len() as u64;
        let delete = sqlx::query(
            "DELETE FROM memory_embedding WHERE entity_id = $1::text \
             AND memory_id = ANY ($2::uuid[]) AND model <> $3::text",
        );
        let delete = delete.bind(entity).bind(&ids).bind(model);
        connection.execute(delete).await?;
        let kept = &self.fingerprint;
        snapshot_pages::discard_vectors(connection, &self.entity, &row, &ids, kept).await?;
        Ok(TxOutcome::Commit(count))
    }
}

pub(crate) async fn replace_vectors(
    database: &Arc<Database>,
    entity: &EntityId,
    embeddings: &[(MemoryId, Embedding)],
    read_at: Generation,
    max_dimensions: usize,
) -> MemoryResult<ReplaceVectorsOutcome> {
    database.check_open(OPERATION)?;
    for (_, embedding) in embeddings {
        embedding.validate(max_dimensions)?;
    }
    let replace = ReplaceVectors {
        entity: entity.clone(),
        embeddings: embeddings.to_vec(),
        read_at,
        precision: database.options.precision,
    };
    database.write(replace).await
}

struct ReplaceVectors {
    entity: EntityId,
    embeddings: Vec<(MemoryId, Embedding)>,
    read_at: Generation,
    precision: Precision,
}

impl Transaction for ReplaceVectors {
    const OPERATION: &'static str = OPERATION;
    type Output = ReplaceVectorsOutcome;

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.entity]
    }

    async fn run(
        &self,
        connection: &mut Connection,
    ) -> Result<TxOutcome<ReplaceVectorsOutcome>, Failure> {
        let Some(row) = entity::lock(connection, &self.entity).await? else {
            return Ok(TxOutcome::Rollback(ReplaceVectorsOutcome::default()));
        };
        let targets = self.find_targets(connection).await?;
        if targets.is_empty() {
            let outcome = ReplaceVectorsOutcome::new(row.generation, Vec::new());
            return Ok(TxOutcome::Rollback(outcome));
        }
        let generation = row.generation.next();
        let ids: Vec<Uuid> = targets.keys().copied().collect();
        let items = self.embeddings.iter();
        let items = items.filter(|(id, _)| targets.contains_key(id.as_uuid()));
        let (given, models): (Vec<Uuid>, Vec<&str>) = items
            .clone()
            .map(|(id, embedding)| (*id.as_uuid(), embedding.fingerprint.as_str()))
            .unzip();
        let clear = sqlx::query(
            "DELETE FROM memory_embedding v USING unnest($2::uuid[], $3::text[]) AS g(id, model) \
             WHERE v.entity_id = $1::text AND v.memory_id = g.id AND v.model = g.model \
               AND v.memory_id = ANY ($2::uuid[])",
        );
        let clear = clear.bind(self.entity.as_str()).bind(given).bind(models);
        connection.execute(clear).await?;
        let items: Vec<(&MemoryId, &Embedding)> = items.map(|(id, it)| (id, it)).collect();
        for part in batch_parts::of_embeddings(&items) {
            let part = part.iter().map(|(id, it)| (&self.entity, *id, *it));
            let columns = EmbeddingColumns::of(part, self.precision);
            let columns = columns.map_err(memory_core::MemoryError::from)?;
            columns.insert(connection).await?;
        }
        let archived: HashSet<Uuid> = targets
            .iter()
            .filter_map(|(id, is_archived)| is_archived.then_some(*id))
            .collect();
        if !archived.is_empty() {
            let archived: Vec<Uuid> = archived.into_iter().collect();
            let archive = sqlx::query(
                "UPDATE memory_embedding SET archived = true \
                 WHERE entity_id = $1::text AND memory_id = ANY ($2::uuid[])",
            );
            connection
                .execute(archive.bind(self.entity.as_str()).bind(archived))
                .await?;
        }
        let version = sqlx::query(
            "UPDATE memory SET version = $3::bigint \
             WHERE entity_id = $1::text AND memory_id = ANY ($2::uuid[])",
        );
        let version = version
            .bind(self.entity.as_str())
            .bind(&ids)
            .bind(rows::signed(generation.0));
        connection.execute(version).await?;
        snapshot_pages::discard(connection, &self.entity, &row, &ids).await?;
        entity::raise_one(connection, &self.entity, CountDelta::default()).await?;
        let replaced = ids.into_iter().map(MemoryId::from).collect();
        let outcome = ReplaceVectorsOutcome::new(generation, replaced);
        Ok(TxOutcome::Commit(outcome))
    }
}

impl ReplaceVectors {
    /// The memories that were not written after `read_at`, and whether they are
    /// archived.
    async fn find_targets(
        &self,
        connection: &mut Connection,
    ) -> Result<HashMap<Uuid, bool>, Failure> {
        let ids = self.embeddings.iter().map(|(id, _)| *id.as_uuid());
        let mut sql = SqlBuilder::new();
        let entity_param = sql.value(self.entity.as_str(), "text");
        let ids = sql.value(ids.collect::<Vec<_>>(), "uuid[]");
        let read_at = sql.value(rows::signed(self.read_at.0), "bigint");
        sql.push(format!(
            "SELECT m.memory_id, m.archived_by IS NOT NULL AS is_archived FROM memory m \
             WHERE m.entity_id = {entity_param} AND m.memory_id = ANY ({ids}) \
             AND m.version <= {read_at}"
        ));
        let rows = connection.fetch_all(sql.query()?).await?;
        let mut targets = HashMap::with_capacity(rows.len());
        for row in &rows {
            targets.insert(row.try_get("memory_id")?, row.try_get("is_archived")?);
        }
        Ok(targets)
    }
}
