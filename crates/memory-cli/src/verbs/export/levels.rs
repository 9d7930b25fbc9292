//! How high each archived memory stands.

use std::collections::HashMap;

use memory::{EntityId, ListRequest, ListScope, MemoryId, MemoryResult, MemorySystem};

use super::PAGE;

/// The archived memories of an entity by level: 0 for what stands for no
/// other, then one more than the highest of its sources. Some 100 bytes each.
pub(super) struct Levels {
    levels: HashMap<MemoryId, usize>,
}

impl Levels {
    /// Reads which memory is archived under which.
    pub(super) async fn of(system: &MemorySystem, entity: &EntityId) -> MemoryResult<Self> {
        let mut above = HashMap::new();
        if system.entity_stats(entity).await?.archived_count > 0 {
            let mut request = ListRequest::new(PAGE).scope(ListScope::Archived);
            loop {
                let page = system.list_memories(entity, &request).await?;
                let archived = page.memories.into_iter();
                above.extend(archived.filter_map(|memory| Some((memory.id, memory.archived_by?))));
                match page.next {
                    Some(next) => request = request.after(next),
                    None => break,
                }
            }
        }
        Ok(Self::from(&above))
    }

    /// How many levels there are.
    pub(super) fn count(&self) -> usize {
        self.levels.values().max().map_or(0, |highest| highest + 1)
    }

    /// The level of a memory; one that was archived meanwhile stands lowest.
    pub(super) fn of_memory(&self, id: &MemoryId) -> usize {
        self.levels.get(id).copied().unwrap_or(0)
    }

    /// From what stands under what.
    fn from(above: &HashMap<MemoryId, MemoryId>) -> Self {
        let mut levels: HashMap<MemoryId, usize> = above.keys().map(|id| (*id, 0)).collect();
        // Each round lifts by one level at least, and there are no more levels
        // than memories: so this ends also where a damaged database goes in a
        // circle.
        for _ in 0..above.len() {
            let mut lifted = false;
            for (source, summary) in above {
                let least = levels.get(source).map_or(0, |level| level + 1);
                if let Some(level) = levels.get_mut(summary).filter(|level| **level < least) {
                    *level = least;
                    lifted = true;
                }
            }
            if !lifted {
                break;
            }
        }
        Self { levels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_stands_above_its_sources() {
        let [a, b, low, high, live]: [MemoryId; 5] = std::array::from_fn(|_| MemoryId::new());
        let above = HashMap::from([(a, low), (low, high), (b, high), (high, live)]);
        let levels = Levels::from(&above);
        let of = [a, b, low, high].map(|id| levels.of_memory(&id));
        assert_eq!((of, levels.count()), ([0, 0, 1, 2], 3));
        assert_eq!(Levels::from(&HashMap::new()).count(), 0);
        let circle = HashMap::from([(a, b), (b, a)]);
        assert!(Levels::from(&circle).count() > 0, "it ends");
    }
}
