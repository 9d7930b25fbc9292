//! Candidates by pairs of adjacent words, for the searches of stores.
//!
//! In a large entity most pairs of a question are in a handful of memories, and such a
//! pair outweighs everything else in their scores, although neither their vectors nor
//! their words need be among the best. Their number also decides what a pair is worth.
//! Indexes of words have no places that count stop words, so texts are read: those of the
//! memories that contain both words, the rarest pair first.

use std::collections::HashMap;

use crate::{QueryTerms, word_digest};

/// Maximum number of texts that are read for one search. With 2,000 of them the first ten of
/// 100,000 memories agree with an exhaustive ranking in 94 %, with 4,000 in 96 %
/// (docs/performance.md).
const MAX_TEXTS: usize = 4_096;

/// Those of a query's pairs whose words are both in `words`, as indices in it, ascending.
/// Pairs are given by the [digests](word_digest) of their words:
/// [`QueryTerms::pair_words`].
#[must_use]
pub fn indexed_pairs(pairs: &[(u64, u64)], words: &[String]) -> Vec<(usize, usize)> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let digests = words.iter().map(|word| word_digest(word));
    let index: HashMap<u64, usize> = digests.zip(0..).collect();
    let index = |digest: &u64| index.get(digest).copied();
    let indexed = pairs.iter();
    let indexed = indexed.filter_map(|(first, second)| Some((index(first)?, index(second)?)));
    let mut indexed: Vec<(usize, usize)> = indexed.collect();
    indexed.sort_unstable();
    indexed
}

/// Which memories contain the words of pairs, by their numbers.
#[derive(Debug)]
pub struct PairPostings {
    pairs: Vec<(usize, usize)>,
    words: Vec<Option<WordPostings>>,
}

/// The memories that contain one word.
#[derive(Debug, Default)]
struct WordPostings {
    once: Vec<u32>,
    /// Those that contain it twice, where the word is in a pair with itself.
    twice: Vec<u32>,
    is_in_pair_with_itself: bool,
}

impl PairPostings {
    /// Of pairs of so many words, as indices. Pairs of others are ignored, as memories that
    /// contain others are.
    #[must_use]
    pub fn new(pairs: Vec<(usize, usize)>, words: usize) -> Self {
        let mut postings: Vec<Option<WordPostings>> = Vec::new();
        postings.resize_with(words, || None);
        for &(first, second) in &pairs {
            for word in [first, second] {
                if let Some(word) = postings.get_mut(word) {
                    let word = word.get_or_insert_default();
                    word.is_in_pair_with_itself |= first == second;
                }
            }
        }
        Self {
            pairs,
            words: postings,
        }
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Adds that a memory contains a word so often. It may be added once.
    pub fn add(&mut self, word: usize, number: u32, count: u32) {
        if let Some(Some(word)) = self.words.get_mut(word) {
            word.once.push(number);
            if word.is_in_pair_with_itself && count >= 2 {
                word.twice.push(number);
            }
        }
    }

    /// The numbers of the memories whose texts are read, of those that contain both words
    /// of each pair, twice where these are the same: all of the rarest pairs, and evenly
    /// spaced ones of the first for which there are too many.
    #[must_use]
    pub fn select(mut self) -> Vec<u32> {
        for word in self.words.iter_mut().flatten() {
            // Pages come before rows, whatever their numbers.
            word.once.sort_unstable();
            word.twice.sort_unstable();
        }
        // Of a long question, all lists together would be many times its postings.
        let counts = self.pairs.iter().map(|pair| self.with(*pair).count());
        let mut counted: Vec<(usize, (usize, usize))> =
            counts.zip(self.pairs.iter().copied()).collect();
        counted.sort_by_key(|(count, _)| *count);
        let mut selected = Vec::new();
        for (count, pair) in counted {
            let remaining = MAX_TEXTS - selected.len();
            if remaining == 0 {
                break;
            }
            let step = count.div_ceil(remaining).max(1);
            selected.extend(self.with(pair).step_by(step).take(remaining));
        }
        selected.sort_unstable();
        selected.dedup();
        selected
    }

    /// The memories that contain both words of a pair.
    fn with(&self, (first, second): (usize, usize)) -> impl Iterator<Item = u32> {
        let list = |word: usize| {
            let postings = self.words.get(word).and_then(Option::as_ref);
            postings.map_or(&[][..], |it| match first == second {
                true => &it.twice,
                false => &it.once,
            })
        };
        in_both(list(first), list(second))
    }
}

/// The numbers in both of two ascending lists.
fn in_both<'a>(a: &'a [u32], b: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    let (short, mut rest) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    short.iter().copied().filter(move |number| {
        rest = skip_below(rest, *number);
        rest.first() == Some(number)
    })
}

