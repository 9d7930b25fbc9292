//! The operations of the facade, with values for Python as results.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use memory::store::BackupOptions;
use memory::{
    ConsolidateRequest, EntityId, ListRequest, MemoryError, MemoryId, MemoryPatch, MemoryResult,
    MemorySystem, RecallRequest, ReembedRequest, ReflectRequest,
};

use crate::identifiers::{Id, to_ids};
use crate::requests::item::MemoryBatchItem;
use crate::times::Time;
use crate::values::Nothing;
use crate::values::lifecycle::{ConsolidationReport, ReembedReport, RelatedMemory};
use crate::values::memory::{ListPage, Memory};
use crate::values::recall::{RecallHit, RecallReport, Reflection, to_hits};
use crate::values::stats::{CacheStats, EntityStats};

pub(crate) async fn retain(system: MemorySystem, item: MemoryBatchItem) -> MemoryResult<Id> {
    let ids = system.retain_batch([item.0]).await;
    let ids = ids.map_err(MemoryError::without_item)?;
    let id = ids.first().copied().map(Id);
    id.ok_or_else(|| {
        let kind = memory::ErrorKind::Corrupt;
        MemoryError::store(kind, "retain", "the store returned no id")
    })
}

pub(crate) async fn retain_batch(
    system: MemorySystem,
    items: Vec<MemoryBatchItem>,
) -> MemoryResult<Vec<Id>> {
    let items = items.into_iter().map(|item| item.0);
    system.retain_batch(items).await.map(to_ids)
}

pub(crate) async fn generate_embeddings_batch(
    system: MemorySystem,
    texts: Vec<String>,
) -> MemoryResult<Vec<Vec<f32>>> {
    let vectors = system.generate_embeddings_batch(texts).await?;
    Ok(vectors.iter().map(|vector| vector.to_vec()).collect())
}

pub(crate) async fn recall(
    system: MemorySystem,
    entity: String,
    request: RecallRequest,
) -> MemoryResult<Vec<RecallHit>> {
    system.recall(entity, request).await.map(to_hits)
}

pub(crate) async fn recall_report(
    system: MemorySystem,
    entity: String,
    request: RecallRequest,
) -> MemoryResult<RecallReport> {
    let report = system.recall_report(entity, request).await?;
    Ok(report.into())
}

pub(crate) async fn reflect(
    system: MemorySystem,
    entity: String,
    request: ReflectRequest,
) -> MemoryResult<Reflection> {
    let reflection = system.reflect(entity, request).await?;
    Ok(reflection.into())
}

pub(crate) async fn get_memory(
    system: MemorySystem,
    entity: String,
    id: Id,
) -> MemoryResult<Memory> {
    system.get_memory(entity, id.0).await.map(Memory)
}

pub(crate) async fn get_memories(
    system: MemorySystem,
    entity: String,
    ids: Vec<MemoryId>,
) -> MemoryResult<Vec<Option<Memory>>> {
    let memories = system.get_memories(entity, ids).await?;
    Ok(memories
        .into_iter()
        .map(|memory| memory.map(Memory))
        .collect())
}

pub(crate) async fn list_memories(
    system: MemorySystem,
    entity: String,
    request: ListRequest,
    as_of: Option<Time>,
) -> MemoryResult<ListPage> {
    let page = match as_of {
        Some(moment) => system.list_memories_as_of(entity, moment.0, request).await,
        None => system.list_memories(entity, request).await,
    };
    page.map(ListPage::from)
}

pub(crate) async fn count_memories(
    system: MemorySystem,
    entity: String,
    filter: memory::MemoryFilter,
) -> MemoryResult<u64> {
    system.count_memories(entity, filter).await
}

pub(crate) async fn alter_memory(
    system: MemorySystem,
    entity: String,
    id: Id,
    patch: MemoryPatch,
) -> MemoryResult<Memory> {
    system.alter_memory(entity, id.0, patch).await.map(Memory)
}

pub(crate) async fn delete_memory(
    system: MemorySystem,
    entity: String,
    id: Id,
) -> MemoryResult<Vec<Id>> {
    system.delete_memory(entity, id.0).await.map(to_ids)
}

pub(crate) async fn forget(system: MemorySystem, entity: String, id: Id) -> MemoryResult<Vec<Id>> {
    system.forget(entity, id.0).await.map(to_ids)
}

pub(crate) async fn relate(
    system: MemorySystem,
    entity: String,
    from: Id,
    to: Id,
    relation: String,
) -> MemoryResult<Nothing> {
    let related = system.relate(entity, from.0, to.0, relation).await;
    related.map(Nothing::from)
}

