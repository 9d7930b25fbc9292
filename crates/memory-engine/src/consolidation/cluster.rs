//! Grouping of near-duplicate memories by their vectors, for a language model to
//! summarize.

use std::sync::Arc;

use memory_core::{Memory, MemoryFilter, MemoryKind, cosine, normalize};

/// Maximum number of sources of one summary: a summary links to each of them (a memory has
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
    /// An item for a groupable memory with vectors of the current model that can
    /// be trusted; `None` for any other memory.
    pub(crate) fn new(
        memory: &Arc<Memory>,
        vectors: Vec<Vec<f32>>,
        filter: &MemoryFilter,
    ) -> Option<Self> {
        if !is_groupable(memory, filter) || !has_meaningful_vector(&memory.content) {
            return None;
        }
        Some(Self {
            memory: Arc::clone(memory),
            vector: mean(vectors)?,
        })
    }
}

/// Whether a memory may be consolidated: an experience or an observation that
/// the filter matches.
pub(super) fn is_groupable(memory: &Memory, filter: &MemoryFilter) -> bool {
    let has_kind = matches!(
        memory.kind,
        MemoryKind::Experience | MemoryKind::Observation
    );
    has_kind && filter.matches(memory)
}

/// Whether most words of a text are in an alphabet that every embedding model
/// knows. A model that does not know a word maps it to one token for all unknown
/// words, so that texts of different meaning get the same vector: for the
/// default model that is so for most Chinese and Thai text and for emoji.
fn has_meaningful_vector(content: &str) -> bool {
    let (mut known, mut all) = (0usize, 0usize);
    for word in content.split_whitespace() {
        let letters = word.chars().filter(|c| !c.is_ascii_punctuation());
        let (latin, total) = letters.fold((0usize, 0usize), |(latin, total), c| {
            (latin + usize::from(is_latin(c)), total + 1)
        });
        // A word of another script counts by its characters: where words are
        // not separated, they are tokens of their own.
        let weight = if latin * 2 > total { 1 } else { total };
        all += weight;
        known += if latin * 2 > total { 1 } else { 0 };
    }
    known * 2 > all
}

/// Latin letters with and without diacritics, and digits.
fn is_latin(c: char) -> bool {
    c.is_alphanumeric() && matches!(c, '\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
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
    fn texts_of_mostly_unknown_tokens_have_no_meaningful_vector() {
        for known in ["Tam sold me a horse", "déjà vu à Paris", "done ✅ in 5 min"] {
            assert!(has_meaningful_vector(known), "{known}");
        }
        for unknown in [
            "✅ done",
            "🐎",
            "我喜欢喝咖啡",
            "แมวนอน",
            "OK 我喜欢喝咖啡",
            "",
            "Иван",
        ] {
            assert!(!has_meaningful_vector(unknown), "{unknown}");
        }
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
