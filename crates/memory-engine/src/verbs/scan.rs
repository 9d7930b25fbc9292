//! Going through many memories page by page.

use memory_core::limits::MAX_LIMIT;
use memory_core::{EntityId, ListRequest, ListScope, Memory, MemoryId, MemoryResult, Store};

use crate::engine::EngineInner;

/// Shows `each` every live memory of an entity, newest first, a page of
/// [`MAX_LIMIT`] in memory at a time.
pub(super) async fn each_live(
    store: &dyn Store,
    entity: &EntityId,
    each: impl FnMut(Memory),
) -> MemoryResult<()> {
    each_of(store, entity, ListRequest::new(MAX_LIMIT), each).await
}

/// Shows `each` everything that a request finds, from its page on.
pub(super) async fn each_of(
    store: &dyn Store,
    entity: &EntityId,
    mut request: ListRequest,
    mut each: impl FnMut(Memory),
) -> MemoryResult<()> {
    loop {
        let page = store.list(entity, &request).await?;
        page.memories.into_iter().for_each(&mut each);
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(()),
        }
    }
}

impl EngineInner {
    /// All that is archived under these memories, level by level.
    pub(super) async fn archived_under(
        &self,
        entity: &EntityId,
        summaries: Vec<MemoryId>,
    ) -> MemoryResult<Vec<Memory>> {
        let (mut next, mut found) = (summaries, Vec::new());
        while let Some(summary) = next.pop() {
            let request = ListRequest::new(MAX_LIMIT).scope(ListScope::SourcesOf(summary));
            each_of(&*self.store, entity, request, |memory| {
                next.push(memory.id);
                found.push(memory);
            })
            .await?;
        }
        Ok(found)
    }

    /// The summary that stands for a memory, the one that stands for that one,
    /// and so on.
    pub(super) async fn summaries_above(
        &self,
        entity: &EntityId,
        memory: &Memory,
    ) -> MemoryResult<Vec<Memory>> {
        let (mut above, mut next) = (Vec::new(), memory.archived_by);
        while let Some(id) = next {
            let mut found = self.store.get(entity, &[id]).await?.memories;
            let Some(summary) = found.pop().flatten() else {
                break;
            };
            next = summary.archived_by;
            above.push(summary);
        }
        Ok(above)
    }
}
