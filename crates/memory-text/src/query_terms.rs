//! Counting the terms of a query in texts.

use std::fmt;

use memory_core::Language;

use crate::analysis::{PairBuilder, WordPair, word_digest};
use crate::compounds::for_each_compound;
use crate::dates::has_time_word;
use crate::distinct::Distinct;
use crate::fold::normalize;
use crate::forms::{Forms, Word};
use crate::passages::{count_words, passages};
use crate::tokenize::{Piece, for_each_piece};
use crate::unspaced;

/// The terms of a query, prepared for being counted in many texts.
///
/// [`count`](Self::count) says of the query's terms what
/// [`TextAnalysis`](crate::TextAnalysis) says of all terms of a text, and takes a
/// fraction of its time: of English words, only those that begin like one of the
/// query's are stemmed, and nothing is kept of the others.
pub struct QueryTerms {
    stems: Distinct<String>,
    pairs: Distinct<WordPair>,
    /// The digests of the two words of each pair.
    pair_words: Vec<(u64, u64)>,
    /// Whether the stem of a word may be one of the query's words, by its beginning.
    may_match: MayMatch,
    language: Option<Language>,
    /// The one that was detected in the query.
    detected: Option<Language>,
    with_time: bool,
}

/// How often the terms of a query occur in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermCounts {
    /// For each of the text's [`passages`].
    pub passages: Vec<PassageCounts>,
    /// How often each of the query's pairs occurs, of those that do.
    pub pairs: Vec<TermCount>,
    /// How many distinct stems and compounds the query has.
    pub query_stems: usize,
    /// How many distinct pairs the query has.
    pub query_pairs: usize,
    /// The number of pairs of adjacent words in the text.
    pub pair_count: u32,
    /// The text's number of [words](count_words).
    pub words: u32,
    /// Whether it names a time, see [`has_time_word`]; `false` where that was not
    /// asked for.
    pub has_time: bool,
}

/// A term's index among those of the query, and how often it occurs. Lists are in the order
/// of the index.
pub type TermCount = (usize, u32);

/// How often the terms of a query occur in one passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassageCounts {
    /// How often each of the query's stems and compounds occurs, of those that do.
    pub counts: Vec<TermCount>,
    /// The number of stems and compounds in the passage.
    pub length: u32,
}

impl TermCounts {
    /// The share of the query's distinct stems and compounds that the text has, 0 to
    /// 1; 0 of a query without any, such as one of stop words alone.
    ///
    /// Unlike BM25 it depends on the query and the text alone, not on how rare a word
    /// is among other texts: it is comparable between collections.
    #[must_use]
    pub fn stem_share(&self) -> f32 {
        let counts = self.passages.iter().flat_map(|passage| &passage.counts);
        let mut found: Vec<usize> = counts.map(|(index, _)| *index).collect();
        found.sort_unstable();
        found.dedup();
        share(found.len(), self.query_stems)
    }

