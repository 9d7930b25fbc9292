//! The text of a recall, prepared for every retriever.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use memory_core::Language;
use memory_text::dates::{self, NamedDate};
use memory_text::{QueryTerms, QuestionToken};

use crate::tiers::EmbeddedText;

/// A query, prepared for every retriever.
pub(crate) struct Query {
    /// For the dense retriever: L2-normalized.
    pub(crate) vector: Arc<[f32]>,
    /// Share of the text's tokens that the embedder's model does not know.
    pub(crate) unknown_share: f32,
    /// For the lexical retriever and its pairs of words.
    pub(crate) terms: QueryTerms,
    /// For comparing answers with the text, see `ranking::newer_first`.
    pub(crate) words: Vec<u64>,
    /// Whether the text asks for a time.
    pub(crate) asks_when: bool,
    /// The dates that the text names.
    pub(crate) dates: Vec<NamedDate>,
    /// For finding mentions of tags, metadata values and participants.
    pub(crate) tokens: Vec<QuestionToken>,
}

impl Query {
    /// Dates such as "last week" are relative to `now`; `language` is that of the
    /// configuration.
    pub(crate) fn new(
        text: &str,
        language: Option<Language>,
        embedded: EmbeddedText,
        now: DateTime<Utc>,
    ) -> Self {
        let asks_when = dates::asks_when(text);
        let terms = QueryTerms::new(text, language, asks_when);
        Self {
            vector: embedded.vector,
            unknown_share: embedded.unknown_share,
            words: memory_text::word_digests(text).words,
            asks_when,
            dates: distinct_dates(text, now),
            tokens: memory_text::question_tokens(text, terms.languages()),
            terms,
        }
    }
}

/// The dates of a question that count: every memory is compared with each of them.
const MAX_DATES: usize = 16;

/// The first distinct dates that a text names.
fn distinct_dates(text: &str, now: DateTime<Utc>) -> Vec<NamedDate> {
    let mut distinct: Vec<NamedDate> = Vec::new();
    for date in dates::named_dates(text, now) {
        if distinct.len() == MAX_DATES {
            break;
        }
        let meaning = |date: &NamedDate| (date.precision, date.period, date.relation);
        if !distinct
            .iter()
            .any(|known| meaning(known) == meaning(&date))
        {
            distinct.push(date);
        }
    }
    distinct
}
