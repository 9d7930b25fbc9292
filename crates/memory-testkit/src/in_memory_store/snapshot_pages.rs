//! Pages that readers keep in the store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use memory_core::{
    AccessState, EntityId, Fingerprint, Generation, MemoryResult, SnapshotPage, SnapshotPages,
    SnapshotPart, SnapshotState,
};

use super::InMemoryStore;
use super::entity_table::{EntityTable, Row};

/// Numbers of a page: few, so that small entities have pages.
const PAGE_NUMBERS: u64 = 8;

/// A page, with the embedding space and the format that it was written for.
#[derive(Clone)]
pub(super) struct KeptPage {
    fingerprint: Fingerprint,
    format: u64,
    read_at: Generation,
    page: SnapshotPage,
}

impl KeptPage {
    fn is_of(&self, fingerprint: &Fingerprint, format: u64) -> bool {
        self.fingerprint == *fingerprint && self.format == format
    }
}

impl EntityTable {
    fn snapshot_state(&self, fingerprint: &Fingerprint, format: u64) -> SnapshotState {
        let mut rows: BTreeMap<u64, Vec<&Row>> = BTreeMap::new();
        for row in self.live() {
            rows.entry(row.number / PAGE_NUMBERS).or_default().push(row);
        }
        let (mut parts, mut accesses) = (Vec::new(), Vec::new());
        for (number, mut rows) in rows {
            rows.sort_by_key(|row| row.number);
            let kept = self.pages.get(&number);
            if let Some(kept) = kept.filter(|kept| kept.is_of(fingerprint, format)) {
                parts.push(SnapshotPart::Page(kept.page.content.clone()));
                let memories = rows.iter().map(|row| &row.item.memory);
                let states = memories.map(|memory| {
                    AccessState::new(memory.id, memory.access_count, memory.last_accessed)
                });
                accesses.extend(states.filter(|state| state.access_count > 0));
                continue;
            }
            let is_complete = (number + 1) * PAGE_NUMBERS <= self.next_number
                && rows.iter().all(|row| row.has_vectors_of(fingerprint));
            let memories = rows.iter().map(|row| {
                let item = row.embedded_by(fingerprint);
                item.with_vectors_of(fingerprint)
            });
            parts.push(SnapshotPart::Memories {
                page: is_complete.then_some(number),
                memories: memories.collect(),
            });
        }
        SnapshotState::new(self.generation(), parts).accesses(accesses)
    }

    fn page_count(&self, fingerprint: &Fingerprint, format: u64) -> u64 {
        let pages = self.pages.values();
        let pages = pages.filter(|kept| kept.is_of(fingerprint, format));
        pages.count() as u64
    }

    fn write_pages(
        &mut self,
        fingerprint: &Fingerprint,
        format: u64,
        read_at: Generation,
        pages: Vec<SnapshotPage>,
    ) {
        for page in pages {
            let kept = KeptPage {
                fingerprint: fingerprint.clone(),
                format,
                read_at,
                page,
            };
            if self.is_unchanged(&kept) {
                self.pages.insert(kept.page.number, kept);
            }
        }
    }

    /// Drops the pages of memories that changed or lost vectors.
    pub(super) fn drop_outdated_pages(&mut self) {
        let mut pages = std::mem::take(&mut self.pages);
        pages.retain(|_, kept| self.is_unchanged(kept));
        self.pages = pages;
    }

    fn is_unchanged(&self, kept: &KeptPage) -> bool {
        let own = |row: &&Row| row.number / PAGE_NUMBERS == kept.page.number;
        let rows: Vec<&Row> = self.live().filter(own).collect();
        let is_unchanged =
            |row: &&Row| row.written <= kept.read_at && row.has_vectors_of(&kept.fingerprint);
        rows.len() == kept.page.ids.len() && rows.iter().all(is_unchanged)
    }
}

impl Row {
    fn has_vectors_of(&self, fingerprint: &Fingerprint) -> bool {
        self.embedding_by(fingerprint).is_some()
    }
}

#[async_trait]
impl SnapshotPages for InMemoryStore {
    async fn read(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<SnapshotState> {
        let state = self.open("read_snapshot_pages")?;
        Ok(state.read(entity, |table| table.snapshot_state(fingerprint, format)))
    }

    async fn count(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<u64> {
        let state = self.open("count_snapshot_pages")?;
        Ok(state.read(entity, |table| table.page_count(fingerprint, format)))
    }

    async fn write(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
        read_at: Generation,
        pages: Vec<SnapshotPage>,
    ) -> MemoryResult<()> {
        let mut state = self.open("write_snapshot_pages")?;
        if let Some(table) = state.entities.get_mut(entity) {
            table.write_pages(fingerprint, format, read_at, pages);
        }
        Ok(())
    }
}
