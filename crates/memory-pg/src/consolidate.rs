//! [`Store::consolidate`](memory_core::Store::consolidate).

use std::collections::HashMap;
use std::sync::Arc;

use memory_core::{
    ConsolidateOutcome, EmbeddedMemory, EntityId, Generation, MemoryError, MemoryId, MemoryResult,
    SummaryGroup,
};
use sqlx::Row;
use uuid::Uuid;

use crate::columns::EmbeddingColumns;
use crate::database::{Database, Link};
use crate::entity::{self, Tally};
use crate::error::Failure;
use crate::options::Precision;
use crate::write::{End, Write, write};
use crate::{insert, row, words};

const OPERATION: &str = "consolidate";

/// Archives memories with their vectors, each under its summary.
const ARCHIVE: &str = "WITH r AS (UPDATE memory m SET archived_by = u.summary, \
       version = $4::bigint \
       FROM (SELECT unnest($2::uuid[]) AS memory_id, unnest($3::uuid[]) AS summary) u \
       WHERE m.entity_id = $1::text AND m.memory_id = u.memory_id \
       RETURNING m.entity_id, m.memory_id), \
     v AS (UPDATE memory_embedding v SET archived = true FROM r \
       WHERE v.entity_id = r.entity_id AND v.memory_id = r.memory_id) \
     SELECT count(*) FROM r";

pub(crate) async fn consolidate(
    database: &Arc<Database>,
    entity: &EntityId,
    groups: &[SummaryGroup],
    read_at: Generation,
    max_dimensions: usize,
) -> MemoryResult<ConsolidateOutcome> {
    database.open(OPERATION)?;
    SummaryGroup::validate_all(groups, entity, max_dimensions)?;
    let precision = database.options.precision;
    for (index, group) in groups.iter().enumerate() {
        EmbeddingColumns::new([&group.summary], precision)
            .map_err(|problem| MemoryError::from(problem).with_item(index))?;
    }
    let consolidate = Consolidate {
        entity: entity.clone(),
        groups: groups.to_vec(),
        read_at,
        precision,
    };
    write(database, consolidate).await
}

struct Consolidate {
    entity: EntityId,
    groups: Vec<SummaryGroup>,
    read_at: Generation,
    precision: Precision,
}

/// What is known of a memory that the call names.
struct Found {
    version: Generation,
    archived_by: Option<MemoryId>,
    /// Of summaries alone.
    content: Option<String>,
    words: i32,
}

impl Write for Consolidate {
    const OPERATION: &'static str = OPERATION;
    type Outcome = ConsolidateOutcome;

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.entity]
    }

    async fn attempt(&self, link: &mut Link) -> Result<End<ConsolidateOutcome>, Failure> {
        let standing = entity::lock(link, &self.entity).await?;
        let generation = standing.unwrap_or_default().generation;
        let found = self.find(link).await?;
        if self.groups.iter().all(|group| stands(group, &found)) {
            return Ok(End::Rollback(ConsolidateOutcome { generation }));
        }
        self.check(&found)?;
        let generation = entity::raise_one(link, &self.entity, self.tally(&found)).await?;
        self.archive(link, generation).await?;
        let summaries: Vec<&EmbeddedMemory> =
            self.groups.iter().map(|group| &group.summary).collect();
        let generations = [(self.entity.clone(), generation)].into();
        insert::put(link, &summaries, &generations, self.precision).await?;
        Ok(End::Commit(ConsolidateOutcome { generation }))
    }
}

/// Whether this very consolidation was written before.
fn stands(group: &SummaryGroup, found: &HashMap<MemoryId, Found>) -> bool {
    let summary = &group.summary.memory;
    let same = found
        .get(&summary.id)
        .is_some_and(|it| it.content.as_ref() == Some(&summary.content));
    let under = |id| {
        let source = found.get(id);
        source.is_some_and(|it| it.archived_by == Some(summary.id))
    };
    same && group.sources.iter().all(under)
}

impl Consolidate {
    /// Looks up every summary and source; the lock on the entity keeps them so.
    async fn find(&self, link: &mut Link) -> Result<HashMap<MemoryId, Found>, Failure> {
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
        let mut found = HashMap::new();
        for row in &link.rows(query).await? {
            let id: Uuid = row.try_get("memory_id")?;
            let archived_by: Option<Uuid> = row.try_get("archived_by")?;
            let known = Found {
                version: Generation(row::unsigned("version", row.try_get("version")?)?),
                archived_by: archived_by.map(MemoryId::from),
                content: row.try_get("content")?,
                words: row.try_get("word_count")?,
            };
            found.insert(MemoryId::from(id), known);
        }
        Ok(found)
    }

    /// Each source with its summary.
    fn sources(&self) -> impl Iterator<Item = (MemoryId, MemoryId)> {
        self.groups.iter().flat_map(|group| {
            let summary = group.summary.memory.id;
            group.sources.iter().map(move |source| (*source, summary))
        })
    }

    /// Refuses a summary that is there, and a source that is not as it was read.
    fn check(&self, found: &HashMap<MemoryId, Found>) -> Result<(), MemoryError> {
        let entity = || self.entity.clone();
        let mut summaries = self.groups.iter().map(|group| group.summary.memory.id);
        if let Some(id) = summaries.find(|id| found.contains_key(id)) {
            return Err(MemoryError::Conflict {
                entity: entity(),
                id,
            });
        }
        let as_read = |id: &MemoryId| {
            let source = found.get(id);
            source.is_some_and(|it| it.archived_by.is_none() && it.version <= self.read_at)
        };
        let mut sources = self.sources().map(|(source, _)| source);
        match sources.find(|id| !as_read(id)) {
            Some(id) => Err(MemoryError::Changed {
                entity: entity(),
                id,
            }),
            None => Ok(()),
        }
    }

    fn tally(&self, found: &HashMap<MemoryId, Found>) -> Tally {
        let mut tally = Tally::default();
        for group in &self.groups {
            tally.add(words::count(&group.summary.memory.content));
        }
        for (source, _) in self.sources() {
            tally.archived += 1;
            tally.subtract(found.get(&source).map_or(0, |it| it.words));
        }
        tally
    }

    async fn archive(&self, link: &mut Link, generation: Generation) -> Result<(), Failure> {
        let uuids =
            |(source, summary): (MemoryId, MemoryId)| (*source.as_uuid(), *summary.as_uuid());
        let (sources, summaries): (Vec<Uuid>, Vec<Uuid>) = self.sources().map(uuids).unzip();
        let query = sqlx::query(ARCHIVE)
            .bind(self.entity.as_str())
            .bind(sources)
            .bind(summaries)
            .bind(row::signed(generation.0));
        link.run(query).await?;
        Ok(())
    }
}
