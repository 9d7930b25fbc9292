//! An entity's memories in the order of an export, page by page.

use std::sync::Arc;

use memory::{EntityId, ListRequest, ListScope, Memory, MemoryResult, MemorySystem};

use crate::archive_depth::ArchiveDepth;

/// Memories per page: few enough to hold in memory whatever their size, and enough to
/// amortize a query.
pub(crate) const PAGE: usize = 128;

/// Reads an entity in the order that docs/jsonl.md gives: sources of summaries before
/// their summary, so that an import already has them when it reads it; what is live last.
///
/// It holds one page, and about 100 bytes for each archived memory. Nothing is held in the
/// store between two pages, so a reader may take as long as it likes; a memory that is
/// written or removed meanwhile may be returned or not.
pub struct ExportReader {
    system: MemorySystem,
    entity: EntityId,
    depths: ArchiveDepth,
    /// The level of archived memories that is read; past the last, what is live is.
    level: usize,
    /// `None` when everything was read.
    request: Option<ListRequest>,
}

impl ExportReader {
    /// Reads which memories are archived under which summary. An entity without memories
    /// is empty.
    ///
    /// # Errors
    /// [`memory::MemoryError::InvalidInput`] for a name outside the limits; errors of the
    /// store.
    pub async fn open(system: &MemorySystem, entity: EntityId) -> MemoryResult<Self> {
        let depths = ArchiveDepth::load(system, &entity).await?;
        let mut reader = Self {
            system: system.clone(),
            entity,
            depths,
            level: 0,
            request: None,
        };
        reader.request = Some(reader.first_request());
        Ok(reader)
    }

    /// The next memories, at most 128; `None` at the end. Cancel-safe: a call that is
    /// dropped is repeated by the next one.
    ///
    /// # Errors
    /// Errors of the store. The next call tries the same page again.
    pub async fn next_page(&mut self) -> MemoryResult<Option<Vec<Memory>>> {
        while let Some(request) = &self.request {
            let page = self.system.list_memories(&self.entity, request).await?;
            let page = Arc::unwrap_or_clone(page);
            let mut memories = page.memories;
            let is_live = self.is_live();
            if !is_live {
                memories.retain(|memory| self.depths.get(&memory.id) == self.level);
            }
            self.request = match page.next {
                Some(next) => Some(request.clone().after(next)),
                None if is_live => None,
                None => {
                    self.level += 1;
                    Some(self.first_request())
                }
            };
            if !memories.is_empty() {
                return Ok(Some(memories));
            }
        }
        Ok(None)
    }

    fn is_live(&self) -> bool {
        self.level >= self.depths.level_count()
    }

    fn first_request(&self) -> ListRequest {
        ListRequest::new(PAGE).scope(match self.is_live() {
            true => ListScope::Live,
            false => ListScope::Archived,
        })
    }
}
