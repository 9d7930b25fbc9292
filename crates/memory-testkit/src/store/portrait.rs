//! All that can be read of an entity, to see whether anything changed.

use std::collections::BTreeMap;

use memory_core::{
    EmbeddedMemory, EntityId, EntityStats, Generation, ListScope, Memory, MemoryFilter, MemoryId,
};

use super::CheckContext;
use super::checks::changes::apply;
use crate::check::{At, CheckFailure};

/// Everything that an entity holds, at one generation.
#[derive(Debug, PartialEq)]
pub(crate) struct Portrait {
    stats: EntityStats,
    live: Vec<Memory>,
    archived: Vec<Memory>,
    whole: BTreeMap<MemoryId, EmbeddedMemory>,
}

impl CheckContext {
    /// Reads all that an entity holds.
    pub(crate) async fn portrait(&self, entity: &EntityId) -> Result<Portrait, CheckFailure> {
        let all = MemoryFilter::new();
        let stats = self.store().entity_stats(entity).await;
        let whole = self.changes(entity, Generation::ZERO).await?;
        Ok(Portrait {
            stats: stats.at("entity_stats")?,
            live: self.listed(entity, &all, 1_000).await?,
            archived: self
                .listed_in(ListScope::Archived, entity, &all, 1_000)
                .await?,
            whole: apply(BTreeMap::new(), whole)?,
        })
    }
}
