//! Setups and dumps that several checks share.

use std::collections::BTreeMap;

use memory_core::{
    EmbeddedMemory, EntityId, EntityStats, Generation, ListScope, Memory, MemoryFilter, MemoryId,
};

use super::CheckContext;
use super::checks::changes::apply;
use super::context::ids;
use crate::check::{At, CheckFailure};
use crate::fixtures::consolidation;
use crate::seeded_rng::SeededRng;

/// Memories of which the first few are archived under one summary.
pub(crate) struct Archive {
    /// As they were inserted.
    pub(crate) people: Vec<EmbeddedMemory>,
    pub(crate) summary: EmbeddedMemory,
    /// How many of `people` are archived.
    pub(crate) archived: usize,
}

/// Two levels of summaries: `a` and `b` stand under `lower`, `lower` and `c`
/// under `upper`, and `d` has no summary.
pub(crate) struct Levels {
    /// `a` to `d` as they were inserted.
    pub(crate) people: Vec<EmbeddedMemory>,
    pub(crate) lower: EmbeddedMemory,
    pub(crate) upper: EmbeddedMemory,
}

impl CheckContext {
    /// Inserts `size` memories (generation 1) and archives the first `archived`
    /// of them (generation 2).
    pub(crate) async fn archive(
        &self,
        entity: &EntityId,
        size: usize,
        archived: usize,
        rng: &mut SeededRng,
    ) -> Result<Archive, CheckFailure> {
        let people = self.populate(entity, size, rng).await?;
        let sources = ids(&people[..archived]);
        let group = consolidation(entity, "the lantern saddle in short", sources, rng);
        self.consolidate(entity, std::slice::from_ref(&group))
            .await?;
        Ok(Archive {
            people,
            summary: group.summary,
            archived,
        })
    }

    /// Inserts four memories (generation 1) and two levels of summaries
    /// (generations 2 and 3).
    pub(crate) async fn levels(
        &self,
        entity: &EntityId,
        rng: &mut SeededRng,
    ) -> Result<Levels, CheckFailure> {
        let people = self.populate(entity, 4, rng).await?;
        let [a, b, c] = [0, 1, 2].map(|index: usize| people[index].memory.id);
        let lower = consolidation(entity, "lower", [a, b], rng);
        self.consolidate(entity, std::slice::from_ref(&lower))
            .await?;
        let sources = [lower.summary.memory.id, c];
        let upper = consolidation(entity, "upper", sources, rng);
        self.consolidate(entity, std::slice::from_ref(&upper))
            .await?;
        Ok(Levels {
            people,
            lower: lower.summary,
            upper: upper.summary,
        })
    }
}

impl Archive {
    pub(crate) fn summary(&self) -> MemoryId {
        self.summary.memory.id
    }

    pub(crate) fn sources(&self) -> &[EmbeddedMemory] {
        &self.people[..self.archived]
    }

    /// What is live: the rest, and the summary.
    pub(crate) fn live(&self) -> Vec<EmbeddedMemory> {
        let mut live = self.people[self.archived..].to_vec();
        live.push(self.summary.clone());
        live
    }

    /// The archived memories as they are read.
    pub(crate) fn archived(&self) -> Vec<EmbeddedMemory> {
        archived_under(self.sources(), self.summary())
    }
}

impl Levels {
    /// The ids of `a`, `b`, `c` and `d`.
    pub(crate) fn ids(&self) -> [MemoryId; 4] {
        [0, 1, 2, 3].map(|index: usize| self.people[index].memory.id)
    }
}

/// Memories as they are read once they are archived.
pub(crate) fn archived_under(items: &[EmbeddedMemory], summary: MemoryId) -> Vec<EmbeddedMemory> {
    let mut items = items.to_vec();
    for item in &mut items {
        item.memory.archived_by = Some(summary);
    }
    items
}

/// Everything that an entity holds, at one generation.
#[derive(Debug, PartialEq)]
pub(crate) struct EntityDump {
    stats: EntityStats,
    live: Vec<Memory>,
    archived: Vec<Memory>,
    whole: BTreeMap<MemoryId, EmbeddedMemory>,
}

impl CheckContext {
    /// Reads all that an entity holds.
    pub(crate) async fn entity_dump(&self, entity: &EntityId) -> Result<EntityDump, CheckFailure> {
        let all = MemoryFilter::new();
        let stats = self.store().entity_stats(entity).await;
        let whole = self.changes(entity, Generation::ZERO).await?;
        Ok(EntityDump {
            stats: stats.at("entity_stats")?,
            live: self.listed(entity, &all, 1_000).await?,
            archived: self
                .listed_in(ListScope::Archived, entity, &all, 1_000)
                .await?,
            whole: apply(BTreeMap::new(), whole)?,
        })
    }
}
