//! The newer of near-equal answers leads.
//!
//! "SSH is on port 22" and "SSH moved to port 49222" answer the same question,
//! and the later one is true. Z-scores of few memories exaggerate the difference
//! between two such answers, so they are compared by their raw values and their
//! words: the newer leads only if it matches the question nearly as well, has
//! every word of the question that the older has, and differs from it in a few
//! words only. It moves directly before the older one, so that a better match of
//! another subject loses at most one position for each.
//!
//! The rule is strict because most similar memories are not contradictions. A
//! third of the words in common, without the other two conditions, costs .015 of
//! the MRR on MemDaily and .005 on LoCoMo; this rule changes neither.
//!
//! A negation is a change and no word: "I no longer like it" is newer than "I like it",
//! although it has all of its words, and answers a question without a negation.

use std::cell::OnceCell;

use memory_text::{WordDigests, word_digests};

use super::candidate_set::{RankedCandidate, by_rank};

/// Best results among which the newer leads.
pub(super) const WINDOW: usize = 10;

/// The share of the older memory's BM25 that the newer must have.
const MIN_LEXICAL_SHARE: f32 = 0.8;

/// The share of words that both memories must have, of the one with more.
const MIN_WORD_SHARE: f64 = 0.5;

/// Maximum number of words of each memory that the other lacks: the value that changed, and
/// a word for the change. At least one, as otherwise nothing changed, unless one of the
/// memories negates.
const MAX_OWN_WORDS: usize = 3;

/// Minimum number of words of each memory: fewer tell no subject.
const MIN_WORDS: usize = 2;

/// Longest memory that is compared, in bytes: a statement or two. Long texts
/// share words without being about one fact: on messages of some 200 words
/// (BEAM), also in its questions about updates and contradictions, no setting of
/// this rule gains, and most cost .002 to .03 of the MRR.
const MAX_BYTES: usize = 200;

/// Moves each of the best results before the first older one that it is a
/// near-equal of, and raises its score accordingly. `tolerance` is the largest
/// difference in cosine, `query` the words of the question ([`word_digests`]), and `content`
/// returns a candidate's text by its index.
pub(super) fn newer_first<'a>(
    ranked: &mut [RankedCandidate],
    tolerance: f32,
    query: &[u64],
    content: impl Fn(usize) -> &'a str,
) {
    let window = ranked.len().min(WINDOW);
    let best = &mut ranked[..window];
    let contents = best.iter().map(|ranked| content(ranked.index));
    let mut texts: Vec<Text<'a>> = contents.map(Text::new).collect();
    for position in 1..window {
        for earlier in 0..position {
            if !is_near_equal_and_newer(&best[position], &best[earlier], tolerance)
                || !texts[position].is_short()
                || !texts[earlier].is_short()
            {
                continue;
            }
            let (newer, older) = (texts[position].words(), texts[earlier].words());
            if have_same_subject(newer, older) && has_words_of(&newer.words, &older.words, query) {
                let above = best[earlier].score;
                raise(&mut best[position], above);
                best[earlier..=position].rotate_right(1);
                texts[earlier..=position].rotate_right(1);
                break;
            }
        }
    }
    best.sort_by(by_rank);
}

/// The text of a memory, and its words once they are needed.
struct Text<'a> {
    content: &'a str,
    words: OnceCell<WordDigests>,
}

impl<'a> Text<'a> {
    fn new(content: &'a str) -> Self {
        let words = OnceCell::new();
        Self { content, words }
    }

    fn is_short(&self) -> bool {
        self.content.len() <= MAX_BYTES
    }

    fn words(&self) -> &WordDigests {
        self.words.get_or_init(|| word_digests(self.content))
    }
}

fn is_near_equal_and_newer(
    newer: &RankedCandidate,
    older: &RankedCandidate,
    tolerance: f32,
) -> bool {
    let (new, old) = (&newer.explanation, &older.explanation);
    let is_similar = match (new.similarity, old.similarity) {
        (Some(new), Some(old)) => new >= old - tolerance,
        _ => false,
    };
    newer.timestamp > older.timestamp
        && is_similar
        && new.lexical >= MIN_LEXICAL_SHARE * old.lexical
        && new.mentioned >= old.mentioned
}

/// Raises a score to the least value above `above`.
fn raise(ranked: &mut RankedCandidate, above: f32) {
    let mut bonus = above.next_up() - ranked.score;
    while ranked.score + bonus <= above {
        bonus = bonus.next_up();
    }
    ranked.score += bonus;
    ranked.explanation.newer = bonus;
}

/// Whether two memories differ, and in a few words only.
fn have_same_subject(a: &WordDigests, b: &WordDigests) -> bool {
    let min_own = usize::from(a.negates == b.negates);
    let (a, b) = (&a.words, &b.words);
    let (fewer, more) = (a.len().min(b.len()), a.len().max(b.len()));
    let common = a.iter().filter(|word| contains(b, word)).count();
    let own_words = min_own..=MAX_OWN_WORDS;
    #[expect(clippy::cast_precision_loss, reason = "some hundred words at most")]
    let is_enough = common as f64 >= MIN_WORD_SHARE * more as f64;
    fewer >= MIN_WORDS
        && is_enough
        && own_words.contains(&(a.len() - common))
        && own_words.contains(&(b.len() - common))
}

/// Whether the newer memory has every word of the question that the older has:
/// "Ann's number" is no newer value of "Tam's number".
fn has_words_of(newer: &[u64], older: &[u64], query: &[u64]) -> bool {
    query
        .iter()
        .all(|word| contains(newer, word) || !contains(older, word))
}

fn contains(words: &[u64], word: &u64) -> bool {
    words.binary_search(word).is_ok()
}
