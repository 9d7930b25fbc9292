//! Tokens and terms of a text, the same for stored text and for queries.

use memory_core::Language;

use crate::compounds::{PLUS_PLUS, SHARP, for_each_compound};
use crate::fold::{
    CharClass, MAX_TOKEN_BYTES, class, fold, fold_kana, fold_sequences, normalize, push,
};
use crate::forms::{Forms, Word};
use crate::unspaced;

/// The tokens of a text, in order: runs of letters and digits, in lower case
/// and without accents; a token per character in scripts without spaces. The "won" of
/// "won't" is none: it is not the past of "win".
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
///   [language](Language) also its stem in that, and its stem in the `language` that
///   the caller knows the text to have. A question in a language that was not
///   recognized still finds the first.
/// - Of Greek, Cyrillic, Arabic and Tamil letters, the stem of a language that is
///   written in them; of Hebrew and Korean, the word, and the word without its
///   particles.
/// - Of scripts without spaces, the words of a dictionary, and every two adjacent
///   ideographs; of Chinese stop words, nothing.
///
/// English stop words are left out, except that those that negate ("not", "no", the
/// "n't" of "didn't") are the term `not`, and that in a text of another language those
/// that have a topic there are terms (`been`, Dutch for "leg"). A text of other stop
/// words alone has no terms: they occur in most memories, so searching for them would
/// scan everything and say nothing. The negations of other languages are terms like
/// other words.
#[must_use]
pub fn stems(text: &str, language: Option<Language>) -> Vec<String> {
    let mut stems = Vec::new();
    for_each_stem(text, language, |stem| stems.push(stem.to_owned()));
    stems
}

/// Calls `each` with every one of a text's [`stems`].
pub fn for_each_stem(text: &str, language: Option<Language>, mut each: impl FnMut(&str)) {
    let forms = Forms::of(text, language);
    let text = normalize(text);
    for_each_piece(&text, &forms, |piece| match piece {
        Piece::Word(word) => forms.for_each(word, &mut each),
        Piece::Unspaced(run) => unspaced::for_each_term(run, &mut each),
    });
    for_each_compound(&text, &forms, &mut each);
}

/// Calls `each` with every token of a text: see [`tokenize`].
fn for_each_token(text: &str, mut each: impl FnMut(&str)) {
    let forms = Forms::without_language();
    for_each_piece(&normalize(text), &forms, |piece| match piece {
        Piece::Word(word) if word.is_contraction() => {}
        Piece::Word(word) => each(word.folded),
        Piece::Unspaced(run) => for_each_char(run, &mut each),
    });
}

