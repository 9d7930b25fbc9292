//! The exact search: every memory of the snapshot against the query.

use std::collections::BTreeSet;

use memory_core::{MemoryFilter, ScoreStats};

use super::EntitySnapshot;
use crate::query::Query;
use crate::ranking::{Field, RecallPath};

impl EntitySnapshot {
    /// The field of all memories that the filter admits, with every retriever's
    /// value. O(rows · dimensions).
    pub(crate) fn field(&self, query: &Query, filter: &MemoryFilter) -> Field<'_> {
        // Asked once, not of each memory: by a profile that was a twelfth of a
        // recall from 10,000.
        let all = filter.is_empty();
        let memories: Vec<_> = self
            .memories
            .iter()
            .map(|memory| {
                memory
                    .as_ref()
                    .filter(|memory| all || filter.matches(memory))
            })
            .collect();
        let admitted: Vec<bool> = memories.iter().map(Option::is_some).collect();
        let mut similarities = vec![Field::NONE; memories.len()];
        self.vectors
            .scan(&query.vector, &admitted, &mut similarities);
        let mut lexical = vec![0.0; memories.len()];
        self.lexical.score(&query.stems, &admitted, &mut lexical);
        let mut mentioned = vec![false; memories.len()];
        self.labels.mark(&query.words, &mut mentioned);
        let compared = similarities
            .iter()
            .copied()
            .filter(|value| *value > Field::NONE);
        let places = || (0..memories.len()).filter(|&place| admitted[place]);
        Field {
            dense: ScoreStats::of(compared),
            words: ScoreStats::of(places().map(|place| lexical[place])),
            mentions: ScoreStats::of(places().map(|place| f32::from(u8::from(mentioned[place])))),
            episodes: self.admitted_episodes(&admitted),
            links: self.links(&admitted),
            path: RecallPath::Snapshot,
            generation: self.generation,
            memories,
            similarities,
            lexical,
            mentioned,
        }
    }

    fn admitted_episodes(&self, admitted: &[bool]) -> Vec<Vec<usize>> {
        self.episodes
            .each()
            .map(|slots| slots.filter(|&slot| admitted[slot]).collect())
            .collect()
    }

    /// Each pair of related memories once.
    fn links(&self, admitted: &[bool]) -> Vec<(usize, usize)> {
        let mut links = BTreeSet::new();
        for &slot in self.related.keys() {
            let Some(memory) = &self.memories[slot as usize] else {
                continue;
            };
            for other in memory.related.keys().filter_map(|id| self.slots.get(id)) {
                let pair = (slot.min(*other) as usize, slot.max(*other) as usize);
                if pair.0 != pair.1 && admitted[pair.0] && admitted[pair.1] {
                    links.insert(pair);
                }
            }
        }
        links.into_iter().collect()
    }
}
