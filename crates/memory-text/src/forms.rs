//! The forms of a word under which it is indexed and searched for.

use memory_core::Language;
use rust_stemmers::Algorithm;

use crate::fold::{fold, fold_sequences, normalize, push};
use crate::korean::{is_hangul, verb_stem, without_ending, without_particle};
use crate::language::{algorithm, detect_language};
use crate::light_stems::{self, without_arabic_prefix};
use crate::stemmer::Stemmer;
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
    /// Whether it has two capitals or more, and nothing else.
    pub(crate) is_in_capitals: bool,
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
    /// The detected and the given one.
    languages: [Option<Language>; 2],
    english: Stemmer,
    /// The languages of the text, each with its stemmer, unless that is English.
    others: [Option<(Language, Stemmer)>; 2],
    has_dotless_i: bool,
    /// Whether it has small letters, so that "IT" is not "it".
    has_small_letters: bool,
    /// Whether ä may be written ae, and ø oe.
    has_transcriptions: bool,
}

impl Forms {
    /// The forms of a text in the language that is detected, and in one that is `given`:
    /// it adds forms and removes none, so that a text is found at least as without it.
    pub(crate) fn of(text: &str, given: Option<Language>) -> Self {
        let text = normalize(text);
        let forms = Self::in_languages(detect_language(&text), given);
        Self {
            has_small_letters: text.contains(|c: char| c.is_ascii_lowercase()),
            ..forms
        }
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
        let transcribes = |language: Language| {
            use Language::{Danish, English, German, Norwegian};
            matches!(language, Danish | English | German | Norwegian)
        };
        let given_too = given.filter(|given| detected != Some(*given));
        Self {
            languages: [detected, given],
            english: Stemmer::create(Algorithm::English),
            others: [detected.and_then(stemmer), given_too.and_then(stemmer)],
            // As without a given language where one is detected.
            has_dotless_i: detected.or(given) == Some(Language::Turkish),
            has_small_letters: false,
            has_transcriptions: detected.is_none_or(transcribes) || given.is_some_and(transcribes),
        }
    }

    /// The language that was detected, and the one that was given.
    pub(crate) fn languages(&self) -> [Option<Language>; 2] {
        self.languages
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
        word.is_stop_word()
            && (word.is_negation() || !(word.is_in_capitals && self.has_small_letters))
            && !others.any(|(language, _)| has_topic_in(*language, word.folded))
    }

    /// The form that does not depend on the language of the text: of Latin letters the
    /// English stem, of other scripts the stem of a language that they are used for.
    pub(crate) fn with_base<R>(&self, word: Word<'_>, use_base: impl FnOnce(&str) -> R) -> R {
        match word.folded.chars().next().map_or(Script::Other, script) {
            Script::Latin => use_base(&self.english.stem(word.folded)),
            Script::Stemmed(algorithm) => use_base(&Stemmer::create(algorithm).stem(word.folded)),
            Script::Arabic => use_base(light_stems::arabic(word.folded)),
            Script::Devanagari => use_base(light_stems::hindi(word.folded)),
            Script::Hebrew | Script::Hangul | Script::Ethiopic | Script::Other => {
                use_base(word.folded)
            }
        }
    }

    /// Calls `each` with the [base](Self::with_base) of a word that is not folded yet,
    /// unless it is a stop word.
    pub(crate) fn with_base_of(&self, word: &str, each: impl FnOnce(&str)) {
        let mut folded = fold_word(word);
        fold_sequences(&mut folded);
        let is_word = !folded.is_empty() && !is_stop_word(&folded);
        if is_word {
            let word = Word {
                folded: &folded,
                spelled: &folded,
                follows_apostrophe: false,
                is_contracted: false,
                joined_letter: None,
                is_in_capitals: false,
            };
            self.with_base(word, each);
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
                        let stem = fold_word(&stemmer.stem(word.spelled));
                        if stem != base && stem != known && !stem.is_empty() {
                            each(&stem);
                            known = stem;
                        }
                    }
                    if let Some(word) = self.transcribe(word.spelled) {
                        let stem = self.english.stem(&word);
                        if stem != base && stem != known {
                            each(&stem);
                        }
                    }
                }
                Script::Hangul => {
                    if let Some(verb) = verb_stem(word.folded) {
                        each(verb);
                        return;
                    }
                    let noun = without_particle(word.folded).next();
                    noun.into_iter().for_each(&mut each);
                    without_ending(noun.unwrap_or(word.folded))
                        .take(1)
                        .for_each(each);
                }
                Script::Hebrew => {
                    without_prefixes(word.folded, &mut each);
                    let mut noun = word.folded;
                    without_prefixes(noun, |rest| noun = rest);
                    light_stems::without_hebrew_plural(word.folded, &mut each);
                    if noun.len() < word.folded.len() {
                        light_stems::without_hebrew_plural(noun, each);
                    }
                }
                Script::Ethiopic => without_ethiopic_prefix(word.folded, each),
                Script::Arabic => without_arabic_prefix(word.folded, |rest| {
                    let stem = light_stems::arabic(rest);
                    if stem != base {
                        each(stem);
                    }
                }),
                Script::Devanagari => light_stems::without_postposition(word.folded, |stem| {
                    if stem != base {
                        each(stem);
                    }
                }),
                Script::Stemmed(_) => {}
                Script::Other => light_stems::without_ending(word.folded, each),
            }
        });
    }

    /// A word with ä, ö, ü, å and ø as they are written where a keyboard lacks them, if it
    /// has any: `Müller` is `mueller` as well.
    fn transcribe(&self, spelled: &str) -> Option<String> {
        if !self.has_transcriptions || !spelled.contains(['ä', 'ö', 'ü', 'å', 'ø']) {
            return None;
        }
        let mut word = String::with_capacity(spelled.len());
        for c in spelled.chars() {
            let letters = match c {
                'ä' => "ae",
                'ö' | 'ø' => "oe",
                'ü' => "ue",
                'å' => "aa",
                _ => {
                    fold(c, |c| push(&mut word, c));
                    continue;
                }
            };
            letters.chars().for_each(|c| push(&mut word, c));
        }
        Some(word)
    }
}

fn fold_word(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    for c in word.chars() {
        if c.is_ascii() {
            push(&mut folded, c.to_ascii_lowercase());
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
    Arabic,
    Devanagari,
    Hebrew,
    Hangul,
    Ethiopic,
    Other,
}

fn script(first: char) -> Script {
    match first {
        'a'..='z' | '0'..='9' | '\u{df}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Script::Latin,
        '\u{370}'..='\u{3ff}' => Script::Stemmed(Algorithm::Greek),
        '\u{400}'..='\u{52f}' => Script::Stemmed(Algorithm::Russian),
        '\u{5d0}'..='\u{5ea}' => Script::Hebrew,
        '\u{620}'..='\u{6ff}' => Script::Arabic,
        '\u{900}'..='\u{97f}' => Script::Devanagari,
        '\u{b80}'..='\u{bff}' => Script::Stemmed(Algorithm::Tamil),
        '\u{1200}'..='\u{137f}' => Script::Ethiopic,
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

/// Calls `each` with an Amharic or Tigrinya word without the particle that it may begin
/// with (in, for, of, from), where at least two letters are left.
pub(crate) fn without_ethiopic_prefix<'a>(word: &'a str, mut each: impl FnMut(&'a str)) {
    let rest = word.strip_prefix(['በ', 'ለ', 'የ', 'ከ']);
    if let Some(rest) = rest.filter(|rest| rest.chars().nth(1).is_some()) {
        each(rest);
    }
}