    /// The share of the query's distinct pairs of words that the text has, 0 to 1; 0
    /// of a query without any.
    #[must_use]
    pub fn pair_share(&self) -> f32 {
        share(self.pairs.len(), self.query_pairs)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand terms at most")]
fn share(found: usize, all: usize) -> f32 {
    found as f32 / all.max(1) as f32
}

impl QueryTerms {
    /// The terms of a query, in a `language` that it and the texts are known to have,
    /// and whether texts are searched for times as well.
    #[must_use]
    pub fn new(query: &str, language: Option<Language>, with_time: bool) -> Self {
        let mut stems = Distinct::default();
        let mut add_stem = |stem: &str| {
            stems.add(stem);
        };
        let mut pairs = PairBuilder::with_words();
        let mut may_match = MayMatch::default();
        let forms = Forms::of(query, language);
        let text = normalize(query);
        // The division of scripts without spaces takes most of the time: once for all.
        for_each_piece(&text, &forms, |piece| match piece {
            Piece::Word(word) => {
                pairs.add_word(&forms, word);
                if word.folds_to_stop_word() {
                    may_match.add(word.folded);
                } else {
                    forms.with_base(word, |base| may_match.add(base));
                }
                forms.for_each(word, &mut add_stem);
            }
            Piece::Unspaced(run) => {
                unspaced::divide(run, |word| pairs.add(word), &mut add_stem);
            }
        });
        for_each_compound(&text, &forms, &mut add_stem);
        stems.terms().iter().for_each(|stem| may_match.add(stem));
        let adjacent = pairs.words.iter().zip(pairs.words.iter().skip(1));
        let (mut distinct, mut pair_words) = (Distinct::default(), Vec::new());
        for (pair, (first, second)) in pairs.pairs.iter().zip(adjacent) {
            if distinct.add(pair) {
                pair_words.push((*first, *second));
            }
        }
        Self {
            stems,
            pairs: distinct,
            pair_words,
            may_match,
            language,
            detected: forms.languages()[0],
            with_time,
        }
    }

    /// The languages of the query: the one that was detected, and the one that was given.
    #[must_use]
    pub fn languages(&self) -> [Option<Language>; 2] {
        [self.detected, self.language]
    }

    /// The query's distinct stems and compounds, see [`stems`](crate::stems).
    #[must_use]
    pub fn stems(&self) -> &[String] {
        self.stems.terms()
    }

    /// The query's distinct pairs of words, see [`pairs`](crate::pairs).
    #[must_use]
    pub fn pairs(&self) -> &[WordPair] {
        self.pairs.terms()
    }

    /// The [digests](word_digest) of the two words of each of the [pairs](Self::pairs).
    #[must_use]
    pub fn pair_words(&self) -> &[(u64, u64)] {
        &self.pair_words
    }

    /// Counts the terms in a text.
    #[must_use]
    pub fn count(&self, text: &str) -> TermCounts {
        let mut pairs = PairCounter {
            wanted: &self.pairs,
            found: Vec::new(),
            pair_count: 0,
            previous: None,
        };
        let forms = Forms::of(text, self.language);
        let passages = passages(text);
        let passages = passages.map(|passage| self.count_passage(passage, &forms, &mut pairs));
        TermCounts {
            passages: passages.collect(),
            pairs: counts_of(pairs.found),
            query_stems: self.stems().len(),
            query_pairs: self.pairs().len(),
            pair_count: pairs.pair_count,
            words: u32::try_from(count_words(text)).unwrap_or(u32::MAX),
            has_time: self.with_time && has_time_word(text),
        }
    }

    fn count_passage(
        &self,
        passage: &str,
        forms: &Forms,
        pairs: &mut PairCounter<'_>,
    ) -> PassageCounts {
        let (mut found, mut length) = (Vec::new(), 0);
        let mut count = |term: &str| {
            length += 1;
            found.extend(self.stems.position(term));
        };
        let passage = normalize(passage);
        for_each_piece(&passage, forms, |piece| match piece {
            Piece::Word(word) => {
                if word.folds_to_stop_word() {
                    if self.may_match(word) {
                        pairs.add(word.folded);
                    } else {
                        pairs.add_other();
                    }
                    forms.for_each(word, &mut count);
                } else if forms.are_english() && word.spelled.is_ascii() && !self.may_match(word) {
                    pairs.add_other();
                    count("");
                } else {
                    forms.with_base(word, |base| pairs.add(base));
                    forms.for_each(word, &mut count);
                }
            }
            Piece::Unspaced(run) => {
                unspaced::divide(run, |word| pairs.add(word), &mut count);
            }
        });
        for_each_compound(&passage, forms, &mut count);
        PassageCounts {
            counts: counts_of(found),
            length,
        }
    }

    /// Whether a word may have a form of the query's, as far as its beginning says: the
    /// stemmers of other scripts also remove prefixes.
    fn may_match(&self, word: Word<'_>) -> bool {
        !word.folded.is_ascii() || self.may_match.contains(word.folded)
    }
}

impl fmt::Debug for QueryTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryTerms")
            .field("stems", &self.stems().len())
            .field("pairs", &self.pairs().len())
            .finish_non_exhaustive()
    }
}

/// A set of the first two bytes of words: for each first byte, a bit for each second. Of
/// both only what distinguishes small letters, so that it may have a word that was not
/// added.
#[derive(Default)]
struct MayMatch([u32; 32]);

impl MayMatch {
    fn add(&mut self, stem: &str) {
        let (first, second) = Self::position(stem);
        // Such as "a" of "aed": whatever follows may be a suffix.
        self.0[first] |= if stem.len() == 1 { u32::MAX } else { second };
    }

