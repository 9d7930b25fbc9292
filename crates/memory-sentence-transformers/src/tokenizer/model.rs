//! The model of a tokenizer: the library's, except for Unigram.
//!
//! The library has a Unigram vocabulary as a tree with a hash map for each byte of
//! each piece: the 250,000 pieces of XLM-RoBERTa take some 0.4 GB and seconds to build.
//! Here they are sorted texts in one allocation, of some 10 MB.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use tokenizers::models::unigram::UnigramTrainer;
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::{
    DecoderWrapper, Model, NormalizerWrapper, PostProcessorWrapper, PreTokenizedString,
    PreTokenizerWrapper, Result, Token, TokenizerImpl, TruncationDirection,
};

/// A tokenizer of the library with such a model.
pub(crate) type ModelTokenizer = TokenizerImpl<
    TextModel,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// The model of a tokenizer.
#[derive(Debug, Clone)]
pub(crate) enum TextModel {
    Library(Box<ModelWrapper>),
    Unigram(SortedUnigram),
}

impl<'de> Deserialize<'de> for TextModel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Ok(Self::Library(Box::deserialize(deserializer)?))
    }
}

impl Model for TextModel {
    type Trainer = TrainerWrapper;

    fn tokenize(&self, sequence: &str) -> Result<Vec<Token>> {
        match self {
            Self::Library(model) => model.tokenize(sequence),
            Self::Unigram(model) => model.tokenize(sequence),
        }
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        match self {
            Self::Library(model) => model.token_to_id(token),
            Self::Unigram(model) => model.pieces.find(token.as_bytes()),
        }
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        match self {
            Self::Library(model) => model.id_to_token(id),
            Self::Unigram(model) => model.pieces.piece_of(id),
        }
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        match self {
            Self::Library(model) => model.get_vocab(),
            Self::Unigram(model) => {
                let ids = 0..model.scores.len();
                let ids = ids.filter_map(|id| u32::try_from(id).ok());
                ids.filter_map(|id| Some((model.pieces.piece_of(id)?, id)))
                    .collect()
            }
        }
    }

    fn get_vocab_size(&self) -> usize {
        match self {
            Self::Library(model) => model.get_vocab_size(),
            Self::Unigram(model) => model.scores.len(),
        }
    }

    fn save(&self, folder: &Path, prefix: Option<&str>) -> Result<Vec<PathBuf>> {
        match self {
            Self::Library(model) => model.save(folder, prefix),
            Self::Unigram(_) => Err("this tokenizer is only read".into()),
        }
    }

    fn get_trainer(&self) -> TrainerWrapper {
        match self {
            Self::Library(model) => model.get_trainer(),
            Self::Unigram(_) => UnigramTrainer::default().into(),
        }
    }

    fn tokenize_in_pretokenized(
        &self,
        pretokenized: &mut PreTokenizedString,
        truncation: Option<(usize, TruncationDirection)>,
    ) -> Result<()> {
        match (self, truncation) {
            (Self::Library(model), truncation) => {
                model.tokenize_in_pretokenized(pretokenized, truncation)
            }
            (Self::Unigram(model), Some((max_tokens, direction))) => pretokenized
                .tokenize_with_limit(
                    |normalized| model.tokenize(normalized.get()),
                    max_tokens,
                    direction,
                ),
            (Self::Unigram(model), None) => {
                pretokenized.tokenize(|normalized| model.tokenize(normalized.get()))
            }
        }
    }
}

/// A Unigram model: a text is divided into the pieces with the highest sum of scores.
/// Its tokens are those of the library's `Unigram`.
#[derive(Debug, Clone)]
pub(crate) struct SortedUnigram {
    pieces: Pieces,
    /// By id.
    scores: Box<[f64]>,
    /// The score of a character that is no piece.
    unknown_score: f64,
    unknown: Option<u32>,
    byte_fallback: bool,
}

/// The best division of a text up to some byte.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    /// The start of the last piece, and its id.
    last: Option<(usize, u32)>,
}

