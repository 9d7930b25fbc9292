//! Grouping near-duplicates.

use memory_core::{MemoryKind, cosine};

use super::candidates::ClusterItem;

/// Most sources of one summary: all are linked from it (a memory has at most
/// 256 links), and a prompt holds them. Larger heaps become several summaries.
pub(crate) const MAX_SOURCES: usize = 64;

struct Leader {
    /// The candidate that opened the group.
    at: usize,
    members: Vec<usize>,
}

/// Groups of at least `least` candidates, by index, each group oldest first.
///
/// Leader clustering: in the order of time, each candidate joins the group
/// whose first member it is most similar to, of the same kind and at least
/// `similarity`; else it opens a group. All of a group resemble its leader, so
/// a group cannot drift from one thing to another as chains of neighbors do.
///
/// O(candidates · groups · dimensions).
pub(crate) fn groups(
    candidates: &mut [ClusterItem],
    similarity: f32,
    least: usize,
) -> Vec<Vec<usize>> {
    candidates.sort_by_key(|candidate| (candidate.memory.timestamp, candidate.memory.id));
    let mut found = Vec::new();
    for kind in [MemoryKind::Experience, MemoryKind::Observation] {
        let mut leaders: Vec<Leader> = Vec::new();
        for (at, candidate) in candidates.iter().enumerate() {
            if candidate.memory.kind != kind {
                continue;
            }
            match nearest(&mut leaders, candidates, candidate, similarity) {
                Some(leader) => leader.members.push(at),
                None => leaders.push(Leader {
                    at,
                    members: vec![at],
                }),
            }
        }
        let groups = leaders.into_iter().map(|leader| leader.members);
        found.extend(groups.filter(|members| members.len() >= least));
    }
    found
}

fn nearest<'a>(
    leaders: &'a mut [Leader],
    candidates: &[ClusterItem],
    candidate: &ClusterItem,
    similarity: f32,
) -> Option<&'a mut Leader> {
    let mut best: Option<(f32, &mut Leader)> = None;
    for leader in leaders {
        if leader.members.len() >= MAX_SOURCES {
            continue;
        }
        let near = cosine(&candidates[leader.at].vector, &candidate.vector);
        if near >= similarity && best.as_ref().is_none_or(|(most, _)| near > *most) {
            best = Some((near, leader));
        }
    }
    best.map(|(_, leader)| leader)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::{DateTime, TimeDelta};
    use memory_core::MemoryBatchItem;

    use super::*;

    fn candidate(day: i64, kind: MemoryKind, angle: f32) -> ClusterItem {
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(day);
        let item = MemoryBatchItem::new("mira", kind, "x").with_timestamp(at);
        ClusterItem {
            memory: Arc::new(item.into_memory(at).unwrap()),
            vector: vec![angle.cos(), angle.sin()],
        }
    }

    #[test]
    fn near_ones_of_a_kind_stand_together_and_chains_do_not_drift() {
        use MemoryKind::{Experience, Observation};
        // Steps of 0.2 radians: cosine 0.98 to the next, 0.92 to the second.
        let mut candidates = vec![
            candidate(3, Experience, 0.4),
            candidate(1, Experience, 0.0),
            candidate(2, Experience, 0.2),
            candidate(4, Experience, 0.6),
            candidate(5, Observation, 0.0),
            candidate(6, Experience, 3.0),
        ];
        let found = groups(&mut candidates, 0.97, 2);
        let days: Vec<Vec<i64>> = found
            .iter()
            .map(|group| {
                let day = |&at: &usize| candidates[at].memory.timestamp - DateTime::UNIX_EPOCH;
                group.iter().map(|at| day(at).num_days()).collect()
            })
            .collect();
        assert_eq!(days, [[1, 2], [3, 4]]);
    }

    #[test]
    fn a_large_heap_becomes_several_groups() {
        let same = |n: usize| candidate(i64::try_from(n).unwrap(), MemoryKind::Observation, 1.0);
        let mut candidates: Vec<ClusterItem> = (0..MAX_SOURCES * 2 + 1).map(same).collect();
        let sizes: Vec<usize> = groups(&mut candidates, 0.9, 2)
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(sizes, [MAX_SOURCES, MAX_SOURCES]);
    }
}
