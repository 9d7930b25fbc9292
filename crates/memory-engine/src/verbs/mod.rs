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

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use memory_core::{
    CacheBackend, CacheStats, EntityId, EntityStats, ListPage, ListRequest, Memory,
    MemoryBatchItem, MemoryFilter, MemoryId, MemoryPatch, MemoryResult,
};

use crate::engine::Engine;
use crate::lifecycle::{
    ConsolidateRequest, ConsolidationReport, ReflectRequest, Reflection, RelatedMemory,
};
use crate::recall::{RecallHit, RecallRequest};

/// Every operation of the memory system, without type parameters.
///
/// Whole operations are erased here, never a cache's look-ups. Calls need a
/// tokio runtime. Writes run to their end even when the caller's future is
/// dropped; reads are abandoned.
#[async_trait]
pub trait Verbs: Debug + Send + Sync + 'static {
    /// Retains a batch, all or nothing: validates all, embeds what is not held
    /// already in one batch, writes in one transaction. Answers the ids, in order.
    async fn retain_batch(&self, items: Vec<MemoryBatchItem>) -> MemoryResult<Vec<MemoryId>>;

    /// Embeds texts as passages; one L2-normalized vector per text, in order.
    async fn generate_embeddings_batch(&self, texts: &[String]) -> MemoryResult<Vec<Arc<[f32]>>>;

    /// Recalls what matters to a text, best first.
    async fn recall(
        &self,
        entity: &EntityId,
        request: &RecallRequest,
    ) -> MemoryResult<Vec<RecallHit>>;

    /// Reads one memory.
    async fn get_memory(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<Arc<Memory>>;

    /// Reads memories; one answer per id, in order, `None` where there is none.
    async fn get_memories(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<Vec<Option<Arc<Memory>>>>;

    /// Reads a page of memories, newest first.
    async fn list_memories(
        &self,
        entity: &EntityId,
        request: &ListRequest,
    ) -> MemoryResult<ListPage>;

    /// Counts what a filter admits.
    async fn count_memories(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64>;

    /// Changes one memory and answers it as it then stands.
    async fn alter_memory(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
    ) -> MemoryResult<Arc<Memory>>;

    /// Removes one memory for good, and any summary above it.
    async fn delete_memory(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<()>;

    /// Removes a memory, what is archived under it, and any summary above it.
    /// Answers all that is gone.
    async fn forget(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<Vec<MemoryId>>;

    /// Answers a question from what was recalled, quoted as data.
    async fn reflect(
        &self,
        entity: &EntityId,
        request: &ReflectRequest,
    ) -> MemoryResult<Reflection>;

    /// Puts one summary in place of each group of near-duplicates.
    async fn consolidate(
        &self,
        entity: &EntityId,
        request: &ConsolidateRequest,
    ) -> MemoryResult<ConsolidationReport>;

    /// Consolidates an entity with enough memories since the last time.
    async fn auto_consolidate_if_needed(
        &self,
        entity: &EntityId,
    ) -> MemoryResult<Option<ConsolidationReport>>;

    /// Takes a summary away; answers the memories that are live again.
    async fn undo_consolidation(
        &self,
        entity: &EntityId,
        summary: &MemoryId,
    ) -> MemoryResult<Vec<MemoryId>>;

    /// Removes memories that have faded, while more than `min_keep` are live.
    async fn prune_low_importance_memories(
        &self,
        entity: &EntityId,
        min_keep: u64,
    ) -> MemoryResult<Vec<MemoryId>>;

    /// Links one memory to another.
    async fn relate(
        &self,
        entity: &EntityId,
        from: &MemoryId,
        to: &MemoryId,
        relation: &str,
    ) -> MemoryResult<()>;

    /// Drops the link from one memory to another.
    async fn unrelate(&self, entity: &EntityId, from: &MemoryId, to: &MemoryId)
    -> MemoryResult<()>;

    /// What a memory links to, and what links to it.
    async fn related(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<Vec<RelatedMemory>>;

    /// Retains memories whole, as they were exported; all live.
    async fn restore_memories(&self, memories: Vec<Memory>) -> MemoryResult<Vec<MemoryId>>;

    /// Puts a summary back above its sources; answers whether it was missing.
    async fn restore_summary(&self, summary: Memory, sources: Vec<MemoryId>) -> MemoryResult<bool>;

    /// Generation and number of memories.
    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats>;

    /// Names entities that hold memories, after `after`, in order.
    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>>;

    /// What the tiers did.
    fn cache_stats(&self) -> CacheStats;

    /// Lets go of everything in all three tiers.
    fn clear_all_caches(&self);

    /// Lets go of one memory in the memory tier.
    fn invalidate_memory_cache(&self, id: &MemoryId);

    /// Lets go of an entity's snapshot.
    fn invalidate_entity_cache(&self, entity: &EntityId);

    /// Finishes what is under way and closes the store.
    async fn close(&self) -> MemoryResult<()>;
}

#[async_trait]
impl<B: CacheBackend> Verbs for Engine<B> {
    async fn retain_batch(&self, items: Vec<MemoryBatchItem>) -> MemoryResult<Vec<MemoryId>> {
        self.shared.retain_batch(items).await
    }

    async fn generate_embeddings_batch(&self, texts: &[String]) -> MemoryResult<Vec<Arc<[f32]>>> {
        self.shared.generate_embeddings_batch(texts).await
    }

    async fn recall(
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

    async fn get_memory(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<Arc<Memory>> {
        self.shared.get_memory(entity, id).await
    }

    async fn get_memories(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<Vec<Option<Arc<Memory>>>> {
        self.shared.get_memories(entity, ids).await
    }

    async fn list_memories(
        &self,
        entity: &EntityId,
        request: &ListRequest,
    ) -> MemoryResult<ListPage> {
        entity.validate()?;
        request.validate()?;
        self.shared.store.list(entity, request).await
    }

    async fn count_memories(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64> {
        entity.validate()?;
        filter.validate()?;
        self.shared.store.count(entity, filter).await
    }

    async fn alter_memory(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
    ) -> MemoryResult<Arc<Memory>> {
        self.shared.alter_memory(entity, id, patch).await
    }

    async fn delete_memory(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<()> {
        self.shared.delete_memory(entity, id).await
    }

    async fn forget(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<Vec<MemoryId>> {
        self.shared.forget(entity, id).await
    }

    async fn reflect(
        &self,
        entity: &EntityId,
        request: &ReflectRequest,
    ) -> MemoryResult<Reflection> {
        self.shared.reflect(entity, request).await
    }

    async fn consolidate(
        &self,
        entity: &EntityId,
        request: &ConsolidateRequest,
    ) -> MemoryResult<ConsolidationReport> {
        self.shared.consolidate(entity, request).await
    }

    async fn auto_consolidate_if_needed(
        &self,
        entity: &EntityId,
    ) -> MemoryResult<Option<ConsolidationReport>> {
        self.shared.auto_consolidate_if_needed(entity).await
    }

    async fn undo_consolidation(
        &self,
        entity: &EntityId,
        summary: &MemoryId,
    ) -> MemoryResult<Vec<MemoryId>> {
        self.shared.undo_consolidation(entity, summary).await
    }

    async fn prune_low_importance_memories(
        &self,
        entity: &EntityId,
        min_keep: u64,
    ) -> MemoryResult<Vec<MemoryId>> {
        let shared = &self.shared;
        shared.prune_low_importance_memories(entity, min_keep).await
    }

    async fn relate(
        &self,
        entity: &EntityId,
        from: &MemoryId,
        to: &MemoryId,
        relation: &str,
    ) -> MemoryResult<()> {
        self.shared.relate(entity, from, to, relation).await
    }

    async fn unrelate(
        &self,
        entity: &EntityId,
        from: &MemoryId,
        to: &MemoryId,
    ) -> MemoryResult<()> {
        self.shared.unrelate(entity, from, to).await
    }

    async fn related(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<Vec<RelatedMemory>> {
        self.shared.related(entity, id).await
    }

    async fn restore_memories(&self, memories: Vec<Memory>) -> MemoryResult<Vec<MemoryId>> {
        self.shared.restore_memories(memories).await
    }

    async fn restore_summary(&self, summary: Memory, sources: Vec<MemoryId>) -> MemoryResult<bool> {
        self.shared.restore_summary(summary, sources).await
    }

    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        entity.validate()?;
        self.shared.store.entity_stats(entity).await
    }

    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        self.shared.store.list_entities(after, limit).await
    }

    fn cache_stats(&self) -> CacheStats {
        self.shared.tiers.stats()
    }

    fn clear_all_caches(&self) {
        self.shared.tiers.clear();
    }

    fn invalidate_memory_cache(&self, id: &MemoryId) {
        self.shared.tiers.invalidate_memory(id);
    }

    fn invalidate_entity_cache(&self, entity: &EntityId) {
        self.shared.tiers.invalidate_entity(entity);
    }

    async fn close(&self) -> MemoryResult<()> {
        self.shared.write_accesses().await;
        self.shared.store.close().await
    }
}
