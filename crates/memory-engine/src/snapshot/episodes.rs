//! Which memories of a snapshot stand beside each other: the same context,
//! adjacent in time.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rpds::HashTrieMapSync;

/// The memories of each context in the order of their time. Cloning shares
/// everything; a change copies the lists of the contexts it updates.
#[derive(Clone, Default)]
pub(super) struct Episodes {
    by_context: HashTrieMapSync<Arc<str>, Arc<Vec<Moment>>>,
    bytes: usize,
}

/// Slots settle equal times: they are given in the order of retaining.
type Moment = (DateTime<Utc>, u32);

/// What a context costs beside its text and its moments, as a stem does in
/// `lexical`.
const CONTEXT_BYTES: usize = 160;

impl Episodes {
    pub(super) fn push(&mut self, slot: u32, context: Option<&str>, time: DateTime<Utc>) {
        let Some(context) = context else { return };
        let moment = (time, slot);
        if let Some(list) = self.by_context.get_mut(context) {
            self.bytes -= moments_bytes(list);
            let list = Arc::make_mut(list);
            let place = list.partition_point(|other| *other < moment);
            list.insert(place, moment);
            self.bytes += moments_bytes(list);
        } else {
            let list = vec![moment];
            self.bytes += CONTEXT_BYTES + context.len() + moments_bytes(&list);
            self.by_context.insert_mut(context.into(), Arc::new(list));
        }
    }

    pub(super) fn remove(&mut self, slot: u32, context: Option<&str>) {
        let Some(context) = context else { return };
        let Some(list) = self.by_context.get_mut(context) else {
            return;
        };
        let before = moments_bytes(list);
        let list = Arc::make_mut(list);
        list.retain(|(_, other)| *other != slot);
        if list.is_empty() {
            self.by_context.remove_mut(context);
            self.bytes -= before + CONTEXT_BYTES + context.len();
        } else {
            list.shrink_to(list.len() * 2);
            self.bytes = self.bytes - before + moments_bytes(list);
        }
    }

    /// The slots of each context in the order of their time.
    pub(super) fn each(&self) -> impl Iterator<Item = impl Iterator<Item = usize>> {
        self.by_context
            .values()
            .map(|list| list.iter().map(|(_, slot)| *slot as usize))
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes
    }
}

fn moments_bytes(list: &Vec<Moment>) -> usize {
    list.capacity() * size_of::<Moment>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_in_the_order_of_time_then_of_retaining() {
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
