//! Episodes of a snapshot: memories of the same context, in the order of time.

use std::sync::Arc;

use rpds::HashTrieMapSync;

use super::block_vec::BlockVec;
use super::sorted_blocks::SortedBlocks;

/// The memories of each context in the order of time. Persistent: cloning
/// shares everything, a change copies the blocks that it updates.
#[derive(Clone, Default)]
pub(super) struct Episodes {
    by_context: HashTrieMapSync<Arc<str>, u32>,
    /// By number; empty where the context has no memory any more.
    episodes: BlockVec<SortedBlocks<EpisodeEntry>>,
    bytes: usize,
}

/// The time of a memory in microseconds, and its slot. Slots break ties of time:
/// they are assigned in the order of retaining.
pub(super) type EpisodeEntry = (i64, u32);

/// Where a memory is in its episode.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EpisodePosition {
    /// The number of the episode.
    pub(super) episode: u32,
    /// The slots of the memories before and after it.
    pub(super) previous: Option<u32>,
    pub(super) next: Option<u32>,
}

/// Bytes of a context in addition to its text and entries, like a stem in
/// `inverted_index`.
const CONTEXT_BYTES: usize = 120;

impl Episodes {
    /// Adds a memory.
    pub(super) fn push(&mut self, context: &str, entry: EpisodeEntry) -> EpisodePosition {
        let episode = self.number_of(context);
        let mut adjacent = (None, None);
        if let Some(list) = self.episodes.get_mut(episode as usize) {
            self.bytes -= list.size_bytes();
            list.insert(entry);
            self.bytes += list.size_bytes();
            adjacent = list.adjacent(&entry);
        }
        let (previous, next) = adjacent;
        EpisodePosition {
            episode,
            previous: previous.map(|(_, slot)| slot),
            next: next.map(|(_, slot)| slot),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most one episode per memory"
    )]
    fn number_of(&mut self, context: &str) -> u32 {
        if let Some(episode) = self.by_context.get(context) {
            return *episode;
        }
        let episode = self.episodes.len() as u32;
        self.episodes.push(SortedBlocks::default());
        self.by_context.insert_mut(context.into(), episode);
        self.bytes += CONTEXT_BYTES + context.len();
        episode
    }

    pub(super) fn remove(&mut self, context: &str, episode: u32, entry: EpisodeEntry) {
        let Some(list) = self.episodes.get_mut(episode as usize) else {
            return;
        };
        self.bytes -= list.size_bytes();
        list.remove_run(&entry, |other| *other == entry);
        if list.is_empty() {
            *list = SortedBlocks::default();
            self.by_context.remove_mut(context);
            self.bytes -= CONTEXT_BYTES + context.len();
        }
        self.bytes += list.size_bytes();
    }

    /// How many memories an episode has, by its number.
    pub(super) fn len(&self, episode: u32) -> usize {
        self.get(episode).map_or(0, SortedBlocks::len)
    }

    /// The memories of an episode, in the order of time.
    pub(super) fn entries(&self, episode: u32) -> impl Iterator<Item = EpisodeEntry> {
        let entries = self.get(episode).into_iter().flat_map(SortedBlocks::iter);
        entries.copied()
    }

    fn get(&self, episode: u32) -> Option<&SortedBlocks<EpisodeEntry>> {
        self.episodes.get(episode as usize)
    }

    /// The same entries with the slots renumbered in their order, and for each
    /// episode its new number. Slots without a new number have no entry.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> (Self, Vec<u32>) {
        let mut next = Self::default();
        let mut numbers = vec![0; self.episodes.len()];
        for (context, episode) in &self.by_context {
            let Some(list) = self.episodes.get(*episode as usize) else {
                continue;
            };
            let number = next.number_of(context);
            numbers[*episode as usize] = number;
            let entries = list.iter();
            let list: SortedBlocks<EpisodeEntry> = entries
                .filter_map(|(time, slot)| Some((*time, to(*slot)?)))
                .collect();
            next.bytes += list.size_bytes();
            if let Some(new) = next.episodes.get_mut(number as usize) {
                *new = list;
            }
        }
        (next, numbers)
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes + self.episodes.size_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_ordered_by_time_then_by_retaining() {
        let mut episodes = Episodes::default();
        let position = |episode, previous, next| EpisodePosition {
            episode,
            previous,
            next,
        };
        let market = [
            ((30, 0), position(0, None, None)),
            ((10, 1), position(0, None, Some(0))),
            ((10, 2), position(0, Some(1), Some(0))),
            ((20, 3), position(0, Some(2), Some(0))),
        ];
        for (entry, position) in market {
            assert_eq!(episodes.push("market", entry), position);
        }
        let mill = (0, 5);
        assert_eq!(episodes.push("mill", mill), position(1, None, None));
        let slots = |episodes: &Episodes, number| -> Vec<u32> {
            assert_eq!(episodes.len(number), episodes.entries(number).count());
            episodes.entries(number).map(|(_, slot)| slot).collect()
        };
        assert_eq!(slots(&episodes, 0), [1, 2, 3, 0]);
        let before = episodes.clone();
        episodes.remove("market", 0, (20, 3));
        episodes.remove("mill", 1, mill);
        assert_eq!(slots(&episodes, 0), [1, 2, 0]);
        assert_eq!(slots(&before, 0), [1, 2, 3, 0], "versions are independent");
        // A context that comes back is another episode.
        assert_eq!(episodes.push("mill", mill).episode, 2);
        let (remapped, numbers) = episodes.remap(|slot| slot.checked_sub(1));
        assert_eq!(slots(&remapped, numbers[0]), [0, 1]);
        assert_eq!(slots(&remapped, numbers[2]), [4]);
    }
}
