//! Tokenization, truncated to the model's maximum length and never padded.

mod file;
mod model;

use std::collections::HashSet;
use std::path::Path;

use memory_core::{EmbedRole, MemoryResult};
use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::{Encoding, PostProcessor, TruncationParams};

use crate::error::{self, CHUNK, EMBED};
use crate::model_dir::{ModelDir, Prompts};
pub(crate) use file::TokenizerFile;
pub(crate) use model::ModelTokenizer;
use model::TextModel;

/// The bytes of text that are tokenized first, per token of the maximum length.
/// English has about 4.5 bytes per token, so this is almost always enough, and
/// the rest of a long text is never tokenized.
const BYTES_PER_TOKEN: usize = 8;

/// The message of a tokenizer failure, without the tokenizer's own message, which
/// may quote the text.
pub(crate) const TOKENIZER_FAILED: &str = "the tokenizer failed on a text";
const NO_TOKEN: &str = "the tokenizer makes no token of a text: the model has no special tokens, \
                        and all characters of the text are removed; add a word to the text";

/// The tokens of one text, special tokens included: the input of the model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tokens {
    /// Their indices in the vocabulary.
    pub ids: Box<[u32]>,
    /// Their segment indices.
    pub type_ids: Box<[u32]>,
}

impl Tokens {
    /// Of a tokenized text; `operation` is named by the error if there are none, which no
    /// model can read.
    pub(crate) fn new(encoding: &Encoding, operation: &'static str) -> MemoryResult<Self> {
        if encoding.is_empty() {
            return Err(error::failed(operation, NO_TOKEN));
        }
        Ok(Self {
            ids: encoding.get_ids().into(),
            type_ids: encoding.get_type_ids().into(),
        })
    }

    /// The number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none, which a [`Tokenizer`] never returns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A model's tokenizer with its maximum length and its prompts.
#[derive(Debug)]
pub struct Tokenizer {
    inner: ModelTokenizer,
    prompts: Prompts,
    max_length: usize,
    /// The tokens available for a text of either role.
    max_content_tokens: usize,
    /// Whether a text never has more tokens than bytes.
    has_at_most_one_token_per_byte: bool,
    /// The tokens that stand for characters outside the vocabulary.
    unknown: HashSet<u32>,
    /// The token of a space alone.
    space: Option<u32>,
}

impl Tokenizer {
    /// Loads a model's tokenizer.
    ///
    /// The truncation and padding of its file are ignored: the default model's
    /// file truncates and pads to 128 tokens, but the model reads 256, and
    /// padding costs as much time as text.
    ///
    /// # Errors
    /// `Corrupt`, naming the file; `Configuration` if special tokens and prompts
    /// leave too few tokens for text.
    pub fn new(model: &ModelDir) -> MemoryResult<Self> {
        let file = &model.tokenizer_file();
        let corrupt = |error: tokenizers::Error| error::corrupt(file, error);
        let TokenizerFile {
            tokenizer: mut inner,
            unknown,
            space,
        } = TokenizerFile::read(&model.tokenizer).map_err(corrupt)?;
        if model.lower_case {
            prepend_lowercase(&mut inner).map_err(corrupt)?;
        }
        let max_length = model.max_tokens;
        let truncation = TruncationParams {
            max_length,
            ..TruncationParams::default()
        };
        inner.with_padding(None);
        inner.with_truncation(Some(truncation)).map_err(corrupt)?;
        let mut tokenizer = Self {
            has_at_most_one_token_per_byte: has_at_most_one_token_per_byte(&inner),
            inner,
            prompts: model.prompts.clone(),
            max_length,
            max_content_tokens: 0,
            unknown,
            space,
        };
        tokenizer.max_content_tokens = tokenizer.count_content_tokens(file)?;
        Ok(tokenizer)
    }

    /// The tokens of a text in a role, truncated to the maximum length.
    ///
    /// # Errors
    /// [`MemoryError::Embedder`](memory_core::MemoryError::Embedder) if the
    /// tokenizer fails on the text, or makes no token of it.
    pub fn encode(&self, text: &str, role: EmbedRole) -> MemoryResult<Tokens> {
        let prompt = self.prompts.of(role);
        let count = |start: &str| Ok(self.encode_bare(start)?.len());
        // White space at the end is a token for some tokenizers, and for none of the
        // models: sentence-transformers removes it.
        let text = head(text.trim_end(), self.max_length, count)?;
        let encoding = if prompt.is_empty() {
            self.inner.encode_fast(text, true)
        } else {
            let text = format!("{prompt}{text}");
            self.inner.encode_fast(text.trim_end(), true)
        };
        let encoding = encoding.map_err(|_| error::failed(EMBED, TOKENIZER_FAILED))?;
        Tokens::new(&encoding, EMBED)
    }

    /// The tokens available for a text: the maximum length minus the special
    /// tokens and the longer of the two prompts.
    #[must_use]
    pub const fn max_content_tokens(&self) -> usize {
        self.max_content_tokens
    }

