//! [`Store::consolidate`](memory_core::Store::consolidate).

use std::collections::HashMap;
use std::sync::Arc;

use memory_core::{
    ConsolidateOutcome, EntityId, Generation, MemoryError, MemoryId, MemoryResult, SummaryGroup,
};
use sqlx::Row;
use uuid::Uuid;

use crate::connections::connection::Connection;
use crate::connections::database::Database;
use crate::connections::transaction::{Transaction, TxOutcome};
use crate::error::Failure;
use crate::operations::insert;
use crate::operations::snapshot_pages;
use crate::options::Precision;
use crate::rows::entity::{self, CountDelta, CountDeltas};
use crate::rows::{self, EmbeddingColumns, EntityRow};
use crate::search::lexical::{IndexedMemory, index_memories};

const OPERATION: &str = "consolidate";

/// Archives memories, each under its summary. The array keeps the server from reading all
/// memories of the entity for the join.
const ARCHIVE: &str = "UPDATE memory m SET archived_by = u.summary, version = $4::bigint \
     FROM (SELECT unnest($2::uuid[]) AS memory_id, unnest($3::uuid[]) AS summary) u \
     WHERE m.entity_id = $1::text AND m.memory_id = u.memory_id \
       AND m.memory_id = ANY ($2::uuid[])";

/// Archives the vectors of memories.
const ARCHIVE_VECTORS: &str = "UPDATE memory_embedding v SET archived = true \
     WHERE v.entity_id = $1::text AND v.memory_id = ANY ($2::uuid[])";

pub(crate) async fn consolidate(
    database: &Arc<Database>,
    entity: &EntityId,
    groups: &[SummaryGroup],
    read_at: Generation,
    max_dimensions: usize,
) -> MemoryResult<ConsolidateOutcome> {
    database.check_open(OPERATION)?;
    SummaryGroup::validate_all(groups, entity, max_dimensions)?;
    let precision = database.options.precision;
    for (index, group) in groups.iter().enumerate() {
        EmbeddingColumns::new([&group.summary], precision)
            .map_err(|problem| MemoryError::from(problem).with_item(index))?;
    }
    let summaries = groups.iter().map(|group| group.summary.clone()).collect();
    let consolidate = Consolidate {
        entity: entity.clone(),
        summaries: index_memories(OPERATION, summaries, database.options.language).await?,
        groups: groups.to_vec(),
        read_at,
        precision,
    };
    database.write(consolidate).await
}

struct Consolidate {
    entity: EntityId,
    groups: Vec<SummaryGroup>,
    /// Those of the groups.
    summaries: Vec<IndexedMemory>,
    read_at: Generation,
    precision: Precision,
}

/// A stored memory that the call names, as a source or a summary.
struct ExistingMemory {
    version: Generation,
    archived_by: Option<MemoryId>,
    /// Only of summaries.
    content: Option<String>,
    words: i32,
}

impl Transaction for Consolidate {
    const OPERATION: &'static str = OPERATION;
    type Output = ConsolidateOutcome;

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.entity]
    }

    async fn run(
        &self,
        connection: &mut Connection,
    ) -> Result<TxOutcome<ConsolidateOutcome>, Failure> {
        let entity = entity::lock(connection, &self.entity).await?;
        let generation = entity.unwrap_or_default().generation;
        let existing = self.find_existing(connection).await?;
        if self
            .groups
            .iter()
            .all(|group| is_already_applied(group, &existing))
        {
            return Ok(TxOutcome::Rollback(ConsolidateOutcome::new(generation)));
        }
        self.check(&existing)?;
        let deltas = CountDeltas::from([(self.entity.clone(), self.count_delta(&existing))]);
        let raised = entity::raise(connection, &deltas).await?;
        let raised_row = raised.get(&self.entity).copied().unwrap_or_default();
        let generation = raised_row.generation;
        self.archive(connection, &raised_row).await?;
        let summaries: Vec<&IndexedMemory> = self.summaries.iter().collect();
        insert::insert_rows(connection, &summaries, &raised, self.precision).await?;
        Ok(TxOutcome::Commit(ConsolidateOutcome::new(generation)))
    }
}

