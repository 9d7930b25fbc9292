//! The maximum length of a model's input.

use std::path::Path;

use memory_core::{MemoryError, MemoryResult};
use serde::Deserialize;

use super::config::Config;
use super::{read_json, read_json_or_default};
use crate::error;
use crate::options::{MaxTokens, ModelOptions};

/// The minimum: chunks need space for a few words, special tokens, a prompt and an
/// overlap.
const MIN_LENGTH: usize = 16;

/// The limits of a model's input.
#[derive(Debug)]
pub(super) struct InputLength {
    /// The maximum of tokens, special tokens included.
    pub(super) max_tokens: usize,
    /// Whether text is lowercased before tokenization.
    pub(super) lower_case: bool,
}

/// `sentence_bert_config.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    do_lower_case: bool,
}

/// `tokenizer_config.json`. Some models have a float: 1e30 means "no limit".
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
}

/// Reads the maximum length: the model's, or else the tokenizer's, at most the
/// number of positions, and less if the options ask for it.
pub(super) fn read(
    folder: &Path,
    config: &Config,
    options: &ModelOptions,
) -> MemoryResult<InputLength> {
    let file = folder.join("sentence_bert_config.json");
    let sentence: SentenceConfig = read_json_or_default(&file)?;
    let own = match sentence.max_seq_length {
        Some(tokens) => Some(tokens),
        None => tokenizer_length(&folder.join("tokenizer_config.json"))?,
    };
    let Some(own) = own.into_iter().chain(config.positions()).min() else {
        return Err(error::corrupt(
            &file,
            "the maximum length is unknown: no max_seq_length here, no model_max_length in \
             tokenizer_config.json, no max_position_embeddings in config.json",
        ));
    };
    let tokens = match options.max_sequence {
        None => own,
        Some(MaxTokens(asked)) if asked <= own => asked,
        Some(MaxTokens(asked)) => {
            return Err(MemoryError::configuration(format!(
                "max_sequence is {asked} tokens; it must be from {MIN_LENGTH} to {own} for this model"
            )));
        }
    };
    if tokens < MIN_LENGTH {
        return Err(MemoryError::configuration(format!(
            "the maximum length is {tokens} tokens; it must be at least {MIN_LENGTH}"
        )));
    }
    Ok(InputLength {
        max_tokens: tokens,
        lower_case: sentence.do_lower_case,
    })
}

fn tokenizer_length(file: &Path) -> MemoryResult<Option<usize>> {
    /// Longer than any encoder's maximum length, and exact in both types.
    const UNLIMITED: f64 = 1e9;
    if !file.exists() {
        return Ok(None);
    }
    let config: TokenizerConfig = read_json(file)?;
    let length = config
        .model_max_length
        .filter(|length| (1.0..UNLIMITED).contains(length));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to 1e9"
    )]
    Ok(length.map(|length| length as usize))
}