/// Calls `each` with the tokens of a run of a script without spaces.
pub(crate) fn for_each_char(run: &str, each: &mut impl FnMut(&str)) {
    let mut bytes = [0; 4];
    run.chars()
        .filter(|c| c.is_alphanumeric())
        .for_each(|c| each(fold_kana(c).encode_utf8(&mut bytes)));
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
    let mut next = 0;
    while let Some(c) = text[next..].chars().next() {
        let start = next;
        let class = class(c);
        if class == CharClass::Unspaced {
            next += c.len_utf8();
            word.end(&mut each);
            run.get_or_insert(start);
            continue;
        }
        if let Some(run) = run.take() {
            each(Piece::Unspaced(&text[run..start]));
        }
        let ascii = text[start..].bytes();
        let ascii = ascii.take_while(u8::is_ascii_alphanumeric).count();
        if ascii > 0 {
            next += ascii;
            word.add_ascii(&text[start..next]);
            continue;
        }
        next += c.len_utf8();
        match class {
            CharClass::Word => word.add(c),
            CharClass::Separator if word.goes_on_after(c, &text[start..]) => {}
            CharClass::Separator => {
                word.add_sign(&text[start..]);
                let is_apostrophe = c == '\'';
                let is_contracted = is_apostrophe && !word.folded.is_empty();
                if is_contracted {
                    word.joined_letter = first_letter(&text[start + c.len_utf8()..]);
                }
                word.end(&mut each);
                word.follows_apostrophe = is_apostrophe;
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

/// The letter that a text begins with, in lower case.
fn first_letter(text: &str) -> Option<char> {
    let first = text.chars().next().filter(|c| c.is_alphabetic())?;
    first.to_lowercase().next()
}

/// A word that is being read; see [`Word`].
struct WordBuilder {
    folded: String,
    /// Empty while it is the same as the other.
    spelled: String,
    follows_apostrophe: bool,
    is_contracted: bool,
    joined_letter: Option<char>,
    has_small_letter: bool,
    has_dotless_i: bool,
}

impl WordBuilder {
    fn new(has_dotless_i: bool) -> Self {
        Self {
            folded: String::new(),
            spelled: String::new(),
            follows_apostrophe: false,
            is_contracted: false,
            joined_letter: None,
            has_small_letter: false,
            has_dotless_i,
        }
    }

    /// Adds ASCII letters and digits: as [`add`](Self::add) of each, in a fraction of the
    /// time.
    fn add_ascii(&mut self, run: &str) {
        if self.has_dotless_i || !self.spelled.is_empty() {
            run.chars().for_each(|c| self.add(c));
            return;
        }
        self.has_small_letter |= run.bytes().any(|byte| !byte.is_ascii_uppercase());
        let length = self.folded.len();
        let room = MAX_TOKEN_BYTES.saturating_sub(length);
        self.folded.push_str(&run[..run.len().min(room)]);
        self.folded[length..].make_ascii_lowercase();
    }

    fn add(&mut self, c: char) {
        let is_dotless_i = self.has_dotless_i && c == 'I';
        self.has_small_letter |= !c.is_ascii_uppercase();
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

    /// Whether a separator, which `rest` begins with, is a letter of the word: the Hebrew
    /// geresh and gershayim (`צה"ל`) and the Ukrainian apostrophe (`п'ять`).
    fn goes_on_after(&self, separator: char, rest: &str) -> bool {
        if !matches!(separator, '\'' | '`' | '"') {
            return false;
        }
        let (before, after) = (self.folded.chars().next_back(), rest[1..].chars().next());
        match (before, after) {
            (Some('\u{5d0}'..='\u{5ea}'), Some('\u{5d0}'..='\u{5ea}')) => true,
            (Some('\u{400}'..='\u{52f}'), Some('\u{400}'..='\u{52f}')) => separator != '"',
            _ => false,
        }
    }

    /// Adds what makes another name of a single letter: `C#` and `C++` are not C.
    fn add_sign(&mut self, rest: &str) {
        if !(self.folded.len() == 1 && rest.starts_with(['#', '+'])) {
            return;
        }
        // Digits are a version, as in `C++17`.
        let is_other_name = |c: char| class(c) == CharClass::Word && !c.is_ascii_digit();
        let ends_there = |rest: &str| !rest.starts_with(is_other_name);
        if rest.strip_prefix('#').is_some_and(ends_there) {
            self.folded.push_str(SHARP);
        } else if rest.strip_prefix("++").is_some_and(ends_there) {
            self.folded.push_str(PLUS_PLUS);
        }
    }

    fn end(&mut self, each: &mut impl FnMut(Piece<'_>)) {
        // A mark alone may fold to nothing.
        if !self.folded.is_empty() {
            fold_sequences(&mut self.folded);
            let (folded, spelled) = (&*self.folded, &*self.spelled);
            let spelled = if spelled.is_empty() { folded } else { spelled };
            let is_in_capitals = !self.has_small_letter
                && folded.len() > 1
                && !self.follows_apostrophe
                && self.joined_letter.is_none();
            each(Piece::Word(Word {
                folded,
                spelled,
                follows_apostrophe: self.follows_apostrophe,
                is_contracted: self.is_contracted,
                joined_letter: self.joined_letter,
                is_in_capitals,
            }));
        }
        self.folded.clear();
        self.spelled.clear();
        self.follows_apostrophe = false;
        self.is_contracted = false;
        self.joined_letter = None;
        self.has_small_letter = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stems(text: &str) -> Vec<String> {
        super::stems(text, None)
    }

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
            ["istanbul", "ubergab", "uebergab", "fish"]
        );
    }

    #[test]
    fn punctuation_separates_tokens_and_numbers_are_tokens() {
        assert_eq!(
            stems("Ticket INC-90312, re: Tam's horses!"),
            [
                "ticket",
                "inc",
                "90312",
                "tam",
                "hors",
                "inc·90312",
                "inc90312"
            ]
        );
        assert!(stems(" …!? \u{301}\u{200b}").is_empty());
        assert_eq!(stems("🐎!"), ["🐎"]);
    }

    #[test]
    fn scripts_without_spaces_have_a_token_per_character() {
        assert_eq!(tokenize("猫の記憶"), ["猫", "の", "記", "憶"]);
        assert_eq!(tokenize("แม่"), ["แ", "ม"]);
        assert_eq!(tokenize("한국어 기억"), ["한국어", "기억"]);
        // Vowel signs and viramas belong to their word.
        assert_eq!(stems("पुल"), ["पुल"]);
    }

    #[test]
    fn stop_words_are_not_indexed() {
        assert_eq!(
            stems("What did Tam say about the mill?"),
            ["tam", "say", "mill"]
        );
        assert!(stems("who is it?").is_empty() && stems("WHO IS IT?").is_empty());
        assert_eq!(
            stems("Who works in IT? NOT Tam"),
            ["work", "it", "not", "tam"]
        );
    }

    #[test]
    fn parts_of_contractions_are_words_where_they_stand_alone() {
        for (text, expected) in [
            ("Who won?", vec!["won"]),
            ("I won't say", vec!["not", "say"]),
            ("She WON’T say", vec!["not", "say"]),
            ("Don's mill, don't", vec!["don", "mill", "not"]),
            ("Let's say", vec!["say"]),
            ("Tam let the mill", vec!["tam", "let", "mill"]),
            ("What do I own?", vec!["own"]),
            (
                "Vitamin D, size M, model T",
                vec!["vitamin", "d", "size", "m", "model", "t"],
            ),
            ("I'm sure she'd say 's", vec!["sure", "say"]),
            ("We haven't; the haven", vec!["not", "haven"]),
            ("She'll, they've, you're", vec![]),
        ] {
            assert_eq!(stems(text), expected, "{text}");
        }
        assert_eq!(tokenize("I don't ask Don."), ["i", "t", "ask", "don"]);
    }

    #[test]
    fn stop_words_with_a_topic_in_the_language_of_a_text_are_terms() {
        for (text, topic) in [
            ("Ik heb mijn been gebroken.", "been"),
            ("Il a marqué un but dans le match.", "but"),
            ("Dün bir at gördüm ve çok sevindim.", "at"),
            ("Jeg spiser is og har en have.", "is"),
            ("Mi hermano tiene once gatos y un perro.", "onc"),
        ] {
            assert!(
                stems(text).contains(&topic.to_owned()),
                "{text} {:?}",
                stems(text)
            );
        }
        assert_eq!(
            stems("I have been at the mill, but not once"),
            ["mill", "not"]
        );
        assert_eq!(super::stems("been", Some(Language::Dutch)), ["been", "ben"]);
        assert!(super::stems("been", Some(Language::German)).is_empty());
    }

    #[test]
    fn a_given_language_adds_stems() {
        let german = Some(Language::German);
        assert_eq!(stems("Katzen"), ["katzen"]);
        assert_eq!(super::stems("Katzen", german), ["katzen", "katz"]);
        // In a text that is recognized as another language, its stems as well.
        let dutch = "Waar zijn mijn katten en honden?";
        let both = super::stems(dutch, german);
        assert_ne!(both, stems(dutch));
        for stem in stems(dutch) {
            assert!(both.contains(&stem), "{stem} {both:?}");
        }
        assert_eq!(super::stems("IŞIKLARI", Some(Language::Turkish)).len(), 2);
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

    proptest! {
        #[test]
        fn ascii_is_added_at_once_as_it_is_letter_by_letter(
            parts in prop::collection::vec("[a-zA-Z0-9]{1,80}|[éßİı]", 0..6),
            has_dotless_i in any::<bool>(),
        ) {
            let (mut at_once, mut one_by_one) =
                (WordBuilder::new(has_dotless_i), WordBuilder::new(has_dotless_i));
            for part in &parts {
                if part.is_ascii() {
                    at_once.add_ascii(part);
                } else {
                    part.chars().for_each(|c| at_once.add(c));
                }
                part.chars().for_each(|c| one_by_one.add(c));
            }
            let word = |word: &WordBuilder| {
                (word.folded.clone(), word.spelled.clone(), word.has_small_letter)
            };
            prop_assert_eq!(word(&at_once), word(&one_by_one));
        }
    }
}
