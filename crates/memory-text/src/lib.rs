//! How the memory system cuts text into words and weighs them.
//!
//! The snapshot's lexical retriever and a store's must agree on what a word is, or
//! a recall would be ordered differently by where it was answered. Both take
//! it from here.

pub mod bm25;
mod stop;
mod words;

pub use stop::is_stop_word;
pub use words::{each_stem, stems, words};
