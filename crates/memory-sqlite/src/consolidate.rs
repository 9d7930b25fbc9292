//! [`Store::consolidate`](memory_core::Store::consolidate).

use std::collections::{BTreeMap, HashMap};

use memory_core::{
    ConsolidateOutcome, EmbeddedMemory, EntityId, Generation, MemoryError, MemoryId, SummaryGroup,
};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};

use crate::archive;
use crate::database::Work;
use crate::entity::{self, EntityRow};
use crate::error::Failure;
use crate::insert::Insert;
use crate::row;

/// Groups, within every bound.
pub(crate) struct Consolidate {
    pub(crate) entity: EntityId,
    pub(crate) groups: Vec<SummaryGroup>,
    pub(crate) read_at: Generation,
}

/// What stands under an id.
struct Standing {
    key: i64,
    version: Generation,
    archived_by: Option<MemoryId>,
    content: String,
}

impl Work for Consolidate {
    type Output = ConsolidateOutcome;
    const OPERATION: &'static str = "consolidate";

    async fn run(self, conn: &mut SqliteConnection) -> Result<ConsolidateOutcome, Failure> {
        let names = [&self.entity].into();
        let entities = entity::find_or_make(conn, &names).await?;
        let entity = entities[&self.entity];
        let standing = self.standing(conn, &entity).await?;
        if self.groups.iter().all(|group| stands(group, &standing)) {
            let generation = entity.generation;
            return Ok(ConsolidateOutcome { generation });
        }
        let mut sources = BTreeMap::new();
        for group in &self.groups {
            let summary = group.summary.memory.id;
            if standing.contains_key(&summary) {
                let (entity, id) = (self.entity.clone(), summary);
                return Err(MemoryError::Conflict { entity, id }.into());
            }
            for id in &group.sources {
                sources.insert(self.as_read(*id, &standing)?, summary);
            }
        }
        let change = archive::archive(conn, &entity, &sources).await?;
        let mut changes = BTreeMap::from([(entity.key, change)]);
        let summaries: Vec<EmbeddedMemory> =
            self.groups.into_iter().map(|group| group.summary).collect();
        let all = vec![true; summaries.len()];
        let insert = Insert::unbounded(summaries);
        insert.write(conn, &entities, &all, &mut changes).await?;
        entity::raise(conn, &changes).await?;
        Ok(ConsolidateOutcome {
            generation: entity.generation.next(),
        })
    }
}

impl Consolidate {
    /// What stands under the ids of summaries and sources.
    async fn standing(
        &self,
        conn: &mut SqliteConnection,
        entity: &EntityRow,
    ) -> Result<HashMap<MemoryId, Standing>, Failure> {
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
        .bind(row::hex_list(ids)?)
        .fetch_all(conn)
        .await?;
        rows.iter()
            .map(|row| {
                let archived_by: Option<&[u8]> = row.try_get(3)?;
                let standing = Standing {
                    key: row::key(row)?,
                    version: Generation(row.try_get(2)?),
                    archived_by: archived_by.map(row::memory_id).transpose()?,
                    content: row.try_get(4)?,
                };
                Ok((row::id(row)?, standing))
            })
            .collect()
    }

    /// The key of a source that is as its reader saw it.
    fn as_read(
        &self,
        id: MemoryId,
        standing: &HashMap<MemoryId, Standing>,
    ) -> Result<i64, MemoryError> {
        standing
            .get(&id)
            .filter(|source| source.archived_by.is_none() && source.version <= self.read_at)
            .map(|source| source.key)
            .ok_or_else(|| MemoryError::Changed {
                entity: self.entity.clone(),
                id,
            })
    }
}

/// Whether this very consolidation was written before.
fn stands(group: &SummaryGroup, standing: &HashMap<MemoryId, Standing>) -> bool {
    let summary = &group.summary.memory;
    let same = standing.get(&summary.id);
    same.is_some_and(|found| found.content == summary.content)
        && group.sources.iter().all(|id| {
            let source = standing.get(id);
            source.is_some_and(|source| source.archived_by == Some(summary.id))
        })
}
