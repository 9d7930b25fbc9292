//! Faults of the pages that a store keeps for its readers.

use async_trait::async_trait;
use memory_core::{
    EntityId, Fingerprint, Generation, MemoryResult, SnapshotPage, SnapshotPages, SnapshotPart,
    SnapshotState,
};

use super::{FaultyStore, StoreFault};

impl FaultyStore {
    /// The format under which a page is kept.
    fn kept_format(&self, format: u64) -> u64 {
        if self.has(StoreFault::IgnoresTheFormatOfPages) {
            return 0;
        }
        format
    }

    /// Returns a page as it was written once, in place of its memories: `number` is that
    /// of the part, which is that of its page while no page lost all of its memories.
    fn replace_by_page(&self, entity: &EntityId, number: u64, part: SnapshotPart) -> SnapshotPart {
        let is_replaced = match &part {
            SnapshotPart::Page(_) => false,
            SnapshotPart::Memories { page: None, .. } => {
                self.has(StoreFault::KeepsPagesOfRemovedVectors)
            }
            SnapshotPart::Memories { page: Some(_), .. } => {
                self.has(StoreFault::KeepsPagesOfChangedMemories)
            }
        };
        let key = (entity.clone(), number);
        let written = self.fault_state().pages.get(&key).cloned();
        match written.filter(|_| is_replaced) {
            Some(content) => SnapshotPart::Page(content),
            None => part,
        }
    }
}

#[async_trait]
impl SnapshotPages for FaultyStore {
    async fn read(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<SnapshotState> {
        let format = self.kept_format(format);
        let mut state = self.inner.read(entity, fingerprint, format).await?;
        if self.has(StoreFault::OmitsMemoriesWithoutPage) {
            let has_page =
                |part: &SnapshotPart| !matches!(part, SnapshotPart::Memories { page: None, .. });
            state.parts.retain(has_page);
        }
        let parts = (0..).zip(std::mem::take(&mut state.parts));
        state.parts = parts
            .map(|(number, part)| self.replace_by_page(entity, number, part))
            .collect();
        if self.has(StoreFault::OmitsAccessesOfPages) {
            state.accesses.clear();
        }
        state.generation = self.visible_generation(entity, state.generation);
        Ok(state)
    }

    async fn count(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<u64> {
        if self.has(StoreFault::CountsAllPages) {
            let state = self.fault_state();
            let own = state.pages.keys().filter(|(of, _)| of == entity);
            return Ok(own.count() as u64);
        }
        let format = self.kept_format(format);
        self.inner.count(entity, fingerprint, format).await
    }

    async fn write(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
        read_at: Generation,
        pages: Vec<SnapshotPage>,
    ) -> MemoryResult<()> {
        for page in &pages {
            let key = (entity.clone(), page.number);
            self.fault_state().pages.insert(key, page.content.clone());
        }
        let read_at = match self.fault {
            StoreFault::WritesPagesOfChangedMemories => Generation(u64::MAX),
            _ => self.meant(entity, read_at),
        };
        let format = self.kept_format(format);
        let write = self
            .inner
            .write(entity, fingerprint, format, read_at, pages);
        write.await
    }
}
