//! All that ranking needs of a text, made once when it is indexed.

use std::collections::BTreeMap;

use memory_core::Language;

use crate::compounds::for_each_compound;
use crate::dates::has_time_word;
use crate::fold::normalize;
use crate::forms::{Forms, Word};
use crate::passages::{count_words, passages};
use crate::stop_words::is_negation_elsewhere;
use crate::tokenize::{Piece, for_each_char, for_each_piece};
use crate::unspaced;

/// What the retrievers need of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextAnalysis {
    /// The terms of each of its [`passages`].
    pub passages: Vec<PassageTerms>,
    /// Its pairs of adjacent words in order, see [`pairs`].
    pub pairs: Vec<WordPair>,
    /// Its number of [words](count_words).
    pub words: u32,
    /// Whether it names a time, see [`has_time_word`].
    pub has_time: bool,
}

/// The terms of one passage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassageTerms {
    /// How often each stem and compound occurs.
    pub counts: BTreeMap<String, u32>,
    /// The number of stems and compounds.
    pub length: u32,
}

/// Two adjacent words, as a digest of their stems; of scripts without spaces, the words
/// of a dictionary. Stop words are kept, so that "not allergic" differs from "allergic",
/// and word order counts.
///
/// 32 bits of FNV-1a: two of the pairs of a question and of 10,000 memories of
/// 30 words have the same digest with a probability of about 1 in 1,400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WordPair(pub u32);

impl TextAnalysis {
    /// Analyzes a text, with the [`stems`](crate::stems) of a `language` that it is
    /// known to have.
    #[must_use]
    pub fn of(text: &str, language: Option<Language>) -> Self {
        let forms = Forms::of(text, language);
        let mut pairs = PairBuilder::default();
        let analyze = |passage: &str| {
            let mut terms = PassageTerms::default();
            let passage = normalize(passage);
            for_each_piece(&passage, &forms, |piece| match piece {
                Piece::Word(word) => {
                    pairs.add_word(&forms, word);
                    forms.for_each(word, |form| terms.add(form));
                }
                Piece::Unspaced(run) => {
                    unspaced::divide(run, |word| pairs.add(word), |term| terms.add(term));
                }
            });
            for_each_compound(&passage, &forms, &mut |compound: &str| terms.add(compound));
            terms
        };
        let passages = passages(text).map(analyze).collect();
        Self {
            passages,
            pairs: pairs.pairs,
            words: u32::try_from(count_words(text)).unwrap_or(u32::MAX),
            has_time: has_time_word(text),
        }
    }
}

impl PassageTerms {
    fn add(&mut self, term: &str) {
        self.length += 1;
        if let Some(count) = self.counts.get_mut(term) {
            *count += 1;
        } else {
            self.counts.insert(term.to_owned(), 1);
        }
    }
}

/// The pairs of adjacent words of a text, in order.
#[must_use]
pub fn pairs(text: &str) -> Vec<WordPair> {
    // The base of a word does not depend on the language of its text.
    let forms = Forms::without_language();
    let mut pairs = PairBuilder::default();
    for_each_piece(&normalize(text), &forms, |piece| match piece {
        Piece::Word(word) => pairs.add_word(&forms, word),
        Piece::Unspaced(run) => unspaced::for_each_word(run, |word| pairs.add(word)),
    });
    pairs.pairs
}

/// The words of a text, as far as comparing it with another needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordDigests {
    /// The digests of its words without stop words, negations and duplicates, ascending.
    pub words: Vec<u64>,
    /// Whether it negates, in one of the languages whose negations are words.
    pub negates: bool,
}

/// The digests of a text's words: to compare texts without keeping their words. Not
/// stemmed, which is most of the time that [`TextAnalysis`] takes; of scripts without
/// spaces, a word is a character.
#[must_use]
pub fn word_digests(text: &str) -> WordDigests {
    let (mut words, mut negates) = (Vec::new(), false);
    let forms = Forms::without_language();
    for_each_piece(&normalize(text), &forms, |piece| match piece {
        Piece::Word(word) if word.is_negation() => negates = true,
        Piece::Word(word) if word.is_stop_word() => {}
        Piece::Word(word) if is_negation_elsewhere(word.folded) => negates = true,
        Piece::Word(word) => words.push(word_digest(word.folded)),
        Piece::Unspaced(run) => for_each_char(run, &mut |token: &str| {
            if is_negation_elsewhere(token) {
                negates = true;
            } else {
                words.push(word_digest(token));
            }
        }),
    });
    words.sort_unstable();
    words.dedup();
    WordDigests { words, negates }
}

/// Makes pairs of the words that are added.
#[derive(Default)]
pub(crate) struct PairBuilder {
    pub(crate) pairs: Vec<WordPair>,
    /// The digests of the words, in order, if they are asked for.
    pub(crate) words: Vec<u64>,
    keeps_words: bool,
    /// The digest of the previous word.
    previous: Option<u64>,
}

impl PairBuilder {
    pub(crate) fn with_words() -> Self {
        Self {
            keeps_words: true,
            ..Self::default()
        }
    }

    pub(crate) fn add_word(&mut self, forms: &Forms, word: Word<'_>) {
        if word.folds_to_stop_word() {
            self.add(word.folded);
        } else {
            forms.with_base(word, |base| self.add(base));
        }
    }