/// Whether this consolidation was written before.
fn is_already_applied(group: &SummaryGroup, existing: &HashMap<MemoryId, ExistingMemory>) -> bool {
    let summary = &group.summary.memory;
    let is_same = existing
        .get(&summary.id)
        .is_some_and(|it| it.content.as_ref() == Some(&summary.content));
    let is_archived = |id| {
        let source = existing.get(id);
        source.is_some_and(|it| it.archived_by == Some(summary.id))
    };
    is_same && group.sources.iter().all(is_archived)
}

impl Consolidate {
    /// Looks up every summary and source; the lock on the entity keeps them
    /// unchanged.
    async fn find_existing(
        &self,
        connection: &mut Connection,
    ) -> Result<HashMap<MemoryId, ExistingMemory>, Failure> {
        let uuid = |id: &MemoryId| *id.as_uuid();
        let summaries: Vec<Uuid> = self
            .groups
            .iter()
            .map(|group| uuid(&group.summary.memory.id))
            .collect();
        let sources = self.sources().map(|(source, _)| uuid(&source));
        let all: Vec<Uuid> = summaries.iter().copied().chain(sources).collect();
        let query = sqlx::query(
            "SELECT m.memory_id, m.version, m.archived_by, m.word_count, \
             CASE WHEN m.memory_id = ANY ($3::uuid[]) THEN m.content END AS content \
             FROM memory m WHERE m.entity_id = $1::text AND m.memory_id = ANY ($2::uuid[])",
        );
        let query = query.bind(self.entity.as_str()).bind(all).bind(summaries);
        let mut existing = HashMap::new();
        for row in &connection.fetch_all(query).await? {
            let id: Uuid = row.try_get("memory_id")?;
            let archived_by: Option<Uuid> = row.try_get("archived_by")?;
            let memory = ExistingMemory {
                version: Generation(rows::unsigned("version", row.try_get("version")?)?),
                archived_by: archived_by.map(MemoryId::from),
                content: row.try_get("content")?,
                words: row.try_get("word_count")?,
            };
            existing.insert(MemoryId::from(id), memory);
        }
        Ok(existing)
    }

    /// Each source with its summary.
    fn sources(&self) -> impl Iterator<Item = (MemoryId, MemoryId)> {
        self.groups.iter().flat_map(|group| {
            let summary = group.summary.memory.id;
            group.sources.iter().map(move |source| (*source, summary))
        })
    }

    /// Refuses a summary that exists, and a source that changed since it was read.
    fn check(&self, existing: &HashMap<MemoryId, ExistingMemory>) -> Result<(), MemoryError> {
        let entity = || self.entity.clone();
        let mut summaries = self.groups.iter().map(|group| group.summary.memory.id);
        if let Some(id) = summaries.find(|id| existing.contains_key(id)) {
            return Err(MemoryError::Conflict {
                entity: entity(),
                id,
            });
        }
        let is_unchanged = |id: &MemoryId| {
            let source = existing.get(id);
            source.is_some_and(|it| it.archived_by.is_none() && it.version <= self.read_at)
        };
        let mut sources = self.sources().map(|(source, _)| source);
        match sources.find(|id| !is_unchanged(id)) {
            Some(id) => Err(MemoryError::Changed {
                entity: entity(),
                id,
            }),
            None => Ok(()),
        }
    }

    fn count_delta(&self, existing: &HashMap<MemoryId, ExistingMemory>) -> CountDelta {
        let mut delta = CountDelta::default();
        for summary in &self.summaries {
            delta.add(summary.entry.word_count);
        }
        for (source, _) in self.sources() {
            delta.archived += 1;
            delta.subtract(existing.get(&source).map_or(0, |it| it.words));
        }
        delta
    }

    async fn archive(
        &self,
        connection: &mut Connection,
        raised: &EntityRow,
    ) -> Result<(), Failure> {
        let uuids =
            |(source, summary): (MemoryId, MemoryId)| (*source.as_uuid(), *summary.as_uuid());
        let (sources, summaries): (Vec<Uuid>, Vec<Uuid>) = self.sources().map(uuids).unzip();
        let query = sqlx::query(ARCHIVE)
            .bind(self.entity.as_str())
            .bind(&sources)
            .bind(summaries)
            .bind(rows::signed(raised.generation.0));
        connection.execute(query).await?;
        let query = sqlx::query(ARCHIVE_VECTORS);
        connection
            .execute(query.bind(self.entity.as_str()).bind(&sources))
            .await?;
        snapshot_pages::discard(connection, &self.entity, raised, &sources).await
    }
}
