//! The forms of a word under which it is indexed and searched for.

use memory_core::Language;
use rust_stemmers::{Algorithm, Stemmer};

use crate::fold::{fold, normalize, push};
use crate::korean::{is_hangul, without_particle};
use crate::language::{algorithm, detect_language};
use crate::stop_words::{has_topic_in, is_contracted_letter, is_contraction, is_stop_word};

/// A word of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word<'a> {
    /// Without case and accents.
    pub(crate) folded: &'a str,
    /// In lower case, with its accents, which stemmers need.
    pub(crate) spelled: &'a str,
    /// Whether there is an apostrophe before it.
    pub(crate) follows_apostrophe: bool,
    /// Whether an apostrophe joins it to the word before it.
    pub(crate) is_contracted: bool,
    /// The letter, in lower case, that an apostrophe joins to it.
    pub(crate) joined_letter: Option<char>,
}

/// The term of the stop words that negate: "not", "no", "nor", "cannot" and the "n't" of
/// "didn't", which is `didn` and `t`. A Spanish or Italian "no" is the same.
const NEGATION: &str = "not";

impl Word<'_> {
    /// Whether it is a word without a topic in English. An accent makes it another word:
    /// "an" is one, and "ăn" is "to eat" in Vietnamese.
    pub(crate) fn is_stop_word(&self) -> bool {
        self.folded.len() == self.spelled.len() && self.folds_to_stop_word()
    }

    /// Whether it is a stop word but for accents and a dotless i. Such a word is not
    /// stemmed in pairs, which do not depend on the language.
    pub(crate) fn folds_to_stop_word(&self) -> bool {
        is_stop_word(self.folded)
            || self.follows_apostrophe && is_contracted_letter(self.folded)
            || self.is_contraction()
    }

    /// Whether it is the first part of a contraction, and a word of its own elsewhere.
    pub(crate) fn is_contraction(&self) -> bool {
        let joined = self.joined_letter;
        joined.is_some_and(|letter| is_contraction(self.folded, letter))
    }

    /// Whether a [stop word](Self::is_stop_word) negates: it has no topic, but the text
    /// says the opposite without it.
    pub(crate) fn is_negation(&self) -> bool {
        match self.folded {
            "not" | "no" | "nor" | "cannot" => true,
            "t" => self.is_contracted,
            _ => false,
        }
    }
}

/// Makes the forms of words of one text.
pub(crate) struct Forms {
    english: Stemmer,
    /// The languages of the text, each with its stemmer, unless that is English.
    others: [Option<(Language, Stemmer)>; 2],
    has_dotless_i: bool,
}

impl Forms {
    /// The forms of a text in the language that is detected, and in one that is `given`:
    /// it adds forms and removes none, so that a text is found at least as without it.
    pub(crate) fn of(text: &str, given: Option<Language>) -> Self {
        Self::in_languages(detect_language(&normalize(text)), given)
    }

    /// Those that do not depend on the language.
    pub(crate) fn without_language() -> Self {
        Self::in_languages(None, None)
    }

    fn in_languages(detected: Option<Language>, given: Option<Language>) -> Self {
        let stemmer = |language: Language| {
            let algorithm = algorithm(language).filter(|_| language != Language::English)?;
            Some((language, Stemmer::create(algorithm)))
        };
        let given_too = given.filter(|given| detected != Some(*given));
        Self {
            english: Stemmer::create(Algorithm::English),
            others: [detected.and_then(stemmer), given_too.and_then(stemmer)],
            // As without a given language where one is detected.
            has_dotless_i: detected.or(given) == Some(Language::Turkish),
        }
    }

    /// Whether a word of ASCII letters has its English stem only.
    pub(crate) fn are_english(&self) -> bool {
        self.others.iter().all(Option::is_none)
    }

    /// Whether I and i are letters of their own.
    pub(crate) fn has_dotless_i(&self) -> bool {
        self.has_dotless_i
    }

    /// Whether a word has no topic in any language of the text.
    fn is_stop_word(&self, word: Word<'_>) -> bool {
        let mut others = self.others.iter().flatten();
        word.is_stop_word() && !others.any(|(language, _)| has_topic_in(*language, word.folded))
    }

    /// The form that does not depend on the language of the text: of Latin letters the
    /// English stem, of other scripts the stem of a language that they are used for.
    pub(crate) fn with_base<R>(&self, word: Word<'_>, use_base: impl FnOnce(&str) -> R) -> R {
        match word.folded.chars().next().map_or(Script::Other, script) {
            Script::Latin => use_base(&self.english.stem(word.folded)),
            Script::Stemmed(algorithm) => use_base(&Stemmer::create(algorithm).stem(word.folded)),
            Script::Hebrew | Script::Hangul | Script::Other => use_base(word.folded),
        }
    }

    /// Calls `each` with every form of a word, the base first; with none of a stop word
    /// unless it negates.
    pub(crate) fn for_each(&self, word: Word<'_>, mut each: impl FnMut(&str)) {
        if self.is_stop_word(word) {
            if word.is_negation() {
                each(NEGATION);
            }
            return;
        }
        self.with_base(word, |base| {
            each(base);
            match word.folded.chars().next().map_or(Script::Other, script) {
                Script::Latin => {
                    let mut known = String::new();
                    for (_, stemmer) in self.others.iter().flatten() {
                        let stem = fold_stem(&stemmer.stem(word.spelled));
                        if stem != base && stem != known && !stem.is_empty() {
                            each(&stem);
                            known = stem;
                        }
                    }
                }
                Script::Hangul => without_particle(word.folded).take(1).for_each(each),
                Script::Hebrew => without_prefixes(word.folded, each),
                Script::Stemmed(_) | Script::Other => {}
            }
        });
    }
}

fn fold_stem(stem: &str) -> String {
    let mut folded = String::with_capacity(stem.len());
    for c in stem.chars() {
        if c.is_ascii() {
            push(&mut folded, c);
        } else {
            fold(c, |c| push(&mut folded, c));
        }
    }
    folded
}

/// What decides how a word is stemmed.
enum Script {
    Latin,
    Stemmed(Algorithm),
    Hebrew,
    Hangul,
    Other,
}

fn script(first: char) -> Script {
    match first {
        'a'..='z' | '0'..='9' | '\u{df}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Script::Latin,
        '\u{370}'..='\u{3ff}' => Script::Stemmed(Algorithm::Greek),
        '\u{400}'..='\u{52f}' => Script::Stemmed(Algorithm::Russian),
        '\u{5d0}'..='\u{5ea}' => Script::Hebrew,
        '\u{620}'..='\u{6ff}' => Script::Stemmed(Algorithm::Arabic),
        '\u{b80}'..='\u{bff}' => Script::Stemmed(Algorithm::Tamil),
        _ if is_hangul(first) => Script::Hangul,
        _ => Script::Other,
    }
}

/// Calls `each` with a Hebrew word without the one or two particles that it may begin
/// with (and, the, in, to, from, as, that), where at least three letters are left.
pub(crate) fn without_prefixes<'a>(word: &'a str, mut each: impl FnMut(&'a str)) {
    let mut rest = word;
    for _ in 0..2 {
        let mut chars = rest.chars();
        if !matches!(chars.next(), Some('ו' | 'ה' | 'ב' | 'ל' | 'מ' | 'כ' | 'ש')) {
            return;
        }
        rest = chars.as_str();
        if rest.chars().count() < 3 {
            return;
        }
        each(rest);
    }
}
