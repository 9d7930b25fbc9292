//! Consolidation, removal, and what follows from either.

use std::collections::BTreeSet;

use memory_core::{
    EntityId, Generation, MemoryError, MemoryId, MemoryResult, RemoveOutcome, SummaryGroup,
};

use super::entity_table::EntityTable;

impl EntityTable {
    /// Inserts summaries and archives their sources; `validate_all` came first.
    pub(super) fn consolidate(
        &mut self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<()> {
        if groups.iter().all(|group| self.is_written(group)) {
            return Ok(());
        }
        let taken = groups.iter().map(|group| group.summary.memory.id);
        if let Some(id) = taken.clone().find(|id| self.rows.contains_key(id)) {
            let entity = entity.clone();
            return Err(MemoryError::Conflict { entity, id });
        }
        let as_read = |id: &MemoryId| {
            let row = self.rows.get(id);
            row.is_some_and(|row| row.is_live() && row.written <= read_at)
        };
        let sources = groups.iter().flat_map(|group| &group.sources);
        if let Some(id) = sources.copied().find(|id| !as_read(id)) {
            let entity = entity.clone();
            return Err(MemoryError::Changed { entity, id });
        }
        // Nothing below can fail.
        self.raise();
        for group in groups {
            for id in &group.sources {
                self.archive(id, Some(group.summary.memory.id));
            }
            let mut summary = group.summary.clone();
            summary.memory.archived_by = None;
            self.put(summary);
        }
        Ok(())
    }

    /// Whether this very consolidation was written before.
    fn is_written(&self, group: &SummaryGroup) -> bool {
        let summary = &group.summary.memory;
        let same = |id| self.rows.get(id).map(|row| &row.item.memory);
        same(&summary.id).is_some_and(|found| found.content == summary.content)
            && group
                .sources
                .iter()
                .all(|id| same(id).is_some_and(|source| source.archived_by == Some(summary.id)))
    }

    /// Archives a row under a summary, or makes it live again.
    fn archive(&mut self, id: &MemoryId, summary: Option<MemoryId>) {
        let generation = self.generation;
        if let Some(row) = self.rows.get_mut(id) {
            row.item.memory.archived_by = summary;
            row.written = generation;
        }
    }

    /// Removes memories at a generation of their own.
    pub(super) fn delete(&mut self, ids: &[MemoryId]) -> RemoveOutcome {
        if ids.iter().any(|id| self.rows.contains_key(id)) {
            self.raise();
        }
        self.remove(ids)
    }

    /// Removes memories at the present generation, with what follows from it.
    pub(super) fn remove(&mut self, ids: &[MemoryId]) -> RemoveOutcome {
        let removed = self.with_their_summaries(ids);
        for id in &removed {
            self.rows.remove(id);
            self.tombstones.insert(*id, self.generation);
        }
        let restored: Vec<MemoryId> = self
            .rows
            .values()
            .map(|row| &row.item.memory)
            .filter(|memory| memory.archived_by.is_some_and(|by| removed.contains(&by)))
            .map(|memory| memory.id)
            .collect();
        for id in &restored {
            self.archive(id, None);
        }
        self.compact_tombstones();
        let unlinked = self.unlink(&removed);
        RemoveOutcome::new(self.generation, removed.into_iter().collect())
            .restored(restored)
            .unlinked(unlinked)
    }

    /// Those of `ids` that are here, and every summary above them.
    fn with_their_summaries(&self, ids: &[MemoryId]) -> BTreeSet<MemoryId> {
        let mut removed = BTreeSet::new();
        let mut next: Vec<MemoryId> = ids.to_vec();
        while let Some(id) = next.pop() {
            if let Some(row) = self.rows.get(&id)
                && removed.insert(id)
            {
                next.extend(row.item.memory.archived_by);
            }
        }
        removed
    }

    /// Drops links to what was removed; answers whose links those were.
    fn unlink(&mut self, removed: &BTreeSet<MemoryId>) -> Vec<MemoryId> {
        let mut unlinked = Vec::new();
        for row in self.rows.values_mut() {
            let related = &mut row.item.memory.related;
            let before = related.len();
            related.retain(|id, _| !removed.contains(id));
            if related.len() < before {
                row.written = self.generation;
                unlinked.push(row.item.memory.id);
            }
        }
        unlinked
    }
}
