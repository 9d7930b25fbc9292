//! Text to token ids, cut to the model's window and never padded.

use std::path::Path;

use memory_core::{EmbedRole, MemoryResult};
use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::{Encoding, PostProcessor, TruncationParams};

use crate::error::{self, CHUNK, EMBED};
use crate::folder::{Folder, Prompts};

/// Bytes of text that are looked at first for each token of the window.
/// English takes about 4.5 bytes a token, so a window nearly always fills up
/// within this, and the rest of a long text is never tokenized.
const BYTES_PER_TOKEN: usize = 8;

/// The tokens of one text, special ones included: what the graph reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tokens {
    /// Their numbers in the vocabulary.
    pub ids: Box<[u32]>,
    /// Their segments.
    pub type_ids: Box<[u32]>,
}

impl Tokens {
    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none; a tokenizer with special tokens gives some even
    /// for an empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A model's tokenizer with its window and its prompts.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    prompts: Prompts,
    window: usize,
    /// Tokens that are left for a text in either role.
    room: usize,
    /// Whether a text never has more tokens than bytes.
    bounded_by_bytes: bool,
}

impl Tokenizer {
    /// Reads a model's tokenizer.
    ///
    /// What its file says of truncation and padding is set aside: the default
    /// model's says to cut at 128 tokens and to pad to 128, though the model
    /// reads 256 and padding costs as much as text.
    ///
    /// # Errors
    /// `Corrupt`, naming the file; `Configuration` when special tokens and
    /// prompts leave too little of the window.
    pub fn new(folder: &Folder) -> MemoryResult<Self> {
        let file = &folder.tokenizer_file();
        let corrupt = |error: tokenizers::Error| error::corrupt(file, error);
        let mut inner = tokenizers::Tokenizer::from_bytes(&folder.tokenizer).map_err(corrupt)?;
        if folder.lower_case {
            lower_case_first(&mut inner).map_err(corrupt)?;
        }
        let window = folder.max_tokens;
        let truncation = TruncationParams {
            max_length: window,
            ..TruncationParams::default()
        };
        inner.with_padding(None);
        inner.with_truncation(Some(truncation)).map_err(corrupt)?;
        let mut tokenizer = Self {
            bounded_by_bytes: bounded_by_bytes(&inner),
            inner,
            prompts: folder.prompts.clone(),
            window,
            room: 0,
        };
        tokenizer.room = tokenizer.measure_room(file)?;
        Ok(tokenizer)
    }

    /// The tokens of a text in a role, cut to the window.
    ///
    /// # Errors
    /// [`MemoryError::Embedder`](memory_core::MemoryError::Embedder) when the
    /// tokenizer cannot read the text.
    pub fn encode(&self, text: &str, role: EmbedRole) -> MemoryResult<Tokens> {
        let prompt = self.prompts.of(role);
        let text = self.head(text)?;
        let encoding = if prompt.is_empty() {
            self.inner.encode_fast(text, true)
        } else {
            self.inner.encode_fast(format!("{prompt}{text}"), true)
        };
        // The tokenizer's own words might quote the text.
        let encoding =
            encoding.map_err(|_| error::failed(EMBED, "the tokenizer could not read a text"))?;
        Ok(Tokens {
            ids: encoding.get_ids().into(),
            type_ids: encoding.get_type_ids().into(),
        })
    }

    /// Tokens that are left for a text beside special ones and the longer
    /// prompt.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.room
    }

    /// Whether a text surely fits the window, by its length alone: no work.
    #[must_use]
    pub fn surely_fits(&self, text: &str) -> bool {
        self.bounded_by_bytes && text.len() <= self.room
    }

    /// The byte ranges of a piece's tokens, of at most a window's worth, in
    /// the order of the text. Special tokens and prompts are not among them.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn offsets(&self, piece: &str) -> MemoryResult<Vec<(usize, usize)>> {
        Ok(self.bare(piece)?.get_offsets().to_vec())
    }

    /// The part of a long text that decides its tokens.
    ///
    /// The tokenizer reads all of what it is given before it cuts, so it is
    /// given no more than needed: a start that ends between words and fills
    /// the window by itself. Words do not reach over white space, so the
    /// window's tokens are those of the whole text.
    fn head<'a>(&self, text: &'a str) -> MemoryResult<&'a str> {
        let mut length = self.window * BYTES_PER_TOKEN;
        while length < text.len() {
            let start = &text[..text.floor_char_boundary(length)];
            let start = start
                .rfind(char::is_whitespace)
                .map_or(start, |end| &start[..end]);
            if self.bare(start)?.len() >= self.window {
                return Ok(start);
            }
            length *= 2;
        }
        Ok(text)
    }

    /// A piece's own tokens, at most a window's worth.
    fn bare(&self, piece: &str) -> MemoryResult<Encoding> {
        let encoding = self.inner.encode(piece, false);
        encoding.map_err(|_| error::failed(CHUNK, "the tokenizer could not read a text"))
    }

    fn measure_room(&self, file: &Path) -> MemoryResult<usize> {
        /// Chunks must be able to hold a few words, and to overlap.
        const MIN_ROOM: usize = 8;
        let processor = self.inner.get_post_processor();
        let special = processor.map_or(0, |processor| processor.added_tokens(false));
        let mut prompt = 0;
        for role in [EmbedRole::Query, EmbedRole::Passage] {
            prompt = prompt.max(self.bare(self.prompts.of(role))?.len());
        }
        let room = self.window.saturating_sub(special + prompt);
        if room < MIN_ROOM {
            return Err(memory_core::MemoryError::configuration(format!(
                "{}: special tokens and the prompt take {} of the window's {} tokens; at least \
                 {MIN_ROOM} must be left for text",
                file.display(),
                special + prompt,
                self.window
            )));
        }
        Ok(room)
    }
}

/// Puts text in lower case before all else, as `do_lower_case` asks.
fn lower_case_first(tokenizer: &mut tokenizers::Tokenizer) -> Result<(), tokenizers::Error> {
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
/// So it is for WordPiece: each of its tokens stands for at least one
/// character of the normalized text that is not white space, and BERT's
/// normalizer turns no character into more such characters than it has bytes
/// (a test asks it about every character there is). Of other tokenizers it is
/// not known here.
fn bounded_by_bytes(tokenizer: &tokenizers::Tokenizer) -> bool {
    let bert_alone = match tokenizer.get_normalizer() {
        None | Some(NormalizerWrapper::BertNormalizer(_)) => true,
        Some(_) => false,
    };
    bert_alone && matches!(tokenizer.get_model(), ModelWrapper::WordPiece(_))
}

#[cfg(test)]
mod tests;
