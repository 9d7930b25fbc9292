//! Depth of archived memories in the tree of summaries.

use std::collections::HashMap;

use memory::{EntityId, ListRequest, ListScope, MemoryId, MemoryResult, MemorySystem};

use crate::export::PAGE;

/// The depth of each archived memory of an entity: 0 for a memory that is no
/// summary, else one more than the deepest of its sources. Takes about 100
/// bytes per archived memory.
pub(crate) struct ArchiveDepth {
    depths: HashMap<MemoryId, usize>,
}

impl ArchiveDepth {
    /// Reads which memory is archived under which summary.
    pub(crate) async fn load(system: &MemorySystem, entity: &EntityId) -> MemoryResult<Self> {
        let mut parents = HashMap::new();
        if system.entity_stats(entity).await?.archived_count > 0 {
            let mut request = ListRequest::new(PAGE).scope(ListScope::Archived);
            loop {
                let page = system.list_memories(entity, &request).await?;
                let archived = page.memories.iter();
                parents
                    .extend(archived.filter_map(|memory| Some((memory.id, memory.archived_by?))));
                match page.next {
                    Some(next) => request = request.after(next),
                    None => break,
                }
            }
        }
        Ok(Self::from_parents(&parents))
    }

    /// The number of different depths.
    pub(crate) fn level_count(&self) -> usize {
        self.depths.values().max().map_or(0, |highest| highest + 1)
    }

    /// The depth of a memory; 0 for one that was archived after loading.
    pub(crate) fn get(&self, id: &MemoryId) -> usize {
        self.depths.get(id).copied().unwrap_or(0)
    }

    /// Computes depths from a map of source to summary.
    fn from_parents(parents: &HashMap<MemoryId, MemoryId>) -> Self {
        let mut depths: HashMap<MemoryId, usize> = parents.keys().map(|id| (*id, 0)).collect();
        // Each round raises some depth, and no depth exceeds the number of
        // memories, so this ends even where a damaged database has a cycle.
        for _ in 0..parents.len() {
            let mut changed = false;
            for (source, summary) in parents {
                let min_depth = depths.get(source).map_or(0, |depth| depth + 1);
                if let Some(depth) = depths.get_mut(summary).filter(|depth| **depth < min_depth) {
                    *depth = min_depth;
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        Self { depths }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_deeper_than_their_sources() {
        let [a, b, low, high, live]: [MemoryId; 5] = std::array::from_fn(|_| MemoryId::new());
        let parents = HashMap::from([(a, low), (low, high), (b, high), (high, live)]);
        let depths = ArchiveDepth::from_parents(&parents);
        let of = [a, b, low, high].map(|id| depths.get(&id));
        assert_eq!((of, depths.level_count()), ([0, 0, 1, 2], 3));
        assert_eq!(ArchiveDepth::from_parents(&HashMap::new()).level_count(), 0);
        let cycle = HashMap::from([(a, b), (b, a)]);
        assert!(
            ArchiveDepth::from_parents(&cycle).level_count() > 0,
            "it ends"
        );
    }
}