/// The end of an ascending list from this number on. It takes few steps where that is
/// near the beginning, and the logarithm of the distance elsewhere (galloping search).
fn skip_below(list: &[u32], number: u32) -> &[u32] {
    let mut end = 1;
    while list.get(end - 1).is_some_and(|other| *other < number) {
        end *= 2;
    }
    let (start, end) = (end / 2, end.min(list.len()));
    let within = &list[start.min(end)..end];
    &list[start.min(end) + within.partition_point(|other| *other < number)..]
}

/// The texts that contain pairs of a query, of those that were read.
#[derive(Debug)]
pub struct TextsWithPairs<K> {
    terms: QueryTerms,
    read: usize,
    /// Those that contain one, with the indices of all that they contain.
    found: Vec<(K, Vec<usize>)>,
}

impl<K: Ord> TextsWithPairs<K> {
    /// None yet.
    #[must_use]
    pub const fn new(terms: QueryTerms) -> Self {
        Self {
            terms,
            read: 0,
            found: Vec::new(),
        }
    }

    /// Reads a text, which takes as long as analyzing it.
    pub fn read(&mut self, key: K, text: &str) {
        self.read += 1;
        let counts = self.terms.count(text).pairs.into_iter();
        let contained: Vec<usize> = counts.map(|(pair, _)| pair).collect();
        if !contained.is_empty() {
            self.found.push((key, contained));
        }
    }