    fn contains(&self, word: &str) -> bool {
        let (first, second) = Self::position(word);
        self.0[first] & second != 0
    }

    /// The index of a word's first byte, and the bit of its second. Stemming keeps them: the
    /// English algorithm changes "dying", "lying" and "tying" to "die", "lie" and "tie", so
    /// `y` and `i` are the same here, and nothing else before the third letter.
    fn position(word: &str) -> (usize, u32) {
        const LETTER: u8 = 31;
        let byte = |index| word.as_bytes().get(index).copied().unwrap_or(0);
        let second = match byte(1) {
            b'y' => b'i',
            other => other,
        };
        (usize::from(byte(0) & LETTER), 1 << (second & LETTER))
    }
}

/// How often each index occurs in a list.
fn counts_of(mut found: Vec<usize>) -> Vec<TermCount> {
    found.sort_unstable();
    let equal = found.chunk_by(|a, b| a == b);
    let counts = equal.filter_map(|equal| {
        let count = u32::try_from(equal.len()).unwrap_or(u32::MAX);
        Some((*equal.first()?, count))
    });
    counts.collect()
}

/// Counts pairs of the words that are added.
struct PairCounter<'a> {
    wanted: &'a Distinct<WordPair>,
    /// The index of each that was found.
    found: Vec<usize>,
    pair_count: u32,
    previous: Option<PreviousWord>,
}

enum PreviousWord {
    /// A word that may be in a wanted pair, by its digest.
    Candidate(u64),
    Other,
}

