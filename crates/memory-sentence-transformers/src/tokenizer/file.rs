//! Reading of `tokenizer.json`, such that control tokens in a text stay text.
//!
//! A text that contains `[MASK]` or `</s>` must not give the model its control
//! tokens: they have vectors and positions that no text has. The library finds them
//! in texts unless it is told not to. A Unigram model also has them in its
//! vocabulary, where they would match as pieces, so they are renamed there to what no
//! text becomes.

use std::collections::HashSet;

use serde::Deserialize;
use tokenizers::models::ModelWrapper;
use tokenizers::{
    AddedToken, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Result,
};

use super::model::{ModelTokenizer, SortedUnigram, TextModel};

/// The piece of SentencePiece that stands for a space.
const SPACE: &str = "▁";

/// A tokenizer, and which of its tokens are no text of its vocabulary.
#[derive(Debug)]
pub(crate) struct TokenizerFile {
    pub(crate) tokenizer: ModelTokenizer,
    /// The tokens that stand for characters outside the vocabulary.
    pub(crate) unknown: HashSet<u32>,
    /// The token of a space alone, which is before every word that has no piece.
    pub(crate) space: Option<u32>,
}

/// The parts of the file that determine how it is read.
#[derive(Deserialize)]
struct Kind {
    model: ModelKind,
}

#[derive(Deserialize)]
struct ModelKind {
    #[serde(rename = "type")]
    name: Option<String>,
}

/// A file with a Unigram model. Truncation, padding and decoder are not used.
#[derive(Deserialize)]
struct UnigramFile {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    post_processor: Option<PostProcessorWrapper>,
    model: UnigramModel,
}

#[derive(Deserialize)]
struct UnigramModel {
    unk_id: Option<usize>,
    vocab: Vec<(String, f64)>,
    #[serde(default)]
    byte_fallback: bool,
}

/// An entry of `added_tokens`.
#[derive(Deserialize)]
struct Added {
    id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

impl TokenizerFile {
    /// Reads the content of a `tokenizer.json`.
    pub(crate) fn read(content: &[u8]) -> Result<Self> {
        let kind: Kind = serde_json::from_slice(content)?;
        if kind.model.name.as_deref() == Some("Unigram") {
            return Self::of_unigram(serde_json::from_slice(content)?);
        }
        let mut tokenizer = ModelTokenizer::from_bytes(content)?;
        tokenizer.set_encode_special_tokens(true);
        let unknown = match tokenizer.get_model() {
            TextModel::Unigram(_) => Some("<unk>"),
            TextModel::Library(model) => match &**model {
                ModelWrapper::WordPiece(model) => Some(model.unk_token.as_str()),
                ModelWrapper::WordLevel(model) => Some(model.unk_token.as_str()),
                ModelWrapper::BPE(model) => model.unk_token.as_deref(),
                ModelWrapper::Unigram(_) => Some("<unk>"),
            },
        };
        let unknown = unknown.and_then(|token| tokenizer.token_to_id(token));
        Ok(Self {
            unknown: unknown.into_iter().collect(),
            space: None,
            tokenizer,
        })
    }

    fn of_unigram(file: UnigramFile) -> Result<Self> {
        let UnigramModel {
            unk_id,
            mut vocab,
            byte_fallback,
        } = file.model;
        let mut unknown: HashSet<u32> = HashSet::new();
        if let Some(id) = unk_id {
            unknown.insert(u32::try_from(id)?);
        }
        let (control, words): (Vec<_>, Vec<_>) = file
            .added_tokens
            .into_iter()
            .partition(|added| added.token.special);
        for id in control.iter().map(|added| added.id).chain(unknown.clone()) {
            if let Some((piece, _)) = vocab.get_mut(usize::try_from(id)?) {
                // The model reads no spaces: the pre-tokenizer has replaced them.
                piece.insert(0, ' ');
            }
        }
        let mut space = None;
        for (id, (piece, _)) in (0..).zip(&vocab) {
            if byte_fallback && is_byte(piece) {
                unknown.insert(id);
            }
            if piece == SPACE {
                space = Some(id);
            }
        }
        let model = SortedUnigram::new(&vocab, unk_id, byte_fallback)?;
        let mut tokenizer = ModelTokenizer::new(TextModel::Unigram(model));
        tokenizer.with_normalizer(file.normalizer)?;
        tokenizer.with_pre_tokenizer(file.pre_tokenizer);
        tokenizer.with_post_processor(file.post_processor);
        // The special ones are in no text, and the post-processor has their ids.
        for added in words {
            let content = added.token.content.clone();
            tokenizer.add_tokens([added.token])?;
            if tokenizer.token_to_id(&content) != Some(added.id) {
                let id = added.id;
                return Err(format!("the id {id} of an added token is not the next one").into());
            }
        }
        Ok(Self {
            tokenizer,
            unknown,
            space,
        })
    }
}

/// Whether a piece stands for one byte: `<0x41>`.
fn is_byte(piece: &str) -> bool {
    let digits = piece
        .strip_prefix("<0x")
        .and_then(|it| it.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}
