//! Tokenization and term weighting for lexical search.
//!
//! The lexical retriever of a snapshot and that of a store must agree on what
//! a term is; otherwise the order of a recall would depend on where it was
//! answered. Both use this crate. [`dates`] finds the dates that a question names.

mod analysis;
pub mod bm25;
pub mod dates;
mod passages;
mod query_terms;
mod stop_words;
mod tokenize;

pub use analysis::{PassageTerms, TextAnalysis, WordPair, pairs, word_digest, word_digests};
pub use passages::{MAX_PASSAGE_WORDS, count_words, passages};
pub use query_terms::{PassageCounts, QueryTerms, TermCounts};
pub use stop_words::is_stop_word;
pub use tokenize::{for_each_stem, is_unspaced_script, stems, tokenize};