    /// The keys of up to `limit` texts that contain a pair, those of the rarest pairs
    /// first; of texts that are worth as much, those with lower keys.
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most a few thousand texts are read"
    )]
    #[must_use]
    pub fn rarest(self, limit: usize) -> Vec<K> {
        let mut containing = vec![0usize; self.terms.pairs().len()];
        for pair in self.found.iter().flat_map(|(_, pairs)| pairs) {
            containing[*pair] += 1;
        }
        let idf = |count: usize| (self.read as f32 / count.max(1) as f32).ln_1p();
        let idf: Vec<f32> = containing.into_iter().map(idf).collect();
        let score = |pairs: &[usize]| -> f32 { pairs.iter().map(|pair| idf[*pair]).sum() };
        let found = self.found.into_iter();
        let mut scored: Vec<(f32, K)> = found.map(|(key, it)| (score(&it), key)).collect();
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        scored.truncate(limit);
        scored.into_iter().map(|(_, key)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_are_of_adjacent_words_that_are_indexed() {
        let text = "the old mills of the old river bridge";
        let mut words = crate::stems(text, None);
        words.sort_unstable();
        words.dedup();
        assert_eq!(words, ["bridg", "mill", "old", "river"]);
        let terms = QueryTerms::new(text, None, false);
        assert_eq!(terms.pairs().len(), terms.pair_words().len());
        assert_eq!(
            indexed_pairs(terms.pair_words(), &words),
            [(2, 1), (2, 3), (3, 0)]
        );
        assert_eq!(indexed_pairs(&[], &words), []);
    }

    #[test]
    fn all_of_the_rarest_pairs_are_read_and_some_of_the_others() {
        let rare: Vec<u32> = (0..100).map(|n| n * 7).collect();
        let common: Vec<u32> = (0..50_000).collect();
        let selected = select(&[&common, &rare]);
        assert!(rare.iter().all(|number| selected.contains(number)));
        assert!(selected.len() <= MAX_TEXTS && selected.len() > MAX_TEXTS * 9 / 10);
        assert!(selected.last() > Some(&49_000), "evenly spaced");
        assert_eq!(select(&[&[], &rare]), rare);
        assert!(select(&[&common, &common]).len() <= MAX_TEXTS);
    }

    /// What is selected for pairs of two words each, of which both are in these memories.
    fn select(both: &[&[u32]]) -> Vec<u32> {
        let pairs = (0..both.len()).map(|pair| (2 * pair, 2 * pair + 1));
        let mut postings = PairPostings::new(pairs.collect(), 2 * both.len());
        for (pair, numbers) in both.iter().enumerate() {
            for number in *numbers {
                postings.add(2 * pair, *number, 1);
                postings.add(2 * pair + 1, *number, 3);
            }
        }
        postings.select()
    }

    #[test]
    fn a_word_in_a_pair_with_itself_counts_where_it_occurs_twice() {
        let mut postings = PairPostings::new(vec![(0, 0), (0, 1)], 3);
        // In no order, and one word that is in no pair.
        for (word, number, count) in [(0, 9, 1), (1, 9, 1), (0, 4, 2), (0, 2, 1), (2, 5, 9)] {
            postings.add(word, number, count);
        }
        assert_eq!(postings.select(), [4, 9]);
    }

    #[test]
    fn texts_with_the_rarest_pairs_come_first() {
        let mut texts = TextsWithPairs::new(QueryTerms::new("red old mill", None, false));
        for (key, text) in [
            (7, "a red old cart"),
            (3, "red and old"),
            (5, "one more red old door"),
            (4, "the old mill"),
            (6, "mill"),
        ] {
            texts.read(key, text);
        }
        assert_eq!(texts.rarest(2), [4, 5]);
    }

    /// As [`PairPostings::select`], with a list for each pair.
    fn select_from_lists(
        matches: &BTreeMap<(usize, u32), u32>,
        pairs: &[(usize, usize)],
    ) -> Vec<u32> {
        let is_in = |word, number, least| {
            let count = matches.get(&(word, number));
            count.is_some_and(|count| *count >= least)
        };
        let with = |&(first, second): &(usize, usize)| -> Vec<u32> {
            let least = if first == second { 2 } else { 1 };
            let is_in_both =
                |number: &u32| is_in(first, *number, least) && is_in(second, *number, least);
            (0..10_000).filter(is_in_both).collect()
        };
        let mut both: Vec<Vec<u32>> = pairs.iter().map(with).collect();
        both.sort_by_key(Vec::len);
        let mut selected = Vec::new();
        for numbers in both {
            let remaining = MAX_TEXTS - selected.len();
            let step = numbers.len().div_ceil(remaining.max(1)).max(1);
            selected.extend(numbers.into_iter().step_by(step).take(remaining));
        }
        selected.sort_unstable();
        selected.dedup();
        selected
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_is_selected_is_as_from_a_list_for_each_pair(
            // A word is in every so many memories.
            periods in prop::collection::vec(1u32..40, 5),
            pairs in prop::collection::btree_set((0usize..5, 0usize..5), 0..8),
        ) {
            let of_word = |(word, period): (usize, &u32)| {
                let numbers = (0..10_000).step_by(*period as usize);
                numbers.map(move |number| ((word, number), 1 + number % 3))
            };
            let matches: BTreeMap<(usize, u32), u32> =
                periods.iter().enumerate().flat_map(of_word).collect();
            let pairs: Vec<(usize, usize)> = pairs.into_iter().collect();
            let mut postings = PairPostings::new(pairs.clone(), periods.len());
            for (&(word, number), &count) in matches.iter().rev() {
                postings.add(word, number, count);
            }
            prop_assert_eq!(postings.select(), select_from_lists(&matches, &pairs));
        }

        #[test]
        fn numbers_in_both_are_those_of_two_sets(
            a in prop::collection::btree_set(0u32..300, 0..200),
            b in prop::collection::btree_set(0u32..300, 0..20),
        ) {
            let expected: Vec<u32> = a.intersection(&b).copied().collect();
            let (a, b): (Vec<u32>, Vec<u32>) = (a.into_iter().collect(), b.into_iter().collect());
            prop_assert!(in_both(&a, &b).eq(expected.iter().copied()));
            prop_assert!(in_both(&b, &a).eq(expected.iter().copied()));
        }
    }
}
