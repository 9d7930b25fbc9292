//! `list_memories_as_of`: a page of the memories that were live at an earlier moment.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use memory_core::{
    EntityId, InvalidInput, ListPage, ListRequest, ListScope, Memory, MemoryId, MemoryResult,
    PageCursor, Store, limits,
};

use crate::engine::Engine;
use crate::history::{MAX_TRIES, Summaries, is_later, not_after};

/// Each page that was read in vain is followed by one that is so many times as large.
const PAGE_GROWTH: usize = 4;

impl Engine {
    /// Reads a page of the memories that were live at `as_of`, newest first.
    ///
    /// Pages the live and the archived memories side by side and reads the
    /// summaries of the archived ones: some three statements per page, and as many for each
    /// thousand memories that were not live then.
    ///
    /// # Errors
    /// [`memory_core::MemoryError::InvalidInput`] naming the limit, or for a scope other than
    /// live memories; errors of the store.
    pub async fn list_memories_as_of(
        &self,
        entity: &EntityId,
        as_of: DateTime<Utc>,
        request: &ListRequest,
    ) -> MemoryResult<Arc<ListPage>> {
        entity.validate()?;
        request.validate()?;
        limits::check_timestamp(as_of)?;
        if request.scope != ListScope::Live {
            return Err(InvalidInput::ScopeAsOf.into());
        }
        if is_later(&request.filter, as_of) {
            let mut page = ListPage::default();
            page.generation = self.inner.store.entity_stats(entity).await?.generation;
            return Ok(Arc::new(page));
        }
        let request = request.clone().filter(not_after(&request.filter, as_of));
        if as_of >= self.inner.clock.now() {
            return self.list_memories(entity, &request).await;
        }
        let store = &*self.inner.store;
        let page = list_as_of(store, entity, as_of, request).await?;
        Ok(Arc::new(page))
    }
}

async fn list_as_of(
    store: &dyn Store,
    entity: &EntityId,
    moment: DateTime<Utc>,
    mut request: ListRequest,
) -> MemoryResult<ListPage> {
    let mut summaries = Summaries::default();
    let mut page = ListPage::default();
    let limit = request.limit;
    loop {
        let (live, archived) = live_and_archived(store, entity, &request).await?;
        page.generation = live.generation;
        // Beyond the end of an unfinished page the other list may have more.
        let end = [&live, &archived]
            .into_iter()
            .filter(|page| page.next.is_some())
            .filter_map(|page| page.memories.last().map(PageCursor::from))
            .max();
        let mut merged = live.memories;
        merged.extend(archived.memories);
        merged.sort_by(newest_first);
        merged.retain(|memory| end.is_none_or(|end| PageCursor::from(memory) >= end));
        let found = summaries.retain_live(store, entity, moment, merged).await?;
        page.memories.extend(found);
        if page.memories.len() > limit || (page.memories.len() == limit && end.is_some()) {
            page.memories.truncate(limit);
            page.next = page.memories.last().map(PageCursor::from);
            return Ok(page);
        }
        match end {
            // Larger pages than those asked for, where many memories are passed over.
            Some(end) => {
                let limit = request.limit.saturating_mul(PAGE_GROWTH);
                request = request.after(end);
                request.limit = limit.min(limits::MAX_LIMIT);
            }
            None => return Ok(page),
        }
    }
}

/// The pages of live and of archived memories, of one state where writes allow.
///
/// A consolidation between the two reads would show its sources in both pages, and its undo
/// in neither.
async fn live_and_archived(
    store: &dyn Store,
    entity: &EntityId,
    request: &ListRequest,
) -> MemoryResult<(ListPage, ListPage)> {
    let archived_request = request.clone().scope(ListScope::Archived);
    let mut live = store.list(entity, request).await?;
    let mut archived = store.list(entity, &archived_request).await?;
    for _ in 0..MAX_TRIES {
        if live.generation == archived.generation {
            break;
        }
        live = store.list(entity, request).await?;
        if live.generation != archived.generation {
            archived = store.list(entity, &archived_request).await?;
        }
    }
    let live_ids: HashSet<MemoryId> = live.memories.iter().map(|memory| memory.id).collect();
    archived
        .memories
        .retain(|memory| !live_ids.contains(&memory.id));
    Ok((live, archived))
}

fn newest_first(a: &Memory, b: &Memory) -> Ordering {
    PageCursor::from(b).cmp(&PageCursor::from(a))
}