impl SortedUnigram {
    /// A model with these pieces and scores by id, and the id that stands for characters
    /// which are no pieces.
    pub(crate) fn new(
        vocabulary: &[(String, f64)],
        unknown: Option<usize>,
        byte_fallback: bool,
    ) -> Result<Self> {
        /// What an unknown character costs beyond the least likely piece.
        const UNKNOWN_PENALTY: f64 = 10.0;
        if unknown.is_some_and(|id| id >= vocabulary.len()) {
            return Err("the id of unknown tokens is not in the vocabulary".into());
        }
        let scores: Box<[f64]> = vocabulary.iter().map(|(_, score)| *score).collect();
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        Ok(Self {
            pieces: Pieces::new(vocabulary.iter().map(|(piece, _)| piece.as_str()))?,
            scores,
            unknown_score: least - UNKNOWN_PENALTY,
            unknown: unknown.map(u32::try_from).transpose()?,
            byte_fallback,
        })
    }

    fn tokenize(&self, text: &str) -> Result<Vec<Token>> {
        let mut tokens = Vec::new();
        let mut unknown: Option<(usize, usize)> = None;
        for (start, end, id) in self.divide(text)? {
            // Unknown characters in a row are one token.
            if Some(id) == self.unknown {
                unknown = Some((unknown.map_or(start, |(first, _)| first), end));
                continue;
            }
            if let Some((start, end)) = unknown.take() {
                self.add_unknown(text, start, end, &mut tokens)?;
            }
            tokens.push(Token::new(id, text[start..end].to_owned(), (start, end)));
        }
        if let Some((start, end)) = unknown {
            self.add_unknown(text, start, end, &mut tokens)?;
        }
        Ok(tokens)
    }

    fn add_unknown(
        &self,
        text: &str,
        start: usize,
        end: usize,
        tokens: &mut Vec<Token>,
    ) -> Result<()> {
        let part = &text[start..end];
        let whole = self.pieces.find(part.as_bytes());
        if whole.is_none() && self.byte_fallback {
            let byte_token = |byte: u8| {
                let piece = format!("<0x{byte:02X}>");
                let id = self.pieces.find(piece.as_bytes())?;
                Some(Token::new(id, piece, (start, end)))
            };
            let bytes: Option<Vec<Token>> = part.bytes().map(byte_token).collect();
            if let Some(bytes) = bytes {
                tokens.extend(bytes);
                return Ok(());
            }
        }
        let id = whole.or(self.unknown).ok_or(MISSING_UNKNOWN)?;
        tokens.push(Token::new(id, part.to_owned(), (start, end)));
        Ok(())
    }

    /// The pieces of a text: start, end and id.
    fn divide(&self, text: &str) -> Result<Vec<(usize, usize, u32)>> {
        const NONE: Best = Best {
            score: 0.0,
            last: None,
        };
        let mut best = vec![NONE; text.len() + 1];
        for (start, c) in text.char_indices() {
            let so_far = best[start].score;
            let mut offer = |end: usize, score: f64, id: u32| {
                let score = score + so_far;
                if best[end].last.is_none() || score > best[end].score {
                    best[end] = Best {
                        score,
                        last: Some((start, id)),
                    };
                }
            };
            let next = start + c.len_utf8();
            let mut has_single = false;
            self.pieces
                .for_each_prefix(&text.as_bytes()[start..], |length, id| {
                    offer(start + length, self.scores[id as usize], id);
                    has_single |= start + length == next;
                });
            if !has_single {
                offer(
                    next,
                    self.unknown_score,
                    self.unknown.ok_or(MISSING_UNKNOWN)?,
                );
            }
        }
        let mut pieces = Vec::new();
        let mut end = text.len();
        while let Some((start, id)) = best[end].last {
            pieces.push((start, end, id));
            end = start;
        }
        pieces.reverse();
        Ok(pieces)
    }
}

const MISSING_UNKNOWN: &str = "a character is in no piece, and no token stands for such";

/// Distinct texts in ascending order, each with its id.
#[derive(Debug, Clone)]
struct Pieces {
    /// The texts one after the other.
    text: Box<[u8]>,
    /// The end of each text.
    ends: Box<[u32]>,
    ids: Box<[u32]>,
    /// By id, the index of its text.
    indices: Box<[u32]>,
    /// By first byte, the index of the first text that begins with it or a later one.
    starts: Box<[usize]>,
}

