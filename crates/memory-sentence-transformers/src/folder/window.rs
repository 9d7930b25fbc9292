//! How much of a text a model reads.

use std::path::Path;

use memory_core::{MemoryError, MemoryResult};
use serde::Deserialize;

use super::config::Config;
use super::{read_json, read_json_if_there};
use crate::error;
use crate::options::{FolderOptions, MaxTokens};

/// The shortest window that can be worked with: chunks must hold a few words
/// beside special tokens and a prefix, and overlap.
const MIN_WINDOW: usize = 16;

/// What a model reads of a text.
#[derive(Debug)]
pub(super) struct Window {
    /// Most tokens, special ones included.
    pub(super) tokens: usize,
    /// Whether text is put in lower case before the tokenizer sees it.
    pub(super) lower_case: bool,
}

/// `sentence_bert_config.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    do_lower_case: bool,
}

/// `tokenizer_config.json`. The length is a float in some models: 1e30 stands
/// for "no limit".
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
}

/// Reads the window: the model's own length, or else the tokenizer's; never
/// more than the model has positions for, and less if the options say so.
pub(super) fn read(
    folder: &Path,
    config: &Config,
    options: &FolderOptions,
) -> MemoryResult<Window> {
    let file = folder.join("sentence_bert_config.json");
    let sentence: SentenceConfig = read_json_if_there(&file)?;
    let own = match sentence.max_seq_length {
        Some(tokens) => Some(tokens),
        None => tokenizer_length(&folder.join("tokenizer_config.json"))?,
    };
    let Some(own) = own.into_iter().chain(config.positions()).min() else {
        return Err(error::corrupt(
            &file,
            "no file of the model tells its max_seq_length",
        ));
    };
    let tokens = match options.max_sequence {
        None => own,
        Some(MaxTokens(asked)) if asked <= own => asked,
        Some(MaxTokens(asked)) => {
            return Err(MemoryError::configuration(format!(
                "max_sequence is {asked} tokens; the model reads at most {own}"
            )));
        }
    };
    if tokens < MIN_WINDOW {
        return Err(MemoryError::configuration(format!(
            "the window is {tokens} tokens; it must be at least {MIN_WINDOW}"
        )));
    }
    Ok(Window {
        tokens,
        lower_case: sentence.do_lower_case,
    })
}

fn tokenizer_length(file: &Path) -> MemoryResult<Option<usize>> {
    /// Longer than any encoder's window, and exact in both types.
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
