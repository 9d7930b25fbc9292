//! Tokens of a text that may contain dates: words, numbers and marks, with
//! their positions.

use std::borrow::Cow;
use std::ops::Range;

use super::words::{Language, Word};

/// A token and where it is.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// In bytes of the text.
    pub(super) span: Range<usize>,
    /// Whether it directly follows the token before, without a space.
    pub(super) is_glued: bool,
    /// Whether it begins with a capital letter.
    pub(super) is_capitalized: bool,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A run of letters.
    Word(Word),
    /// A run of digits with its value.
    Number { value: u32, digits: usize },
    /// A character that is neither, nor a space.
    Mark(char),
}

/// Maximum number of digits of a number whose value matters: a year has four.
const MAX_DIGITS: usize = 8;

/// Maximum number of bytes of a word that a table can list, in any case.
const MAX_WORD_BYTES: usize = 32;

/// The tokens of a text, words looked up in a language's table.
pub(super) fn tokenize(text: &str, language: &Language) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut is_glued = false;
    while let Some(c) = rest.chars().next() {
        let start = text.len() - rest.len();
        if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
            is_glued = false;
            continue;
        }
        let is_part: fn(char) -> bool = if c.is_ascii_digit() {
            |c| c.is_ascii_digit()
        } else {
            char::is_alphabetic
        };
        let length = match rest.find(|c| !is_part(c)) {
            Some(0) => c.len_utf8(),
            Some(length) => length,
            None => rest.len(),
        };
        let run = &rest[..length];
        let kind = if c.is_ascii_digit() {
            number(run)
        } else if is_part(c) {
            TokenKind::Word(look_up(run, language))
        } else {
            TokenKind::Mark(c)
        };
        tokens.push(Token {
            kind,
            span: start..start + length,
            is_glued,
            is_capitalized: c.is_uppercase(),
        });
        rest = &rest[length..];
        is_glued = true;
    }
    tokens
}

fn number(run: &str) -> TokenKind {
    let digits = run.len();
    let value = if digits <= MAX_DIGITS {
        run.parse().unwrap_or(u32::MAX)
    } else {
        u32::MAX
    };
    TokenKind::Number { value, digits }
}

fn look_up(run: &str, language: &Language) -> Word {
    if run.len() > MAX_WORD_BYTES {
        return Word::Other;
    }
    let is_lowercase = run.bytes().all(|b| b.is_ascii_lowercase());
    let word = if is_lowercase {
        Cow::Borrowed(run)
    } else {
        Cow::Owned(run.to_lowercase())
    };
    language.word(&word)
}
