//! The order of archived memories in an export: sources before their summary.

use std::collections::HashMap;

use memory::MemoryId;

/// Orders archived memories, which are given in the order of a list, level by level: those
/// that are no summary, then the summaries of these alone, and so on. A memory is one level
/// above the highest of its sources; within a level the order stays. Takes time in proportion
/// to their number.
pub(crate) fn by_level(archived: &[ArchivedMemory]) -> Vec<MemoryId> {
    let mut nodes: HashMap<MemoryId, Node> = archived.iter().map(|it| (it.id, NEW)).collect();
    let pairs = archived.iter().filter_map(|it| Some((it.id, it.summary?)));
    let summaries: HashMap<MemoryId, MemoryId> = pairs.collect();
    for summary in summaries.values() {
        if let Some(summary) = nodes.get_mut(summary) {
            summary.unvisited_sources += 1;
        }
    }
    let mut ready: Vec<MemoryId> = archived
        .iter()
        .map(|it| it.id)
        .filter(|id| nodes.get(id).is_some_and(|it| it.unvisited_sources == 0))
        .collect();
    // Each memory once, after all of its sources. Memories in a cycle, which a damaged
    // database may have, are never ready and keep a level as well.
    while let Some(id) = ready.pop() {
        let level = nodes.get(&id).map_or(0, |it| it.level);
        let Some(summary) = summaries.get(&id) else {
            continue;
        };
        if let Some(node) = nodes.get_mut(summary) {
            node.level = node.level.max(level + 1);
            node.unvisited_sources -= 1;
            if node.unvisited_sources == 0 {
                ready.push(*summary);
            }
        }
    }
    let mut ordered: Vec<MemoryId> = archived.iter().map(|it| it.id).collect();
    // Stable, so that the order of a level stays.
    ordered.sort_by_key(|id| nodes.get(id).map_or(0, |it| it.level));
    ordered
}

/// An archived memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArchivedMemory {
    pub(crate) id: MemoryId,
    /// The memory that it is archived by, which need not be archived itself.
    pub(crate) summary: Option<MemoryId>,
}

/// What is known of an archived memory.
struct Node {
    level: usize,
    /// How many of its archived sources have no final level.
    unvisited_sources: usize,
}

const NEW: Node = Node {
    level: 0,
    unvisited_sources: 0,
};

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn order(pairs: &[(MemoryId, MemoryId)]) -> Vec<MemoryId> {
        let archived: Vec<ArchivedMemory> = pairs
            .iter()
            .map(|&(id, summary)| ArchivedMemory {
                id,
                summary: Some(summary),
            })
            .collect();
        by_level(&archived)
    }

    #[test]
    fn summaries_follow_their_sources_and_levels_keep_their_order() {
        let [a, b, low, high, live]: [MemoryId; 5] = std::array::from_fn(|_| MemoryId::new());
        let pairs = [(high, live), (b, high), (low, high), (a, low)];
        assert_eq!(order(&pairs), [b, a, low, high]);
        assert_eq!(order(&[]), []);
    }

    #[test]
    fn a_cycle_ends() {
        let [a, b, c]: [MemoryId; 3] = std::array::from_fn(|_| MemoryId::new());
        assert_eq!(order(&[(a, b), (b, a), (c, b)]).len(), 3);
    }

    #[test]
    fn a_long_chain_takes_time_in_proportion_to_its_length() {
        let chain: Vec<MemoryId> = (0..50_001).map(|_| MemoryId::new()).collect();
        // Newest first, as a list has them: each one comes before its source.
        let mut pairs: Vec<(MemoryId, MemoryId)> =
            chain.windows(2).map(|it| (it[0], it[1])).collect();
        pairs.reverse();
        let began = Instant::now();
        assert_eq!(order(&pairs), chain[..50_000]);
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it is not quadratic"
        );
    }
}
