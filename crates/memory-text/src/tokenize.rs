//! Tokens and terms of a text, the same for stored text and for queries.

use crate::compounds::{PLUS_PLUS, SHARP, for_each_compound};
use crate::fold::{CharClass, class, fold, normalize, push};
use crate::forms::{Forms, Word};
use crate::unspaced;

/// The tokens of a text, in order: runs of letters and digits, in lower case
/// and without accents; a token per character in scripts without spaces.
#[must_use]
pub fn tokenize(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for_each_token(text, |token| tokens.push(token.to_owned()));
    tokens
}

/// The terms of a text that the lexical retriever indexes and searches for, in order;
/// then its compounds, such as `v1.2.3` or `INC-90312`, whole and joined by `·`.
///
/// - Of a word in Latin letters, its English stem; in a text of another
///   [language](crate::Language) also its stem in that. A question in a language that
///   was not recognized still finds the first.
/// - Of Greek, Cyrillic, Arabic and Tamil letters, the stem of a language that is
///   written in them; of Hebrew and Korean, the word, and the word without its
///   particles.
/// - Of scripts without spaces, the words of a dictionary, and every two adjacent
///   ideographs; of Chinese stop words, nothing.
///
/// English stop words are left out, except that those that negate ("not", "no", the
/// "n't" of "didn't") are the term `not`. A text of other stop words alone has no terms:
/// they occur in most memories, so searching for them would scan everything and say
/// nothing. The negations of other languages are terms like other words.
#[must_use]
pub fn stems(text: &str) -> Vec<String> {
    let mut stems = Vec::new();
    for_each_stem(text, |stem| stems.push(stem.to_owned()));
    stems
}

/// Calls `each` with every one of a text's [`stems`].
pub fn for_each_stem(text: &str, mut each: impl FnMut(&str)) {
    let forms = Forms::of(text);
    let text = normalize(text);
    for_each_piece(&text, &forms, |piece| match piece {
        Piece::Word(word) => forms.for_each(word, &mut each),
        Piece::Unspaced(run) => unspaced::for_each_term(run, &mut each),
    });
    for_each_compound(&text, &mut each);
}

/// Calls `each` with every token of a text: see [`tokenize`].
pub(crate) fn for_each_token(text: &str, mut each: impl FnMut(&str)) {
    let forms = Forms::in_language(None);
    for_each_piece(&normalize(text), &forms, |piece| match piece {
        Piece::Word(word) => each(word.folded),
        Piece::Unspaced(run) => for_each_char(run, &mut each),
    });
}

/// Calls `each` with the tokens of a run of a script without spaces.
pub(crate) fn for_each_char(run: &str, each: &mut impl FnMut(&str)) {
    let mut bytes = [0; 4];
    run.chars()
        .filter(|c| c.is_alphanumeric())
        .for_each(|c| each(c.encode_utf8(&mut bytes)));
}

