//! [`Store::consolidate`](memory_core::Store::consolidate).

use std::collections::{BTreeMap, HashMap};

use memory_core::{
    ConsolidateOutcome, EmbeddedMemory, EntityId, Generation, Language, MemoryError, MemoryId,
    SummaryGroup,
};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};

use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::operations::archive;
use crate::operations::insert::Insert;
use crate::operations::insert::lookup::Spaces;
use crate::reindex::analysis_state::AnalysisState;
use crate::rows::entity;
use crate::rows::{self, EntityRow};

/// Validated groups.
pub(crate) struct Consolidate {
    pub(crate) entity: EntityId,
    pub(crate) groups: Vec<SummaryGroup>,
    pub(crate) read_at: Generation,
    pub(crate) language: Option<Language>,
}

/// The state of a memory that a group names.
struct StoredMemory {
    key: i64,
    version: Generation,
    archived_by: Option<MemoryId>,
    content: String,
}

impl Transaction for Consolidate {
    type Output = ConsolidateOutcome;
    const OPERATION: &'static str = "consolidate";

    async fn run(self, conn: &mut SqliteConnection) -> Result<ConsolidateOutcome, Failure> {
        let names = [&self.entity].into();
        let entities = entity::find_or_create(conn, &names).await?;
        let entity = entities[&self.entity];
        let stored = self.find_stored(conn, &entity).await?;
        if self.groups.iter().all(|group| is_applied(group, &stored)) {
            let generation = entity.generation;
            return Ok(ConsolidateOutcome::new(generation));
        }
        AnalysisState::read(conn).await?.check(Self::OPERATION)?;
        let mut sources = BTreeMap::new();
        for group in &self.groups {
            let summary = group.summary.memory.id;
            if stored.contains_key(&summary) {
                let (entity, id) = (self.entity.clone(), summary);
                return Err(MemoryError::Conflict { entity, id }.into());
            }
            for id in &group.sources {
                sources.insert(self.unchanged_key(*id, &stored)?, summary);
            }
        }
        let delta = archive::archive(conn, &entity, &sources).await?;
        let mut deltas = BTreeMap::from([(entity.key, delta)]);
        let summaries: Vec<EmbeddedMemory> =
            self.groups.into_iter().map(|group| group.summary).collect();
        let all = vec![true; summaries.len()];
        let insert = Insert::unlimited(summaries, self.language);
        let spaces = Spaces::new();
        insert
            .write(conn, &entities, &spaces, &all, &mut deltas)
            .await?;
        Ok(ConsolidateOutcome::new(entity.generation.next()))
    }
}

impl Consolidate {
    /// Reads the memories under the ids of summaries and sources.
    async fn find_stored(
        &self,
        conn: &mut SqliteConnection,
        entity: &EntityRow,
    ) -> Result<HashMap<MemoryId, StoredMemory>, Failure> {
        let ids = self
            .groups
            .iter()
            .flat_map(|group| group.sources.iter().chain([&group.summary.memory.id]));
        let rows = query(
            "SELECT m.memory_key, m.memory_id, m.version, m.archived_by, m.content
             FROM json_each(?2) AS wanted
             CROSS JOIN memory AS m ON m.entity_key = ?1 AND m.memory_id = unhex(wanted.value)",
        )
        .bind(entity.key)
        .bind(rows::encode_ids(ids)?)
        .fetch_all(conn)
        .await?;
        rows.iter()
            .map(|row| {
                let archived_by: Option<&[u8]> = row.try_get(3)?;
                let stored = StoredMemory {
                    key: rows::key(row)?,
                    version: Generation(row.try_get(2)?),
                    archived_by: archived_by.map(rows::decode_id).transpose()?,
                    content: row.try_get(4)?,
                };
                Ok((rows::id(row)?, stored))
            })
            .collect()
    }

    /// The key of a source that is live and unchanged since it was read.
    fn unchanged_key(
        &self,
        id: MemoryId,
        stored: &HashMap<MemoryId, StoredMemory>,
    ) -> Result<i64, MemoryError> {
        stored
            .get(&id)
            .filter(|source| source.archived_by.is_none() && source.version <= self.read_at)
            .map(|source| source.key)
            .ok_or_else(|| MemoryError::Changed {
                entity: self.entity.clone(),
                id,
            })
    }
}

/// Whether this consolidation was written before.
fn is_applied(group: &SummaryGroup, stored: &HashMap<MemoryId, StoredMemory>) -> bool {
    let summary = &group.summary.memory;
    let existing = stored.get(&summary.id);
    existing.is_some_and(|found| found.content == summary.content)
        && group.sources.iter().all(|id| {
            let source = stored.get(id);
            source.is_some_and(|source| source.archived_by == Some(summary.id))
        })
}
