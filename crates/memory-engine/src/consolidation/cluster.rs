//! Grouping of near-duplicate memories.

use std::sync::Arc;

use memory_core::{EmbeddedMemory, Memory, MemoryFilter, MemoryKind, cosine, normalize};

/// Most sources of one summary: a summary links to each of them (a memory has
/// at most 256 links) and one prompt quotes them all. A larger group becomes
/// several summaries.
pub(crate) const MAX_SOURCES: usize = 64;

/// A memory that may join a group, with the vector it is compared by.
pub(crate) struct ClusterItem {
    pub(crate) memory: Arc<Memory>,
    /// The normalized mean of its chunk vectors: two long memories are similar
    /// when they are as a whole, not when one passage resembles another.
    pub(crate) vector: Vec<f32>,
}

impl ClusterItem {
    /// An item for an experience or an observation that the filter matches and
    /// that has vectors of the current model; `None` for any other memory.
    pub(crate) fn new(prepared: EmbeddedMemory, filter: &MemoryFilter) -> Option<Self> {
        let EmbeddedMemory { memory, embedding } = prepared;
        let has_kind = matches!(
            memory.kind,
            MemoryKind::Experience | MemoryKind::Observation
        );
        if !has_kind || !filter.matches(&memory) {
            return None;
        }
        Some(Self {
            memory: Arc::new(memory),
            vector: mean(embedding.vectors)?,
        })
    }
}

struct Leader {
    /// The item that opened the group.
    index: usize,
    members: Vec<usize>,
}

/// Groups of at least `min_size` items, by index, each group oldest first.
///
/// Leader clustering (Hartigan, "Clustering Algorithms", 1975, chapter 3): in
/// the order of time, each item joins the group whose first member it is most
/// similar to, of the same kind and at least `min_similarity`; otherwise it
/// opens a group. All members resemble the leader, so a group cannot drift
/// from one topic to another as a chain of neighbors can.
///
/// O(items · groups · dimensions).
pub(crate) fn group_near_duplicates(
    items: &mut [ClusterItem],
    min_similarity: f32,
    min_size: usize,
) -> Vec<Vec<usize>> {
    items.sort_by_key(|item| (item.memory.timestamp, item.memory.id));
    let mut found = Vec::new();
    for kind in [MemoryKind::Experience, MemoryKind::Observation] {
        let mut leaders: Vec<Leader> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if item.memory.kind != kind {
                continue;
            }
            match nearest_leader(&mut leaders, items, item, min_similarity) {
                Some(leader) => leader.members.push(index),
                None => leaders.push(Leader {
                    index,
                    members: vec![index],
                }),
            }
        }
        let groups = leaders.into_iter().map(|leader| leader.members);
        found.extend(groups.filter(|members| members.len() >= min_size));
    }
    found
}

fn nearest_leader<'a>(
    leaders: &'a mut [Leader],
    items: &[ClusterItem],
    item: &ClusterItem,
    min_similarity: f32,
) -> Option<&'a mut Leader> {
    let mut best: Option<(f32, &mut Leader)> = None;
    for leader in leaders {
        if leader.members.len() >= MAX_SOURCES {
            continue;
        }
        let similarity = cosine(&items[leader.index].vector, &item.vector);
        if similarity >= min_similarity && best.as_ref().is_none_or(|(most, _)| similarity > *most)
        {
            best = Some((similarity, leader));
        }
    }
    best.map(|(_, leader)| leader)
}

fn mean(vectors: Vec<Vec<f32>>) -> Option<Vec<f32>> {
    let mut vectors = vectors.into_iter();
    let mut sum = vectors.next()?;
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
    }
    normalize(&mut sum).ok()?;
    Some(sum)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::{DateTime, TimeDelta};
    use memory_core::MemoryBatchItem;

    use super::*;

    fn item(day: i64, kind: MemoryKind, angle: f32) -> ClusterItem {
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(day);
        let memory = MemoryBatchItem::new("mira", kind, "x").with_timestamp(at);
        ClusterItem {
            memory: Arc::new(memory.into_memory(at).unwrap()),
            vector: vec![angle.cos(), angle.sin()],
        }
    }

    #[test]
    fn similar_items_of_a_kind_are_grouped_and_chains_do_not_drift() {
        use MemoryKind::{Experience, Observation};
        // Steps of 0.2 radians: cosine 0.98 to the next, 0.92 to the second.
        let mut items = vec![
            item(3, Experience, 0.4),
            item(1, Experience, 0.0),
            item(2, Experience, 0.2),
            item(4, Experience, 0.6),
            item(5, Observation, 0.0),
            item(6, Experience, 3.0),
        ];
        let found = group_near_duplicates(&mut items, 0.97, 2);
        let days: Vec<Vec<i64>> = found
            .iter()
            .map(|group| {
                let day = |&index: &usize| items[index].memory.timestamp - DateTime::UNIX_EPOCH;
                group.iter().map(|index| day(index).num_days()).collect()
            })
            .collect();
        assert_eq!(days, [[1, 2], [3, 4]]);
    }

    #[test]
    fn a_large_group_is_split() {
        let same = |n: usize| item(i64::try_from(n).unwrap(), MemoryKind::Observation, 1.0);
        let mut items: Vec<ClusterItem> = (0..MAX_SOURCES * 2 + 1).map(same).collect();
        let sizes: Vec<usize> = group_near_duplicates(&mut items, 0.9, 2)
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(sizes, [MAX_SOURCES, MAX_SOURCES]);
    }
}
