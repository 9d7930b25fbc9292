//! An entity's memories in the order of an export, page by page.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use memory::{
    EntityId, EntityStats, ListPage, ListRequest, ListScope, Memory, MemoryId, MemoryResult,
    MemorySystem, PageCursor,
};

use crate::archive_order::{ArchivedMemory, by_level};

/// Memories per page: few enough to hold in memory whatever their size, and enough to
/// amortize a query.
const PAGE: usize = 128;

/// Reads an entity in the order that docs/jsonl.md gives: sources of summaries before
/// their summary, so that an import already has them when it reads it; what is live last.
///
/// It holds one page, and about 100 bytes for each archived memory. Nothing is held in the
/// store between two pages, so a reader may take as long as it likes. A memory that exists
/// all the time is returned once, also where it is archived or restored meanwhile; one that is
/// written or removed meanwhile may be returned or not.
pub struct ExportReader {
    system: MemorySystem,
    entity: EntityId,
    /// Memories that are read by their ids, next: what was archived at first, and what was
    /// archived since then before it was read.
    queue: VecDeque<MemoryId>,
    /// All that were ever in the queue.
    queued: HashSet<MemoryId>,
    /// The next page of live memories; `None` when they were read.
    live: Option<ListRequest>,
    /// When it was last checked which memories are archived.
    checked_at: EntityStats,
}

impl ExportReader {
    /// Reads which memories are archived under which summary. An entity without memories
    /// is empty.
    ///
    /// # Errors
    /// [`memory::MemoryError::InvalidInput`] for a name outside the limits; errors of the
    /// store.
    pub async fn open(system: &MemorySystem, entity: EntityId) -> MemoryResult<Self> {
        let stats = system.entity_stats(&entity).await?;
        let archived = match stats.archived_count {
            0 => Vec::new(),
            _ => archived_after(system, &entity, None).await?,
        };
        let queue = VecDeque::from(by_level(&archived));
        Ok(Self {
            system: system.clone(),
            entity,
            queued: queue.iter().copied().collect(),
            queue,
            live: Some(ListRequest::new(PAGE)),
            checked_at: stats,
        })
    }

    /// The next memories, at most 128; `None` at the end. Cancel-safe: a call that is
    /// dropped is repeated by the next one.
    ///
    /// # Errors
    /// Errors of the store. The next call tries the same page again.
    pub async fn next_page(&mut self) -> MemoryResult<Option<Vec<Memory>>> {
        loop {
            let memories = if !self.queue.is_empty() {
                self.read_queued().await?
            } else if let Some(request) = self.live.clone() {
                self.read_live(request).await?
            } else {
                return Ok(None);
            };
            if !memories.is_empty() {
                return Ok(Some(memories));
            }
        }
    }

    async fn read_queued(&mut self) -> MemoryResult<Vec<Memory>> {
        let ids: Vec<MemoryId> = self.queue.iter().take(PAGE).copied().collect();
        let count = ids.len();
        let found = self.system.get_memories(&self.entity, ids).await?;
        self.queue.drain(..count);
        let found = found.into_iter().flatten();
        Ok(found.map(Arc::unwrap_or_clone).collect())
    }

    async fn read_live(&mut self, request: ListRequest) -> MemoryResult<Vec<Memory>> {
        let page = self.system.list_memories(&self.entity, &request).await?;
        let (stats, missed) = self.find_missed(&request, &page).await?;
        self.checked_at = stats;
        let ListPage { memories, next, .. } = Arc::unwrap_or_clone(page);
        let is_new = |memory: &Memory| !self.queued.contains(&memory.id);
        let memories = memories.into_iter().filter(is_new).collect();
        self.live = next.map(|next| request.after(next));
        self.queued.extend(&missed);
        self.queue.extend(missed);
        Ok(memories)
    }

    /// The memories that were archived before this page of live ones was read, and since the
    /// last check: neither an earlier page has them, nor will a later one. A consolidation and
    /// an undo of as many memories between two pages are not noticed.
    async fn find_missed(
        &self,
        request: &ListRequest,
        page: &ListPage,
    ) -> MemoryResult<(EntityStats, Vec<MemoryId>)> {
        if page.generation == self.checked_at.generation {
            return Ok((self.checked_at, Vec::new()));
        }
        let stats = self.system.entity_stats(&self.entity).await?;
        if stats.archived_count == self.checked_at.archived_count {
            return Ok((stats, Vec::new()));
        }
        let mut missed = archived_after(&self.system, &self.entity, request.after).await?;
        let in_page: HashSet<MemoryId> = page.memories.iter().map(|it| it.id).collect();
        missed.retain(|it| !self.queued.contains(&it.id) && !in_page.contains(&it.id));
        Ok((stats, by_level(&missed)))
    }
}

/// The archived memories, or those after a position, newest first, each once.
async fn archived_after(
    system: &MemorySystem,
    entity: &EntityId,
    after: Option<PageCursor>,
) -> MemoryResult<Vec<ArchivedMemory>> {
    let mut request = ListRequest::new(PAGE).scope(ListScope::Archived);
    request.after = after;
    let mut ids = HashSet::new();
    let mut archived = Vec::new();
    loop {
        let page = system.list_memories(entity, &request).await?;
        let memories = page.memories.iter().filter(|memory| ids.insert(memory.id));
        archived.extend(memories.map(|memory| ArchivedMemory {
            id: memory.id,
            summary: memory.archived_by,
        }));
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(archived),
        }
    }
}