    pub(crate) fn add(&mut self, stem: &str) {
        if let Some(previous) = self.previous {
            self.pairs.push(WordPair::after(previous, stem));
        }
        let digest = word_digest(stem);
        if self.keeps_words {
            self.words.push(digest);
        }
        self.previous = Some(digest);
    }
}

impl WordPair {
    /// The pair of two adjacent words, by their stems.
    #[must_use]
    pub fn of(first: &str, second: &str) -> Self {
        Self::after(word_digest(first), second)
    }

    /// The pair of a word, by its [digest](word_digest), and the word after it, by its stem.
    #[must_use]
    pub fn after(previous: u64, stem: &str) -> Self {
        let digest = fnv(previous, stem);
        #[expect(clippy::cast_possible_truncation, reason = "folds 64 bits to 32")]
        Self((digest ^ (digest >> 32)) as u32)
    }
}

/// The digest of a word, the same in every process: to compare words without
/// keeping them.
#[must_use]
pub fn word_digest(word: &str) -> u64 {
    fnv(FNV_OFFSET, word)
}

/// FNV-1a (Fowler, Noll and Vo), 64 bits: the same in every process, so that a
/// store may keep digests.
fn fnv(seed: u64, text: &str) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    // The byte after the text separates words: no text contains 0xff.
    let bytes = text.bytes().chain(std::iter::once(0xff));
    bytes.fold(seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stems;

    #[test]
    fn the_terms_of_one_passage_are_the_stems_of_the_text() {
        let text = "Ticket INC-90312 came yesterday; the tickets are not new.";
        let analysis = TextAnalysis::of(text, None);
        let [passage] = &analysis.passages[..] else {
            panic!("one passage")
        };
        let mut expected: BTreeMap<String, u32> = BTreeMap::new();
        for stem in stems(text, None) {
            *expected.entry(stem).or_default() += 1;
        }
        assert_eq!(passage.counts, expected);
        assert_eq!(passage.length, expected.values().sum::<u32>());
        assert_eq!((analysis.words, analysis.has_time), (9, true));
        assert_eq!(analysis.pairs, pairs(text));
    }

    /// Stores index a text as a whole, a snapshot by passages.
    #[test]
    fn passages_have_the_stems_of_the_text_whatever_their_case() {
        let text = format!(
            "{}{}",
            "THE MILL AND IT ".repeat(60),
            "the river ".repeat(60)
        );
        let analysis = TextAnalysis::of(&text, None);
        assert!(analysis.passages.len() > 1);
        let counted = |term: &str| {
            let counts = analysis.passages.iter().map(|it| it.counts.get(term));
            counts.flatten().sum::<u32>() as usize
        };
        for term in ["the", "mill", "and", "it", "river"] {
            let of_text = stems(&text, None).iter().filter(|it| *it == term).count();
            assert_eq!(counted(term), of_text, "{term}");
        }
    }

    #[test]
    fn digests_are_of_distinct_words_without_stop_words_and_negations() {
        let digests = |text| word_digests(text).words;
        assert_eq!(digests("The mill, the River; the MILL").len(), 2);
        assert!(digests("The mill, the River; the MILL").is_sorted());
        assert_eq!(digests("The mill, the River"), digests("river mill"));
        assert_ne!(digests("river mill"), digests("river mills"));
        assert_eq!(digests("I won't mill"), digests("mill"));
        assert_eq!(digests("Who won?").len(), 1);
    }

    #[test]
    fn negations_are_known_apart_from_words() {
        for (text, negated) in [
            ("I like tea", "I do not like tea"),
            ("I like tea", "I don’t like tea"),
            ("Tam can swim", "Tam cannot swim"),
            ("I drink wine", "I never drink wine"),
            ("Ich mag Tee", "Ich mag nicht Tee"),
            ("Ich esse Fleisch", "Ich esse kein Fleisch"),
            ("J'aime la viande", "J'aime pas la viande"),
            ("Bebo café", "No bebo café"),
            ("Mangio carne", "Non mangio carne"),
            ("Jag äter kött", "Jag äter inte kött"),
            ("Я ем мясо", "Я не ем мясо"),
            ("我吃鱼", "我不吃鱼"),
        ] {
            let (text, negated) = (word_digests(text), word_digests(negated));
            assert_eq!(text.words, negated.words);
            assert!(!text.negates && negated.negates);
        }
        assert!(!word_digests("in 't begin, model T").negates);
    }

    #[test]
    fn pairs_know_order_and_stop_words_and_go_across_passages() {
        assert_eq!(pairs("not allergic"), pairs("Not allergic!"));
        assert_ne!(pairs("not allergic"), pairs("allergic not"));
        assert_ne!(pairs("so allergic"), pairs("not allergic"));
        assert_eq!(pairs("riding a horse")[0], pairs("ride a")[0]);
        assert!(pairs("allergic").is_empty());
        let long = "one two ".repeat(200);
        let analysis = TextAnalysis::of(&long, None);
        assert_eq!(analysis.passages.len(), 3);
        assert_eq!(analysis.pairs.len(), 399);
    }
}