impl Pieces {
    /// Pieces by id. Of equal ones, the last has the text.
    fn new<'a>(pieces: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut sorted: Vec<(&str, u32)> = Vec::new();
        for (index, piece) in pieces.enumerate() {
            sorted.push((piece, u32::try_from(index)?));
        }
        sorted.sort_unstable();
        let (mut text, mut ends, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        let mut indices = vec![0; sorted.len()];
        let mut starts = vec![0; 257];
        let mut previous: Option<&str> = None;
        for (piece, id) in sorted {
            if previous == Some(piece) {
                ids.pop();
            } else {
                text.extend_from_slice(piece.as_bytes());
                ends.push(u32::try_from(text.len())?);
                if let Some(first) = piece.bytes().next() {
                    starts[usize::from(first) + 1] = ends.len();
                }
            }
            ids.push(id);
            indices[id as usize] = u32::try_from(ends.len() - 1)?;
            previous = Some(piece);
        }
        // The empty text is before all others.
        starts[0] = ends.iter().take_while(|end| **end == 0).count();
        for byte in 0..256 {
            starts[byte + 1] = starts[byte + 1].max(starts[byte]);
        }
        Ok(Self {
            text: text.into(),
            ends: ends.into(),
            ids: ids.into(),
            indices: indices.into(),
            starts: starts.into(),
        })
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[index] as usize]
    }

    fn find(&self, piece: &[u8]) -> Option<u32> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).cmp(piece) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(self.ids[middle]),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn piece_of(&self, id: u32) -> Option<String> {
        let index = *self.indices.get(usize::try_from(id).ok()?)?;
        String::from_utf8(self.get(index as usize).to_vec()).ok()
    }

    /// Calls `each` with length and id of every piece that the text begins with, the
    /// shortest first.
    fn for_each_prefix(&self, text: &[u8], mut each: impl FnMut(usize, u32)) {
        let Some(first) = text.first() else {
            return;
        };
        // Those that begin with the bytes so far, which are in a row.
        let first = usize::from(*first);
        let (mut low, mut high) = (self.starts[first], self.starts[first + 1]);
        for length in 1.. {
            if low == high {
                return;
            }
            // The shortest is before the others.
            if self.get(low).len() == length {
                each(length, self.ids[low]);
                low += 1;
            }
            let Some(next) = text.get(length) else {
                return;
            };
            low = self.partition_point(low, high, |piece| piece[length] < *next);
            high = self.partition_point(low, high, |piece| piece[length] == *next);
        }
    }

    /// The first index from `low` on, below `high`, for which `is_before` does not hold.
    fn partition_point(
        &self,
        mut low: usize,
        mut high: usize,
        is_before: impl Fn(&[u8]) -> bool,
    ) -> usize {
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.get(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::models::unigram::Unigram;

    use super::*;

    proptest! {
        #[test]
        fn tokens_are_those_of_the_library(
            pieces in prop::collection::vec(("[a-c▁é水]{1,4}", -9i8..0), 1..40),
            texts in prop::collection::vec("[a-d▁é水車\u{301}]{0,12}", 1..8),
            byte_fallback in any::<bool>(),
        ) {
            let mut vocabulary = vec![("<unk>".to_owned(), 0.0)];
            vocabulary.extend(pieces.into_iter().map(|(piece, score)| (piece, score.into())));
            if byte_fallback {
                let bytes = (0..=255).map(|byte| (format!("<0x{byte:02X}>"), -20.0));
                vocabulary.extend(bytes);
            }
            let sorted = SortedUnigram::new(&vocabulary, Some(0), byte_fallback).unwrap();
            let sorted = TextModel::Unigram(sorted);
            let library = Unigram::from(vocabulary.clone(), Some(0), byte_fallback).unwrap();
            for text in &texts {
                prop_assert_eq!(
                    sorted.tokenize(text).unwrap(),
                    library.tokenize(text).unwrap(),
                    "{}", text
                );
            }
            for (id, (piece, _)) in (0u32..).zip(&vocabulary) {
                prop_assert_eq!(sorted.token_to_id(piece), library.token_to_id(piece));
                prop_assert_eq!(sorted.id_to_token(id), library.id_to_token(id));
            }
            prop_assert_eq!(sorted.get_vocab_size(), library.get_vocab_size());
        }
    }

    #[test]
    fn a_character_without_a_piece_needs_an_unknown_token() {
        let vocabulary = [("a".to_owned(), -1.0), (String::new(), -1.0)];
        let model = SortedUnigram::new(&vocabulary, None, false).unwrap();
        assert_eq!(model.tokenize("aa").unwrap().len(), 2);
        assert!(model.tokenize("").unwrap().is_empty());
        assert!(model.tokenize("ab").is_err());
        assert!(SortedUnigram::new(&vocabulary, Some(2), false).is_err());
    }
}
