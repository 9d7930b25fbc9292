//! Tokenization of a question together with a text, for cross-encoders.

use memory_core::{MemoryError, MemoryResult};
use tokenizers::{Encoding, PostProcessor, TruncationDirection};

use crate::error;
use crate::model_dir::CrossEncoderDir;
use crate::tokenizer::{
    ModelTokenizer, TOKENIZER_FAILED, TokenizerFile, Tokens, head, prepend_lowercase,
};

/// The operation named by errors of scoring pairs.
pub(crate) const SCORE: &str = "score";

/// A cross-encoder's tokenizer with its maximum length.
///
/// A pair longer than that loses the end of its text. The question is kept, unless
/// it alone is longer than half: then it loses its end, so that some text remains.
#[derive(Debug)]
pub struct PairTokenizer {
    inner: ModelTokenizer,
    max_length: usize,
    /// The tokens available for question and text together.
    max_content_tokens: usize,
}

/// A question's tokens, to be paired with texts.
#[derive(Debug, Clone)]
pub struct QuestionTokens(Encoding);

impl PairTokenizer {
    /// Loads a cross-encoder's tokenizer. The truncation and padding of its file
    /// are ignored.
    ///
    /// # Errors
    /// `Corrupt`, naming the file; `Configuration` if special tokens leave too few
    /// for question and text.
    pub fn new(model: &CrossEncoderDir) -> MemoryResult<Self> {
        /// Space for some words of each.
        const MIN_CONTENT_TOKENS: usize = 8;
        let file = &model.tokenizer_file();
        let corrupt = |error: tokenizers::Error| error::corrupt(file, error);
        let file_content = TokenizerFile::read(&model.tokenizer).map_err(corrupt)?;
        let mut inner = file_content.tokenizer;
        if model.lower_case {
            prepend_lowercase(&mut inner).map_err(corrupt)?;
        }
        inner.with_padding(None);
        inner.with_truncation(None).map_err(corrupt)?;
        let max_length = model.max_tokens;
        let processor = inner.get_post_processor();
        let special = processor.map_or(0, |processor| processor.added_tokens(true));
        let max_content_tokens = max_length.saturating_sub(special);
        if max_content_tokens < MIN_CONTENT_TOKENS {
            return Err(MemoryError::configuration(format!(
                "{}: special tokens take {special} of the maximum of {max_length} tokens; at \
                 least {MIN_CONTENT_TOKENS} must remain for question and text",
                file.display()
            )));
        }
        Ok(Self {
            inner,
            max_length,
            max_content_tokens,
        })
    }

    /// The tokens of a question.
    ///
    /// # Errors
    /// [`MemoryError::Embedder`] if the tokenizer fails on it.
    pub fn question(&self, question: &str) -> MemoryResult<QuestionTokens> {
        let limit = self.max_content_tokens.div_ceil(2);
        self.truncated(question, limit).map(QuestionTokens)
    }

    /// The tokens of a question with a text, special tokens included, at most the
    /// maximum length.
    ///
    /// # Errors
    /// As [`question`](Self::question), and if there is no token of either.
    pub fn pair(&self, question: &QuestionTokens, text: &str) -> MemoryResult<Tokens> {
        let QuestionTokens(question) = question;
        let available = self.max_content_tokens - question.len().min(self.max_content_tokens);
        let mut text = self.truncated(text, available)?;
        // Where no template sets them.
        text.set_type_ids(vec![1; text.len()]);
        let pair = self.inner.post_process(question.clone(), Some(text), true);
        let pair = pair.map_err(|_| error::failed(SCORE, TOKENIZER_FAILED))?;
        Tokens::new(&pair, SCORE)
    }

    /// A text's first tokens, without special ones.
    fn truncated(&self, text: &str, limit: usize) -> MemoryResult<Encoding> {
        let encode = |text: &str| {
            let encoding = self.inner.encode_fast(text, false);
            encoding.map_err(|_| error::failed(SCORE, TOKENIZER_FAILED))
        };
        let text = head(text, self.max_length, |start| Ok(encode(start)?.len()))?;
        let mut encoding = encode(text)?;
        encoding.truncate(limit, 0, TruncationDirection::Right);
        Ok(encoding)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{MaxTokens, ModelOptions};

    /// A cross-encoder's directory with the default model's tokenizer.
    fn tokenizer(max_tokens: usize) -> PairTokenizer {
        let default = ModelOptions::default().resolve_model_dir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"model_type":"bert","max_position_embeddings":512}"#;
        fs::write(folder.path().join("config.json"), config).unwrap();
        fs::copy(
            default.join("tokenizer.json"),
            folder.path().join("tokenizer.json"),
        )
        .unwrap();
        let options = ModelOptions {
            max_sequence: Some(MaxTokens(max_tokens)),
            ..ModelOptions::default()
        };
        let model = CrossEncoderDir::read(folder.path(), &options).unwrap();
        PairTokenizer::new(&model).unwrap()
    }

    fn pair(tokenizer: &PairTokenizer, question: &str, text: &str) -> Tokens {
        let question = tokenizer.question(question).unwrap();
        tokenizer.pair(&question, text).unwrap()
    }

    const CLS: u32 = 101;
    const SEP: u32 = 102;

    /// The number of tokens of question and text in a pair.
    fn lengths(tokens: &Tokens) -> (usize, usize) {
        assert_eq!(tokens.ids[0], CLS);
        let separators: Vec<usize> = (0..tokens.len())
            .filter(|index| tokens.ids[*index] == SEP)
            .collect();
        let [first, second] = separators[..] else {
            panic!("{separators:?}");
        };
        assert_eq!(second, tokens.len() - 1);
        (first - 1, second - first - 1)
    }

    #[test]
    fn a_pair_has_both_segments_between_special_tokens() {
        let tokens = pair(&tokenizer(512), "who owns", "the mill");
        assert_eq!(lengths(&tokens), (2, 2));
        assert_eq!(*tokens.type_ids, [0, 0, 0, 0, 1, 1, 1]);
        // The library's own encoding of a pair.
        let tokenizer = tokenizer(512);
        let own = tokenizer.inner.encode(("who owns", "the mill"), true);
        assert_eq!(own.unwrap().get_ids(), &*tokens.ids);
        assert_eq!(lengths(&pair(&tokenizer, "", "")), (0, 0));
    }

    #[test]
    fn a_long_text_is_truncated_and_the_question_is_kept() {
        let tokenizer = tokenizer(64);
        let long = "mill ".repeat(20_000);
        let tokens = pair(&tokenizer, "who owns the mill by the river", &long);
        assert_eq!((tokens.len(), lengths(&tokens)), (64, (7, 54)));
    }

    #[test]
    fn a_question_longer_than_half_leaves_space_for_text() {
        let tokenizer = tokenizer(64);
        let long = "river ".repeat(20_000);
        let tokens = pair(&tokenizer, &long, &long);
        assert_eq!((tokens.len(), lengths(&tokens)), (64, (31, 30)));
        assert_eq!(lengths(&pair(&tokenizer, &long, "the mill")), (31, 2));
    }
}
