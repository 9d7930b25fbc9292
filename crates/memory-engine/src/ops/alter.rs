//! Altering one memory; new content is embedded again.

use std::borrow::Cow;
use std::sync::Arc;

use memory_core::{EntityId, Memory, MemoryError, MemoryId, MemoryPatch, MemoryResult};

use crate::consolidation::{is_summary, summary_metadata};
use crate::engine::Engine;
use crate::snapshot::Delta;
use crate::store_scan::stored_memory;
use crate::tiers::{CommittedWrite, ReadInstant};

impl Engine {
    /// Changes one memory and returns it as it is then.
    pub async fn alter_memory(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
    ) -> MemoryResult<Arc<Memory>> {
        entity.validate()?;
        patch.validate_for(id)?;
        let inner = &self.inner;
        // A memory that does not exist is reported before anything is embedded.
        let old = if patch.content.is_some() || patch.metadata.is_some() {
            Some(stored_memory(&*inner.store, entity, id).await?)
        } else {
            None
        };
        // So is an archived one.
        if patch.content.is_some()
            && let Some(summary) = old.as_ref().and_then(|old| old.archived_by)
        {
            return Err(MemoryError::Archived {
                entity: entity.clone(),
                id: *id,
                summary,
            });
        }
        let patch = match &old {
            Some(old) => with_summary_metadata(patch, old)?,
            None => Cow::Borrowed(patch),
        };
        let (embedding, removed_text) = match (&patch.content, old) {
            (Some(content), Some(old)) => {
                let embedding = inner.embedder.embed_contents(&[content]).await?.pop();
                (embedding, Some(old.content).filter(|old| old != content))
            }
            _ => (None, None),
        };
        let began = ReadInstant::now(&*inner.clock);
        let (store, owner, id) = (Arc::clone(&inner.store), entity.clone(), *id);
        let patch = patch.into_owned();
        let write = async move {
            let update = store.update(&owner, &id, &patch, embedding.as_ref());
            let outcome = update.await?;
            let altered = Arc::new(outcome.memory);
            let delta = Delta::from_update(Arc::clone(&altered), embedding, outcome.changed);
            let write = CommittedWrite::new(owner, outcome.generation, delta).began(began);
            Ok((altered, vec![write]))
        };
        let targets = vec![(entity.clone(), vec![id])];
        let removed_texts = removed_text.into_iter().collect();
        let committed = inner.writer.commit(targets, removed_texts, write).await?;
        Ok(committed.finish().await)
    }
}

/// The patch, with the metadata of a summary that its history needs where it replaces all
/// metadata.
fn with_summary_metadata<'a>(
    patch: &'a MemoryPatch,
    memory: &Memory,
) -> MemoryResult<Cow<'a, MemoryPatch>> {
    let Some(metadata) = patch.metadata.as_ref().filter(|_| is_summary(memory)) else {
        return Ok(Cow::Borrowed(patch));
    };
    let mut metadata = metadata.clone();
    metadata.extend(summary_metadata(memory));
    let patch = MemoryPatch {
        metadata: Some(metadata),
        ..patch.clone()
    };
    patch.validate()?;
    Ok(Cow::Owned(patch))
}
