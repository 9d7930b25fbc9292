//! Which memories are neighbors, after any changes.

use chrono::TimeDelta;
use memory_core::{MemoryBatchItem, MemoryFilter, MemoryKind, MemoryTagMode};
use proptest::prelude::*;

use super::retrieval::Retrieved;
use super::tests::{changes, context, embedded, now, query_with, results, slots};
use super::*;
use crate::ranking::Ranking;

/// Steps to neighbors.
const REACH: usize = 3;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is added, moved to another time or episode, and removed; also after a
    /// compaction, in long episodes, and where a filter leaves out some.
    #[test]
    fn each_memory_is_next_to_its_neighbors_in_time(
        rounds in prop::collection::vec(
            prop::collection::btree_map(
                0usize..300,
                prop::option::weighted(0.6, (0u8..3, 0i64..50, prop::bool::weighted(0.08))),
                1..250,
            ),
            1..8,
        ),
    ) {
        let ids: Vec<MemoryId> = (0..300).map(|_| MemoryId::new()).collect();
        let mut snapshot = EntitySnapshot::empty("mira".into(), 8, None);
        for round in rounds {
            let (mut written, mut removed) = (vec![], vec![]);
            for (index, change) in round {
                let Some((episode, hours, is_tagged)) = change else {
                    removed.push(ids[index]);
                    continue;
                };
                let item = MemoryBatchItem::new("mira", MemoryKind::World, "a text")
                    .with_id(ids[index])
                    .with_timestamp(now() - TimeDelta::hours(hours));
                let item = match episode {
                    0 => item,
                    _ => item.with_context(format!("episode {episode}")),
                };
                let item = if is_tagged { item.with_tag("tag") } else { item };
                written.push(embedded(item.into_memory(now()).unwrap(), vec![]));
            }
            snapshot = snapshot.apply(changes(written, removed));
            let tagged = MemoryFilter::new().tags(["tag"], MemoryTagMode::AnyStrict);
            for filter in [MemoryFilter::new(), tagged] {
                let query = query_with("question", vec![1.0; 8]);
                let ranking = Ranking::default();
                let retrieved = snapshot.retrieve(&query, &filter, &ranking);
                for (number, _) in slots(&snapshot) {
                    let mut found = vec![];
                    snapshot.for_each_neighbor(number, &retrieved, REACH, |(_, slot), step| {
                        found.push((slot, step));
                    });
                    let (neighbors, length) = neighbors_of(&snapshot, number, &retrieved);
                    prop_assert_eq!(found, neighbors);
                    let counted = snapshot.episode_length(number, &retrieved, &ranking);
                    let most = ranking.full_share_length();
                    prop_assert_eq!(counted.min(most), length.min(most));
                }
                // A search looks for neighbors of neighbors.
                let context = context(&query, &ranking, 10);
                let found = results(&snapshot, &query, &filter, &context).len();
                prop_assert_eq!(found, retrieved.matching.min(10));
            }
        }
    }
}

/// The nearest memories before and after another one that are admitted, with the number of
/// steps, and how many memories of its episode are. By comparing all.
fn neighbors_of(
    snapshot: &EntitySnapshot,
    number: u32,
    retrieved: &Retrieved,
) -> (Vec<(u32, usize)>, usize) {
    let context = |slot: u32| snapshot.memories.get(slot).parts().context;
    let Some(own) = context(number) else {
        return (vec![], 0);
    };
    let members = slots(snapshot)
        .filter(|(slot, _)| context(*slot) == Some(own) && retrieved.is_admitted(*slot));
    let mut members: Vec<(i64, u32)> = members.map(|(slot, of)| (of.time, slot)).collect();
    members.sort_unstable();
    let time = snapshot.slot(number).unwrap().time;
    let before = members.iter().rev().filter(|it| **it < (time, number));
    let after = members.iter().filter(|it| **it > (time, number));
    let before = before.map(|(_, slot)| *slot).zip(1..=REACH);
    let after = after.map(|(_, slot)| *slot).zip(1..=REACH);
    (before.chain(after).collect(), members.len())
}
