//! The entries of an index in order, added many at a time.

use super::sorted_blocks::SortedBlocks;

/// Sorted entries: a key, and a number of what has it. Most keys are rare, so a list
/// for each would cost many times as much.
///
/// Cloning shares every block; a change copies the blocks that it updates.
#[derive(Clone)]
pub(super) struct PostingList<T> {
    entries: SortedBlocks<T>,
    /// Entries of this version that are not yet in order: see
    /// [`settle`](Self::settle).
    new: Vec<T>,
}

impl<T> Default for PostingList<T> {
    fn default() -> Self {
        Self {
            entries: SortedBlocks::default(),
            new: Vec::new(),
        }
    }
}

impl<T: Ord + Copy> PostingList<T> {
    /// From entries that are sorted.
    pub(super) fn from_sorted(entries: &[T]) -> Self {
        Self {
            entries: SortedBlocks::from_sorted(entries),
            new: Vec::new(),
        }
    }

    /// Adds an entry, to be found after [`settle`](Self::settle).
    pub(super) fn push(&mut self, entry: T) {
        self.new.push(entry);
    }

    /// Puts what was added in order, all at once.
    pub(super) fn settle(&mut self) {
        let mut new = std::mem::take(&mut self.new);
        new.sort_unstable();
        self.entries.insert_all(&new);
    }

    /// Removes an entry, as often as it was added. Returns whether it was there.
    pub(super) fn remove(&mut self, entry: T) -> bool {
        if !self.new.is_empty() {
            self.settle();
        }
        let before = self.entries.len();
        self.entries.remove_run(&entry, |other| *other == entry);
        self.entries.len() < before
    }

    /// The entries from `first` to `last`, both included, in parts, of those that are in
    /// order.
    pub(super) fn range(&self, first: T, last: T) -> impl Iterator<Item = &[T]> {
        self.entries.range(first, last)
    }

    /// The first entry from `first` on.
    pub(super) fn first_from(&self, first: &T) -> Option<T> {
        self.entries.from(first).next()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter()
    }

    /// Whether there is none that is in order.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.entries.size_bytes() + self.new.capacity() * size_of::<T>()
    }
}

impl<T: Ord + Copy> FromIterator<T> for PostingList<T> {
    /// From entries that are sorted.
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
            new: Vec::new(),
        }
    }
}
