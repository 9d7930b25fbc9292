//! Which memories are neighbors, after any changes.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use memory_core::{MemoryBatchItem, MemoryKind};
use proptest::prelude::*;

use super::tests::{changes, embedded, now, slots};
use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is added, moved to another time or episode, and removed, and also after a
    /// compaction.
    #[test]
    fn each_memory_is_next_to_its_neighbors_in_time(
        rounds in prop::collection::vec(
            prop::collection::btree_map(
                0usize..200,
                prop::option::weighted(0.6, (0u8..4, 0i64..50)),
                1..150,
            ),
            1..8,
        ),
    ) {
        let ids: Vec<MemoryId> = (0..200).map(|_| MemoryId::new()).collect();
        let mut snapshot = EntitySnapshot::empty("mira".into(), 8, None);
        for round in rounds {
            let (mut written, mut removed) = (vec![], vec![]);
            for (index, change) in round {
                let Some((episode, hours)) = change else {
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
                written.push(embedded(item.into_memory(now()).unwrap(), vec![]));
            }
            snapshot = snapshot.apply(changes(written, removed));
            let mut episodes: BTreeMap<Option<&str>, Vec<(i64, u32)>> = BTreeMap::new();
            for (number, slot) in slots(&snapshot) {
                let context = snapshot.memories.get(number).parts().context;
                episodes.entry(context).or_default().push((slot.time, number));
            }
            for (context, mut members) in episodes {
                members.sort_unstable();
                let mut previous = None;
                for (position, (_, number)) in members.iter().enumerate() {
                    let slot = snapshot.slot(*number).unwrap();
                    let next = members.get(position + 1).map(|(_, number)| *number);
                    let expected = context.map_or((None, None), |_| (previous, next));
                    prop_assert_eq!((slot.previous(), slot.next()), expected);
                    previous = Some(*number);
                }
            }
        }
    }
}
