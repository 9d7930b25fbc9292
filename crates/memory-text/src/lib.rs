//! Tokenization and term weighting for lexical search.
//!
//! The lexical retriever of a snapshot and that of a store must agree on what
//! a term is; otherwise the order of a recall would depend on where it was
//! answered. Both use this crate. [`dates`] finds the dates that a question names.

mod analysis;
pub mod bm25;
mod compounds;
pub mod dates;
mod distinct;
mod fold;
mod forms;
mod korean;
mod language;
mod light_stems;
mod names;
mod pair_candidates;
mod passages;
mod query_terms;
mod short_words;
mod stemmer;
mod stop_words;
mod tokenize;
mod unspaced;

pub use analysis::{
    PassageTerms, TextAnalysis, WordDigests, WordPair, pairs, word_digest, word_digests,
};
pub use fold::is_unspaced_script;
pub use language::detect_language;
pub use names::{QuestionToken, is_capitalized, name_tokens, question_tokens};
pub use pair_candidates::{PairPostings, TextsWithPairs, indexed_pairs};
pub use passages::{MAX_PASSAGE_WORDS, count_words, passages};
pub use query_terms::{PassageCounts, QueryTerms, TermCount, TermCounts};
pub use stop_words::is_stop_word;
pub use tokenize::{for_each_stem, stems, tokenize};

/// The version of the analysis: raised whenever a text's [`stems`] change, so that a
/// store knows which of its indexes to make again. Where anything else of a
/// [`TextAnalysis`] changes, the engine raises the version of its snapshot pages.
pub const ANALYSIS_VERSION: u32 = 7;
