//! What a caller can ask, one file per verb.

mod access;
mod alter;
mod commit;
mod consolidate;
mod delete;
mod embed;
mod forget;
mod prune;
mod read;
mod recall;
mod reflect;
mod relate;
mod restore;
mod retain;
mod room;
mod scan;
mod shown;

use std::sync::Arc;

use memory_core::{
    CacheStats, EntityId, EntityStats, ListPage, ListRequest, Memory, MemoryBatchItem,
    MemoryFilter, MemoryId, MemoryPatch, MemoryResult,
};

use crate::consolidation::{
    ConsolidateRequest, ConsolidationReport, ReflectRequest, Reflection, RelatedMemory,
};
use crate::engine::Engine;
use crate::recall::{RecallHit, RecallRequest};

/// Calls need a tokio runtime. Writes run to their end even when the caller's
/// future is dropped; reads are abandoned.
impl Engine {
    /// Retains a batch, all or nothing: validates all, embeds what is not held
    /// already in one batch, writes in one transaction. Answers the ids, in order.
    pub async fn retain_batch(&self, items: Vec<MemoryBatchItem>) -> MemoryResult<Vec<MemoryId>> {
        self.shared.retain_batch(items).await
    }

    /// Embeds texts as passages; one L2-normalized vector per text, in order.
    pub async fn generate_embeddings_batch(
        &self,
        texts: &[String],
    ) -> MemoryResult<Vec<Arc<[f32]>>> {
        self.shared.generate_embeddings_batch(texts).await
    }

    /// Recalls what matters to a text, best first.
    pub async fn recall(
        &self,
        entity: &EntityId,
        request: &RecallRequest,
    ) -> MemoryResult<Vec<RecallHit>> {
        let recalled = self.shared.recall(entity, request).await?;
        // A look at an earlier moment leaves no trace on the present.
        if request.as_of.is_none() {
            self.shared.count_accesses(entity, &recalled);
        }
        Ok(recalled)
    }

    /// Reads one memory.
    pub async fn get_memory(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<Arc<Memory>> {
        self.shared.get_memory(entity, id).await
    }

    /// Reads memories; one answer per id, in order, `None` where there is none.
    pub async fn get_memories(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<Vec<Option<Arc<Memory>>>> {
        self.shared.get_memories(entity, ids).await
    }

    /// Reads a page of memories, newest first.
    pub async fn list_memories(
        &self,
        entity: &EntityId,
        request: &ListRequest,
    ) -> MemoryResult<ListPage> {
        entity.validate()?;
        request.validate()?;
        self.shared.store.list(entity, request).await
    }

    /// Counts what a filter admits.
    pub async fn count_memories(
        &self,
        entity: &EntityId,
        filter: &MemoryFilter,
    ) -> MemoryResult<u64> {
        entity.validate()?;
        filter.validate()?;
        self.shared.store.count(entity, filter).await
    }

    /// Changes one memory and answers it as it then stands.
    pub async fn alter_memory(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
    ) -> MemoryResult<Arc<Memory>> {
        self.shared.alter_memory(entity, id, patch).await
    }

    /// Removes one memory for good, and any summary above it.
    pub async fn delete_memory(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<()> {
        self.shared.delete_memory(entity, id).await
    }

    /// Removes a memory, what is archived under it, and any summary above it.
    /// Answers all that is gone.
    pub async fn forget(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<Vec<MemoryId>> {
        self.shared.forget(entity, id).await
    }

    /// Answers a question from what was recalled, quoted as data.
    pub async fn reflect(
        &self,
        entity: &EntityId,
        request: &ReflectRequest,
    ) -> MemoryResult<Reflection> {
        self.shared.reflect(entity, request).await
    }

    /// Puts one summary in place of each group of near-duplicates.
    pub async fn consolidate(
        &self,
        entity: &EntityId,
        request: &ConsolidateRequest,
    ) -> MemoryResult<ConsolidationReport> {
        self.shared.consolidate(entity, request).await
    }

    /// Consolidates an entity with enough memories since the last time.
    pub async fn auto_consolidate_if_needed(
        &self,
        entity: &EntityId,
    ) -> MemoryResult<Option<ConsolidationReport>> {
        self.shared.auto_consolidate_if_needed(entity).await
    }

    /// Takes a summary away; answers the memories that are live again.
    pub async fn undo_consolidation(
        &self,
        entity: &EntityId,
        summary: &MemoryId,
    ) -> MemoryResult<Vec<MemoryId>> {
        self.shared.undo_consolidation(entity, summary).await
    }

    /// Removes memories that have faded, while more than `min_keep` are live.
    pub async fn prune_low_importance_memories(
        &self,
        entity: &EntityId,
        min_keep: u64,
    ) -> MemoryResult<Vec<MemoryId>> {
        let shared = &self.shared;
        shared.prune_low_importance_memories(entity, min_keep).await
    }

    /// Links one memory to another.
    pub async fn relate(
        &self,
        entity: &EntityId,
        from: &MemoryId,
        to: &MemoryId,
        relation: &str,
    ) -> MemoryResult<()> {
        self.shared.relate(entity, from, to, relation).await
    }

    /// Drops the link from one memory to another.
    pub async fn unrelate(
        &self,
        entity: &EntityId,
        from: &MemoryId,
        to: &MemoryId,
    ) -> MemoryResult<()> {
        self.shared.unrelate(entity, from, to).await
    }

    /// What a memory links to, and what links to it.
    pub async fn related(
        &self,
        entity: &EntityId,
        id: &MemoryId,
    ) -> MemoryResult<Vec<RelatedMemory>> {
        self.shared.related(entity, id).await
    }

    /// Retains memories whole, as they were exported; all live.
    pub async fn restore_memories(&self, memories: Vec<Memory>) -> MemoryResult<Vec<MemoryId>> {
        self.shared.restore_memories(memories).await
    }

    /// Puts a summary back above its sources; answers whether it was missing.
    pub async fn restore_summary(
        &self,
        summary: Memory,
        sources: Vec<MemoryId>,
    ) -> MemoryResult<bool> {
        self.shared.restore_summary(summary, sources).await
    }

    /// Generation and number of memories.
    pub async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        entity.validate()?;
        self.shared.store.entity_stats(entity).await
    }

    /// Names entities that hold memories, after `after`, in order.
    pub async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        self.shared.store.list_entities(after, limit).await
    }

    /// What the tiers did.
    pub fn cache_stats(&self) -> CacheStats {
        self.shared.tiers.stats()
    }

    /// Lets go of everything in all three tiers.
    pub fn clear_all_caches(&self) {
        self.shared.tiers.clear();
    }

    /// Lets go of one memory in the memory tier.
    pub fn invalidate_memory_cache(&self, id: &MemoryId) {
        self.shared.tiers.invalidate_memory(id);
    }

    /// Lets go of an entity's snapshot.
    pub fn invalidate_entity_cache(&self, entity: &EntityId) {
        self.shared.tiers.invalidate_entity(entity);
    }

    /// Finishes what is under way and closes the store.
    pub async fn close(&self) -> MemoryResult<()> {
        self.shared.write_accesses().await;
        self.shared.store.close().await
    }
}
