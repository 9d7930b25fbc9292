//! Sets of memories of one entity, by their numbers.

/// A set of numbers, as bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NumberSet {
    bits: Vec<u64>,
    count: usize,
}

impl NumberSet {
    pub(crate) fn insert(&mut self, number: u32) {
        let (word, bit) = position(number);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if self.bits[word] & bit == 0 {
            self.bits[word] |= bit;
            self.count += 1;
        }
    }

    pub(crate) fn contains(&self, number: u32) -> bool {
        let (word, bit) = position(number);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// The numbers in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.bits).flat_map(|(word, bits)| {
            let is_set = move |bit: &u32| bits >> bit & 1 == 1;
            (0..u64::BITS)
                .filter(is_set)
                .map(move |bit| word * u64::BITS + bit)
        })
    }
}

impl FromIterator<u32> for NumberSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut set = Self::default();
        numbers.into_iter().for_each(|number| set.insert(number));
        set
    }
}

const fn position(number: u32) -> (usize, u64) {
    let word = (number / u64::BITS) as usize;
    (word, 1 << (number % u64::BITS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_agrees_with_a_tree(numbers in prop::collection::vec(0u32..300, 0..60)) {
            let tree: BTreeSet<u32> = numbers.iter().copied().collect();
            let set: NumberSet = numbers.into_iter().collect();
            prop_assert_eq!(set.len(), tree.len());
            prop_assert!(set.iter().eq(tree.iter().copied()));
            for number in 0..400 {
                prop_assert_eq!(set.contains(number), tree.contains(&number));
            }
        }
    }
}
