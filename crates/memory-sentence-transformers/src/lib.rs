//! Reading of sentence-transformers model directories, and the text processing
//! that every embedder of such a model needs.
//!
//! Two embedders of one model must agree on its maximum length, its prompts, its
//! tokens and the chunks of a long text, or their vectors cannot be compared.
//! They all use this crate and add only the computation.
//!
//! * [`ModelDir`]: the model directory, validated, with options applied, and the
//!   fingerprint of everything that determines a vector. [`Config`],
//!   [`pooling_file`] and [`read_json`] read single files of a directory that is
//!   incomplete, or further fields.
//! * [`Tokenizer`]: text to tokens, truncated to the maximum length, never padded.
//! * [`CrossEncoderDir`], [`PairTokenizer`]: the same for models that score a
//!   question with a text.
//! * [`chunk`]: splits a text beyond the maximum length into chunks.
//! * [`BatchLimits`], [`plan_batches`]: batches with little padding.
//! * [`Dedup`]: computes equal texts of a call once.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod batch;
mod chunk;
mod dedup;
pub mod error;
mod model_dir;
mod options;
mod pair_tokenizer;
mod tokenizer;

pub use batch::{BatchLimits, plan_batches};
pub use chunk::chunk;
pub use dedup::Dedup;
pub use model_dir::{
    Config, CrossEncoderDir, FingerprintInput, ModelDir, Pooling, Prompts, ScoreActivation,
    pooling_file, read_json,
};
pub use options::{MaxTokens, ModelOptions};
pub use pair_tokenizer::{PairTokenizer, QuestionTokens};
pub use tokenizer::{Tokenizer, Tokens};
