//! How large a cache that evicts what was least recently used must be for each access
//! to hit: Mattson et al., "Evaluation techniques for storage hierarchies", 1970, with
//! entries of different sizes.

use std::collections::HashMap;

/// Entries by their last use. A cache of some bytes holds those whose
/// [`distance`](Self::distance) is not larger: one pass tells of every size.
#[derive(Debug)]
pub struct LruStack {
    /// A Fenwick tree: bytes of the entries by the time of their last use.
    sums: Vec<u64>,
    entries: HashMap<u64, Entry>,
    next: usize,
    total: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    time: usize,
    bytes: u64,
}

impl LruStack {
    /// An empty stack for at most so many uses.
    #[must_use]
    pub fn new(uses: usize) -> Self {
        Self {
            sums: vec![0; uses + 1],
            entries: HashMap::new(),
            next: 1,
            total: 0,
        }
    }

    /// The bytes of the entry and of all that were used after it: the smallest cache
    /// that still holds it. `None` without an entry.
    #[must_use]
    pub fn distance(&self, key: u64) -> Option<u64> {
        let entry = self.entries.get(&key)?;
        Some(self.total - self.sum_until(entry.time) + entry.bytes)
    }

    /// Records a use; the entry now has so many bytes.
    ///
    /// # Panics
    /// With more uses than the stack was made for.
    pub fn touch(&mut self, key: u64, bytes: u64) {
        self.remove(key);
        let time = self.next;
        assert!(time < self.sums.len(), "more uses than announced");
        self.next += 1;
        self.add(time, bytes);
        self.total += bytes;
        self.entries.insert(key, Entry { time, bytes });
    }

    /// Changes the bytes of an entry, if there is one, which is no use of it.
    pub fn resize(&mut self, key: u64, bytes: u64) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        let (time, before) = (entry.time, entry.bytes);
        entry.bytes = bytes;
        self.total = self.total - before + bytes;
        self.subtract(time, before);
        self.add(time, bytes);
    }

    /// Removes an entry, if there is one.
    pub fn remove(&mut self, key: u64) {
        if let Some(Entry { time, bytes }) = self.entries.remove(&key) {
            self.total -= bytes;
            self.subtract(time, bytes);
        }
    }

    /// The entries that a cache of so many bytes does not hold.
    pub fn beyond(&self, bytes: u64) -> impl Iterator<Item = u64> + '_ {
        let keys = self.entries.keys().copied();
        keys.filter(move |key| self.distance(*key).is_some_and(|far| far > bytes))
    }

    fn sum_until(&self, time: usize) -> u64 {
        let (mut at, mut sum) = (time, 0);
        while at > 0 {
            sum += self.sums[at];
            at &= at - 1;
        }
        sum
    }

    fn add(&mut self, time: usize, bytes: u64) {
        self.update(time, |sum| *sum += bytes);
    }

    fn subtract(&mut self, time: usize, bytes: u64) {
        self.update(time, |sum| *sum -= bytes);
    }

    fn update(&mut self, time: usize, change: impl Fn(&mut u64)) {
        let mut at = time;
        while at < self.sums.len() {
            change(&mut self.sums[at]);
            at += at & at.wrapping_neg();
        }
    }
}

#[cfg(test)]
mod tests {
    use memory_testkit::SeededRng;

    use super::*;

    /// The definition: entries in the order of their last use.
    #[derive(Default)]
    struct List(Vec<(u64, u64)>);

    impl List {
        fn distance(&self, key: u64) -> Option<u64> {
            let at = self.0.iter().position(|(own, _)| *own == key)?;
            Some(self.0[at..].iter().map(|(_, bytes)| bytes).sum())
        }
    }

    #[test]
    fn distances_are_those_of_a_list_in_order_of_use() {
        let (mut stack, mut list) = (LruStack::new(2_000), List::default());
        let mut rng = SeededRng::new(7);
        for _ in 0..2_000 {
            let (key, bytes) = (rng.below(40) as u64, rng.below(900) as u64 + 1);
            assert_eq!(stack.distance(key), list.distance(key));
            match rng.below(10) {
                0 => {
                    stack.remove(key);
                    list.0.retain(|(own, _)| *own != key);
                }
                1 => {
                    stack.resize(key, bytes);
                    let entry = list.0.iter_mut().find(|(own, _)| *own == key);
                    entry.into_iter().for_each(|(_, own)| *own = bytes);
                }
                _ => {
                    stack.touch(key, bytes);
                    list.0.retain(|(own, _)| *own != key);
                    list.0.push((key, bytes));
                }
            }
        }
        let mut beyond: Vec<u64> = stack.beyond(5_000).collect();
        beyond.sort_unstable();
        let mut expected: Vec<u64> = (0..40)
            .filter(|key| list.distance(*key).is_some_and(|far| far > 5_000))
            .collect();
        expected.sort_unstable();
        assert_eq!(beyond, expected);
        assert!(!beyond.is_empty());
    }
}