pub(crate) async fn unrelate(
    system: MemorySystem,
    entity: String,
    from: Id,
    to: Id,
) -> MemoryResult<Nothing> {
    let unrelated = system.unrelate(entity, from.0, to.0).await;
    unrelated.map(Nothing::from)
}

pub(crate) async fn related(
    system: MemorySystem,
    entity: String,
    id: Id,
) -> MemoryResult<Vec<RelatedMemory>> {
    let related = system.related(entity, id.0).await?;
    Ok(related.into_iter().map(RelatedMemory::from).collect())
}

pub(crate) async fn consolidate(
    system: MemorySystem,
    entity: String,
    request: ConsolidateRequest,
) -> MemoryResult<ConsolidationReport> {
    let report = system.consolidate_with(entity, request).await?;
    Ok(report.into())
}

pub(crate) async fn auto_consolidate_if_needed(
    system: MemorySystem,
    entity: String,
) -> MemoryResult<Option<ConsolidationReport>> {
    let report = system.auto_consolidate_if_needed(entity).await?;
    Ok(report.map(Into::into))
}

pub(crate) async fn undo_consolidation(
    system: MemorySystem,
    entity: String,
    summary: Id,
) -> MemoryResult<Vec<Id>> {
    let sources = system.undo_consolidation(entity, summary.0).await;
    sources.map(to_ids)
}

pub(crate) async fn prune_low_importance_memories(
    system: MemorySystem,
    entity: String,
    min_keep: u64,
) -> MemoryResult<Vec<Id>> {
    let removed = system.prune_low_importance_memories(entity, min_keep).await;
    removed.map(to_ids)
}

pub(crate) async fn reembed(
    system: MemorySystem,
    entity: String,
    request: ReembedRequest,
) -> MemoryResult<ReembedReport> {
    let report = system.reembed(entity, request).await?;
    Ok(report.into())
}

pub(crate) async fn restore_memories(
    system: MemorySystem,
    memories: Vec<Memory>,
) -> MemoryResult<Vec<Id>> {
    let memories = memories
        .into_iter()
        .map(|memory| Arc::unwrap_or_clone(memory.0));
    system.restore_memories(memories).await.map(to_ids)
}

pub(crate) async fn restore_summary(
    system: MemorySystem,
    summary: Memory,
    sources: Vec<MemoryId>,
) -> MemoryResult<bool> {
    let summary = Arc::unwrap_or_clone(summary.0);
    system.restore_summary(summary, sources).await
}

pub(crate) async fn entity_stats(
    system: MemorySystem,
    entity: String,
) -> MemoryResult<EntityStats> {
    system.entity_stats(entity).await.map(EntityStats::from)
}

pub(crate) async fn entity_generation(system: MemorySystem, entity: String) -> MemoryResult<u64> {
    let generation = system.entity_generation(entity).await?;
    Ok(generation.0)
}

pub(crate) async fn count_by_model(
    system: MemorySystem,
    entity: String,
) -> MemoryResult<BTreeMap<String, u64>> {
    let counts = system.count_by_model(entity).await?;
    Ok(counts
        .into_iter()
        .map(|(model, count)| (model.to_string(), count))
        .collect())
}

pub(crate) async fn list_entities(
    system: MemorySystem,
    after: Option<String>,
    limit: usize,
) -> MemoryResult<Vec<String>> {
    let after = after.map(EntityId::from);
    let entities = system.list_entities(after.as_ref(), limit).await?;
    Ok(entities.iter().map(ToString::to_string).collect())
}

pub(crate) async fn backup(
    system: MemorySystem,
    target: PathBuf,
    overwrite: bool,
) -> MemoryResult<Nothing> {
    let options = BackupOptions::new().overwrite(overwrite);
    system
        .backup_with(target, &options)
        .await
        .map(Nothing::from)
}

pub(crate) async fn check_embedder(system: MemorySystem) -> MemoryResult<Nothing> {
    system.check_embedder().await.map(Nothing::from)
}

pub(crate) async fn close(system: MemorySystem) -> MemoryResult<Nothing> {
    system.close().await.map(Nothing::from)
}

pub(crate) fn cache_stats(system: &MemorySystem) -> CacheStats {
    system.cache_stats().into()
}

pub(crate) fn clear_all_caches(system: &MemorySystem) {
    system.clear_all_caches();
}

pub(crate) fn invalidate_memory_cache(system: &MemorySystem, id: Id) {
    system.invalidate_memory_cache(id.0);
}

pub(crate) fn invalidate_entity_cache(system: &MemorySystem, entity: &str) {
    system.invalidate_entity_cache(entity);
}