/// A part of a text.
pub(crate) enum Piece<'a> {
    Word(Word<'a>),
    /// A run of characters of scripts without spaces.
    Unspaced(&'a str),
}

/// Calls `each` with every piece of a [normalized](normalize) text, in order.
pub(crate) fn for_each_piece(text: &str, forms: &Forms, mut each: impl FnMut(Piece<'_>)) {
    let mut word = WordBuilder::new(forms.has_dotless_i());
    let mut run: Option<usize> = None;
    for (start, c) in text.char_indices() {
        let class = class(c);
        if class == CharClass::Unspaced {
            word.end(&mut each);
            run.get_or_insert(start);
            continue;
        }
        if let Some(run) = run.take() {
            each(Piece::Unspaced(&text[run..start]));
        }
        match class {
            CharClass::Word => word.add(c),
            CharClass::Separator => {
                word.add_sign(&text[start..]);
                let is_contracted = !word.folded.is_empty() && matches!(c, '\'' | '’');
                word.end(&mut each);
                word.is_contracted = is_contracted;
            }
            CharClass::Unspaced | CharClass::Ignored => {}
        }
    }
    if let Some(run) = run {
        each(Piece::Unspaced(&text[run..]));
    }
    word.end(&mut each);
}

/// A word that is being read.
struct WordBuilder {
    folded: String,
    /// Empty while it is the same as the other.
    spelled: String,
    /// See [`Word::is_contracted`].
    is_contracted: bool,
    has_dotless_i: bool,
}

impl WordBuilder {
    fn new(has_dotless_i: bool) -> Self {
        Self {
            folded: String::new(),
            spelled: String::new(),
            is_contracted: false,
            has_dotless_i,
        }
    }

    fn add(&mut self, c: char) {
        let is_dotless_i = self.has_dotless_i && c == 'I';
        if c.is_ascii() && !is_dotless_i {
            let c = c.to_ascii_lowercase();
            push(&mut self.folded, c);
            if !self.spelled.is_empty() {
                push(&mut self.spelled, c);
            }
            return;
        }
        if self.spelled.is_empty() {
            self.spelled.push_str(&self.folded);
        }
        match c {
            'I' if is_dotless_i => push(&mut self.spelled, 'ı'),
            'İ' => push(&mut self.spelled, 'i'),
            _ => c.to_lowercase().for_each(|c| push(&mut self.spelled, c)),
        }
        fold(c, |c| push(&mut self.folded, c));
    }

    /// Adds what makes another name of a single letter: `C#` and `C++` are not C.
    fn add_sign(&mut self, rest: &str) {
        if !(self.folded.len() == 1 && rest.starts_with(['#', '+'])) {
            return;
        }
        let ends_there = |rest: &str| !rest.starts_with(|c| class(c) != CharClass::Separator);
        if rest.strip_prefix('#').is_some_and(ends_there) {
            self.folded.push_str(SHARP);
        } else if rest.strip_prefix("++").is_some_and(ends_there) {
            self.folded.push_str(PLUS_PLUS);
        }
    }

    fn end(&mut self, each: &mut impl FnMut(Piece<'_>)) {
        // A mark alone may fold to nothing.
        if !self.folded.is_empty() {
            let (folded, spelled) = (&*self.folded, &*self.spelled);
            let spelled = if spelled.is_empty() { folded } else { spelled };
            let is_contracted = self.is_contracted;
            each(Piece::Word(Word {
                folded,
                spelled,
                is_contracted,
            }));
        }
        self.folded.clear();
        self.spelled.clear();
        self.is_contracted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::MAX_TOKEN_BYTES;

    #[test]
    fn case_accents_and_width_are_for_each_token() {
        // French or Italian as far as one can see, so their stems may follow.
        for text in [
            "the NAÏVE café",
            "the nai\u{308}ve cafe\u{301}",
            "the ｎａｉｖｅ cafe",
        ] {
            assert_eq!(stems(text), ["naiv", "cafe"], "{text}");
        }
        assert_eq!(
            stems("İstanbul Übergabe ﬁsh"),
            ["istanbul", "ubergab", "fish"]
        );
    }

    #[test]
    fn punctuation_separates_tokens_and_numbers_are_tokens() {
        assert_eq!(
            stems("Ticket INC-90312, re: Tam's horses!"),
            ["ticket", "inc", "90312", "tam", "hors", "inc·90312"]
        );
        assert!(stems(" …!? 🐎 \u{301}\u{200b}").is_empty());
    }

    #[test]
    fn scripts_without_spaces_have_a_token_per_character() {
        assert_eq!(tokenize("猫の記憶"), ["猫", "の", "記", "憶"]);
        assert_eq!(tokenize("แม่"), ["แ", "ม"]);
        assert_eq!(tokenize("한국어 기억"), ["한국어", "기억"]);
        // Vowel signs and viramas belong to their word.
        assert_eq!(stems("हिन्दी"), ["हिन्दी"]);
    }

    #[test]
    fn stop_words_are_not_indexed() {
        assert_eq!(
            stems("What did Tam say about the mill?"),
            ["tam", "say", "mill"]
        );
        assert!(stems("who is it?").is_empty());
    }

    #[test]
    fn negations_are_terms() {
        for text in [
            "Mira is not allergic",
            "Mira isn't allergic",
            "MIRA ISN’T ALLERGIC",
            "Mira cannot be allergic",
            "Mira no es allergic",
        ] {
            let stems = stems(text);
            assert!(stems.contains(&"not".to_owned()), "{text} {stems:?}");
        }
        for text in ["a t-shirt", "model T", "in 't begin", "she'll", "Tam's"] {
            let stems = stems(text);
            assert!(!stems.contains(&"not".to_owned()), "{text} {stems:?}");
        }
        for (text, negation) in [
            ("Ich esse kein Fleisch.", "kein"),
            ("Das ist nicht mein Hund.", "nicht"),
            ("Je ne mange pas de viande.", "pas"),
            ("Non mangio la carne.", "non"),
            ("Jag äter inte kött.", "int"),
            ("Я не ем мясо.", "не"),
            ("我不吃鱼", "不"),
            ("他没来上班", "没"),
            ("나는 안 먹어", "안"),
        ] {
            let stems = stems(text);
            let is_kept = stems.iter().any(|stem| stem.contains(negation));
            assert!(is_kept, "{text} {stems:?}");
        }
    }

    #[test]
    fn long_tokens_are_truncated() {
        let long = stems(&"x".repeat(10_000));
        assert_eq!(long.len(), 1);
        assert_eq!(long[0].len(), MAX_TOKEN_BYTES);
    }
}
