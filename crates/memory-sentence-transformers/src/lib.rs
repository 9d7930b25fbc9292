//! What a sentence-transformers folder says, and what every embedder does with
//! a text before it computes.
//!
//! Two embedders of one model must agree on its window, its prompts, its
//! tokens and where a long text is cut, or their vectors could not be compared
//! at all. They take all of it from here; what is left to them is arithmetic.
//!
//! * [`Folder`]: the folder as it is on disk, checked, with options applied;
//!   the digest of all that decides a vector. [`Config`], [`pooling_file`] and
//!   [`read_json`] read single files of a folder that is not whole yet, or that
//!   hold more than is asked for here.
//! * [`Tokenizer`]: text to tokens, cut to the window, never padded.
//! * [`chunk`]: cuts a text beyond the window into chunks.
//! * [`BatchLimits`], [`plan`]: batches that waste little on padding.
//! * [`Distinct`]: equal texts of a call are computed once.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod batch;
mod chunk;
mod distinct;
pub mod error;
mod folder;
mod options;
mod tokenize;

pub use batch::{BatchLimits, plan};
pub use chunk::chunk;
pub use distinct::Distinct;
pub use folder::{Config, Folder, Pooling, Prompts, Recipe, pooling_file, read_json};
pub use options::{FolderOptions, MaxTokens};
pub use tokenize::{Tokenizer, Tokens};
