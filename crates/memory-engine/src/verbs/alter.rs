//! Altering one memory; new content is embedded anew.

use std::sync::Arc;

use memory_core::{EntityId, Memory, MemoryId, MemoryPatch, MemoryResult};

use crate::engine::EngineInner;
use crate::snapshot::Delta;
use crate::tiers::Stamp;

impl EngineInner {
    pub(crate) async fn alter_memory(
        self: &Arc<Self>,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
    ) -> MemoryResult<Arc<Memory>> {
        entity.validate()?;
        patch.validate()?;
        let (embedding, old) = match &patch.content {
            Some(content) => {
                // What it said until now, whose vectors go with it. One that
                // is not there is told before anything is embedded.
                let old = self.stored(entity, id).await?.content;
                let embedding = self.embed_contents(&[content]).await?.pop();
                (embedding, Some(old).filter(|old| old != content))
            }
            None => (None, None),
        };
        let (store, entity, id, patch) =
            (Arc::clone(&self.store), entity.clone(), *id, patch.clone());
        let began = Stamp::now(&*self.clock);
        let (altered, ..) = self
            .commit(
                vec![(entity.clone(), vec![id])],
                async move {
                    let update = store.update(&entity, &id, &patch, embedding.as_ref());
                    let outcome = update.await?;
                    let altered = Arc::new(outcome.memory);
                    let delta =
                        Delta::from_update(Arc::clone(&altered), embedding, outcome.changed);
                    Ok((altered, outcome.generation, delta))
                },
                move |tiers, (entity, _), (_, generation, delta)| {
                    tiers.follow(entity, *generation, delta, Some(began));
                },
            )
            .await?;
        self.forget_texts(old.as_slice()).await;
        Ok(altered)
    }
}