    /// Whether a text is known to fit by its length alone, without tokenizing it.
    #[must_use]
    pub fn fits_by_len(&self, text: &str) -> bool {
        self.has_at_most_one_token_per_byte && text.len() <= self.max_content_tokens
    }

    /// The byte ranges of a piece's tokens in the order of the text, at most as
    /// many as the maximum length, without special tokens and prompts.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn offsets(&self, piece: &str) -> MemoryResult<Vec<(usize, usize)>> {
        Ok(self.encode_bare(piece)?.get_offsets().to_vec())
    }

    /// The share of a text's tokens that the vocabulary does not contain, 0 to 1,
    /// among about as many as the maximum length; 0 if the tokenizer fails. Spaces do
    /// not count, and each byte of a character that a model reads byte by byte counts
    /// as unknown.
    #[must_use]
    pub fn unknown_token_share(&self, text: &str) -> f32 {
        if self.unknown.is_empty() {
            return 0.0;
        }
        let head = text.floor_char_boundary(self.max_length.saturating_mul(BYTES_PER_TOKEN));
        let Ok(encoding) = self.inner.encode_fast(&text[..head], false) else {
            return 0.0;
        };
        let (mut unknown, mut all) = (0_u16, 0_u16);
        for id in encoding.get_ids() {
            if Some(*id) != self.space {
                all = all.saturating_add(1);
                unknown = unknown.saturating_add(u16::from(self.unknown.contains(id)));
            }
        }
        f32::from(unknown) / f32::from(all.max(1))
    }

    /// A piece's tokens without special tokens, truncated to the maximum length.
    fn encode_bare(&self, piece: &str) -> MemoryResult<Encoding> {
        let encoding = self.inner.encode(piece, false);
        encoding.map_err(|_| error::failed(CHUNK, TOKENIZER_FAILED))
    }

    fn count_content_tokens(&self, file: &Path) -> MemoryResult<usize> {
        /// A chunk needs space for a few words and an overlap.
        const MIN_CONTENT_TOKENS: usize = 8;
        let processor = self.inner.get_post_processor();
        let special = processor.map_or(0, |processor| processor.added_tokens(false));
        let mut prompt = 0;
        for role in [EmbedRole::Query, EmbedRole::Passage] {
            prompt = prompt.max(self.encode_bare(self.prompts.of(role))?.len());
        }
        let available = self.max_length.saturating_sub(special + prompt);
        if available < MIN_CONTENT_TOKENS {
            return Err(memory_core::MemoryError::configuration(format!(
                "{}: special tokens and the prompt take {} of the maximum of {} tokens; at least \
                 {MIN_CONTENT_TOKENS} must remain for text; shorten the prompt or raise max_sequence",
                file.display(),
                special + prompt,
                self.max_length
            )));
        }
        Ok(available)
    }
}

/// The prefix of a long text that determines its first `max_length` tokens.
///
/// The tokenizer processes the whole input before it truncates, so it is given
/// only a prefix that ends between words and has enough tokens, which
/// `count_tokens` counts. Tokens do not extend across white space, so these are
/// the tokens of the whole text.
pub(crate) fn head(
    text: &str,
    max_length: usize,
    count_tokens: impl Fn(&str) -> MemoryResult<usize>,
) -> MemoryResult<&str> {
    let mut length = max_length * BYTES_PER_TOKEN;
    while length < text.len() {
        let start = &text[..text.floor_char_boundary(length)];
        let start = start
            .rfind(char::is_whitespace)
            .map_or(start, |end| &start[..end]);
        if count_tokens(start)? >= max_length {
            return Ok(start);
        }
        length *= 2;
    }
    Ok(text)
}

/// Prepends a normalizer that lowercases text, as `do_lower_case` requires.
pub(crate) fn prepend_lowercase(tokenizer: &mut ModelTokenizer) -> Result<(), tokenizers::Error> {
    let own = tokenizer.get_normalizer().cloned();
    let steps = [Some(Lowercase.into()), own]
        .into_iter()
        .flatten()
        .collect();
    tokenizer.with_normalizer(Some(Sequence::new(steps)))?;
    Ok(())
}

/// Whether a text never has more tokens than bytes.
///
/// This holds for WordPiece: each token represents at least one character of the
/// normalized text that is not white space, and BERT's normalizer maps no
/// character to more such characters than it has bytes (a test checks all
/// assigned characters). It is not assumed of other tokenizers.
fn has_at_most_one_token_per_byte(tokenizer: &ModelTokenizer) -> bool {
    let is_bert_normalizer = match tokenizer.get_normalizer() {
        None | Some(NormalizerWrapper::BertNormalizer(_)) => true,
        Some(_) => false,
    };
    let is_word_piece = match tokenizer.get_model() {
        TextModel::Library(model) => matches!(**model, ModelWrapper::WordPiece(_)),
        TextModel::Unigram(_) => false,
    };
    is_bert_normalizer && is_word_piece
}

#[cfg(test)]
mod tests;
