//! Episodes of a snapshot: memories of the same context, in the order of time.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rpds::HashTrieMapSync;

/// The memories of each context in the order of time. Persistent: cloning
/// shares everything, a change copies the lists of the contexts it updates.
#[derive(Clone, Default)]
pub(super) struct Episodes {
    by_context: HashTrieMapSync<Arc<str>, Arc<Vec<EpisodeEntry>>>,
    bytes: usize,
}

/// Slots break ties of time: they are assigned in the order of retaining.
type EpisodeEntry = (DateTime<Utc>, u32);

/// Bytes of a context in addition to its text and entries, like a stem in
/// `inverted_index`.
const CONTEXT_BYTES: usize = 160;

impl Episodes {
    pub(super) fn push(&mut self, slot: u32, context: Option<&str>, time: DateTime<Utc>) {
        let Some(context) = context else { return };
        let entry = (time, slot);
        if let Some(list) = self.by_context.get_mut(context) {
            self.bytes -= entries_bytes(list);
            let list = Arc::make_mut(list);
            let index = list.partition_point(|other| *other < entry);
            list.insert(index, entry);
            self.bytes += entries_bytes(list);
        } else {
            let list = vec![entry];
            self.bytes += CONTEXT_BYTES + context.len() + entries_bytes(&list);
            self.by_context.insert_mut(context.into(), Arc::new(list));
        }
    }

    pub(super) fn remove(&mut self, slot: u32, context: Option<&str>) {
        let Some(context) = context else { return };
        let Some(list) = self.by_context.get_mut(context) else {
            return;
        };
        let before = entries_bytes(list);
        let list = Arc::make_mut(list);
        list.retain(|(_, other)| *other != slot);
        if list.is_empty() {
            self.by_context.remove_mut(context);
            self.bytes -= before + CONTEXT_BYTES + context.len();
        } else {
            list.shrink_to(list.len() * 2);
            self.bytes = self.bytes - before + entries_bytes(list);
        }
    }

    /// The slots of each context in the order of time.
    pub(super) fn each(&self) -> impl Iterator<Item = impl Iterator<Item = usize>> {
        self.by_context
            .values()
            .map(|list| list.iter().map(|(_, slot)| *slot as usize))
    }

    /// The same entries with the slots renumbered in their order. Slots without
    /// a new number have no entry.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> Self {
        let mut next = Self::default();
        for (context, list) in &self.by_context {
            let list: Vec<EpisodeEntry> = list
                .iter()
                .filter_map(|(time, slot)| Some((*time, to(*slot)?)))
                .collect();
            next.bytes += CONTEXT_BYTES + context.len() + entries_bytes(&list);
            next.by_context
                .insert_mut(Arc::clone(context), Arc::new(list));
        }
        next
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes
    }
}

fn entries_bytes(list: &Vec<EpisodeEntry>) -> usize {
    list.capacity() * size_of::<EpisodeEntry>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_ordered_by_time_then_by_retaining() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let mut episodes = Episodes::default();
        for (slot, time) in [(0, 30), (1, 10), (2, 10), (3, 20)] {
            episodes.push(slot, Some("market"), at(time));
        }
        episodes.push(4, None, at(0));
        episodes.push(5, Some("mill"), at(0));
        episodes.remove(3, Some("market"));
        episodes.remove(5, Some("mill"));
        let orders: Vec<Vec<usize>> = episodes.each().map(Iterator::collect).collect();
        assert_eq!(orders, [[1, 2, 0]]);
    }
}