impl PairCounter<'_> {
    fn add(&mut self, stem: &str) {
        self.pair_count += u32::from(self.previous.is_some());
        if let Some(PreviousWord::Candidate(previous)) = self.previous {
            let pair = WordPair::after(previous, stem);
            self.found.extend(self.wanted.position(&pair));
        }
        self.previous = Some(PreviousWord::Candidate(word_digest(stem)));
    }

    /// Adds a word that is in no wanted pair.
    fn add_other(&mut self) {
        self.pair_count += u32::from(self.previous.is_some());
        self.previous = Some(PreviousWord::Other);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_stemmers::{Algorithm, Stemmer};

    use super::*;
    use crate::TextAnalysis;

    /// Words with suffixes that stemming removes or changes, words that it treats
    /// as exceptions, stop words, compounds and other scripts.
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "ride", "rides", "riding", "rode", "dying", "die", "dies", "lying", "tying", "tie", "sky",
        "skies", "skis", "news", "aed", "aing", "a", "a's", "ied", "ies", "by", "say", "says",
        "cry", "cries", "yes", "y", "yy", "i", "ii", "the", "not", "isn't", "can’t", "'t",
        "cannot", "allergic", "allergies", "idly", "gently", "only", "v1.2.3", "INC-90312",
        "90312", "Übergabe", "İstanbul", "猫の記憶", "हिन्दी", "上海的海上", "食べる", "서울에서", "בבית",
        "الكتاب", "caballos", "Häuser", "die", "el", "C++", ".NET", "ไปโรงเรียน", "on", "monday",
        "generate", "generously", "communism", "arsenal", "won", "won't", "own", "been", "at",
        "vitamin D", ".", "/", "-", "O'Brien", "e-mail", "10kg", "1,000.50", "INC90312",
        "getUserName", "Müller", "Mueller", "Übung", "uebung", "🎉", "IT", "Wi-Fi",
        "+49 170 1234567", "n't", "ヴァイオリンー", "हिन्दी", "we've",
    ];

    fn text(words: usize) -> impl Strategy<Value = String> {
        let word = prop_oneof![
            6 => prop::sample::select(WORDS).prop_map(str::to_owned),
            1 => "[a-eiys]{1,6}(ed|ing|s|ies|y|ly)?",
            1 => "\\PC{1,3}",
        ];
        prop::collection::vec(word, 0..words).prop_map(|words| words.join(" "))
    }

    proptest! {
        #[test]
        fn counts_are_those_of_the_analysis_of_the_whole_text(
            query in text(8),
            text in text(400),
            language in prop::sample::select(vec![
                None, Some(Language::Dutch), Some(Language::English), Some(Language::Turkish),
            ]),
        ) {
            let terms = QueryTerms::new(&query, language, true);
            let counts = terms.count(&text);
            let analysis = TextAnalysis::of(&text, language);
            let expected = TermCounts {
                passages: analysis.passages.iter().map(|passage| PassageCounts {
                    counts: terms.stems().iter().enumerate().filter_map(|(index, stem)| {
                        passage.counts.get(stem).map(|count| (index, *count))
                    }).collect(),
                    length: passage.length,
                }).collect(),
                pairs: terms.pairs().iter().enumerate().filter_map(|(index, pair)| {
                    let equal = analysis.pairs.iter().filter(|other| *other == pair).count();
                    (equal > 0).then(|| (index, u32::try_from(equal).unwrap()))
                }).collect(),
                query_stems: terms.stems().len(),
                query_pairs: terms.pairs().len(),
                pair_count: u32::try_from(analysis.pairs.len()).unwrap(),
                words: analysis.words,
                has_time: analysis.has_time,
            };
            prop_assert_eq!(counts, expected);
            // The query's terms are found in one reading of it.
            let mut stems = crate::stems(&query, language);
            stems.sort_unstable();
            stems.dedup();
            let mut found = terms.stems().to_vec();
            found.sort_unstable();
            prop_assert_eq!(found, stems);
            let mut pairs = crate::pairs(&query);
            pairs.sort_unstable();
            pairs.dedup();
            let mut found = terms.pairs().to_vec();
            found.sort_unstable();
            prop_assert_eq!(found, pairs);
        }

        #[test]
        fn stemming_keeps_the_prefix(word in "[a-z]{1,12}") {
            let stemmer = Stemmer::create(Algorithm::English);
            let stem = stemmer.stem(&word);
            let mut stems = MayMatch::default();
            stems.add(&stem);
            prop_assert!(stems.contains(&word), "{}", stem);
        }
    }

    #[test]
    fn shares_are_of_distinct_stems_and_pairs() {
        let shares = |query: &str, text: &str| {
            let counts = QueryTerms::new(query, None, false).count(text);
            (counts.stem_share(), counts.pair_share())
        };
        let query = "Who sold Tam the lame horses?";
        assert_eq!(shares(query, query), (1.0, 1.0));
        // sold, tam, lame and horse; who-sold to lame-horse.
        assert_eq!(shares(query, "The horse, the HORSE!"), (0.25, 0.0));
        assert_eq!(shares(query, "a lame horse"), (0.5, 0.2));
        assert_eq!(shares(query, "The mill burns."), (0.0, 0.0));
        assert_eq!(shares(query, ""), (0.0, 0.0));
        let long = format!("Tam {} horses", "and more ".repeat(200));
        assert_eq!(shares(query, &long), (0.5, 0.0), "in different passages");
        assert_eq!(shares("Who are you?", "who are you"), (0.0, 1.0));
        assert_eq!(shares("?", "who are you"), (0.0, 0.0));
        assert_eq!(shares("猫の記憶", "記憶の猫"), (1.0, 0.0));
        assert_eq!(shares("猫の記憶", "猫の目"), (0.5, 0.5));
    }

    /// Of as many terms as a question of 10,000 characters can have, with a text as long: in
    /// time that does not grow with their product.
    #[test]
    fn a_long_question_is_counted_in_a_long_text() {
        let ideographs: Vec<char> = ('\u{4e00}'..).take(9_000).collect();
        let query: String = ideographs.iter().collect();
        let terms = QueryTerms::new(&query, None, false);
        assert!(terms.stems().len() >= 4_500 && terms.pairs().len() >= 4_000);
        let counts = terms.count(&query);
        assert!(counts.stem_share() > 0.9 && counts.pair_share() > 0.9);
        let found: usize = counts.passages.iter().map(|it| it.counts.len()).sum();
        assert!(
            found < 2 * terms.stems().len(),
            "each in one passage or two"
        );
        let half: String = ideographs.iter().step_by(2).collect();
        assert!(terms.count(&half).stem_share() < 0.6);
    }

    #[test]
    fn terms_are_distinct_and_times_are_optional() {
        let terms = QueryTerms::new("the mill, the mills", None, false);
        assert_eq!(terms.stems(), ["mill"]);
        assert_eq!(terms.pairs().len(), 2);
        assert!(!terms.count("yesterday").has_time);
        assert!(
            QueryTerms::new("mill", None, true)
                .count("yesterday")
                .has_time
        );
    }
}
