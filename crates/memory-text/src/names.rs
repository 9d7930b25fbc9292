//! Names in texts: the tokens of labels, and what a question's tokens may name.

use std::collections::HashSet;

use memory_core::Language;

use crate::forms::{without_ethiopic_prefix, without_prefixes};
use crate::korean::{without_ending, without_particle};
use crate::light_stems::{self, POSTPOSITIONS, without_arabic_prefix};
use crate::stop_words::{has_topic_in, is_stop_word};
use crate::tokenize::tokenize;

/// A token of a question, as far as it may name something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionToken {
    /// As in [`name_tokens`].
    pub text: String,
    /// The names that it may contain apart from itself: `민수가` contains `민수`, `לדוד`
    /// contains `דוד`, and in a Finnish question `Liisalle` contains `Liisa`.
    pub names: Vec<String>,
    /// Whether it may be a name of one token: "will" is none in "what will Tam do?", and
    /// is one in "what did Will do?".
    pub may_be_name: bool,
    /// Whether a hyphen joins it to the token before, as Luc in "Jean-Luc".
    pub is_joined: bool,
}

/// The [`tokenize`]d name of something, a label or a part of a question: its tokens; of
/// Cyrillic and Greek words, which have cases, their stems. So `Анны` names `Анна`.
#[must_use]
pub fn name_tokens(text: &str) -> Vec<String> {
    let mut tokens = tokenize(text);
    for token in &mut tokens {
        if let Some(stem) = stem_of_name(token) {
            *token = stem;
        }
    }
    tokens
}

/// The tokens of a question in any of the [`languages`](crate::QueryTerms::languages) that
/// it may have.
#[must_use]
pub fn question_tokens(text: &str, languages: [Option<Language>; 2]) -> Vec<QuestionToken> {
    let common_names = common_names(text);
    let tokens = tokenize(text);
    let joined = joined_tokens(text, &tokens);
    let tokens = tokens.into_iter().zip(joined).map(|(token, is_joined)| {
        let may_be_name = !is_common_word(&token)
            || common_names.contains(&token)
            || languages
                .iter()
                .flatten()
                .any(|it| has_topic_in(*it, &token));
        let names = names_within(&token, languages);
        QuestionToken {
            text: stem_of_name(&token).unwrap_or(token),
            names,
            may_be_name,
            is_joined,
        }
    });
    tokens.collect()
}

/// Of each of a text's tokens, whether a hyphen joins it to the one before.
fn joined_tokens(text: &str, tokens: &[String]) -> Vec<bool> {
    let is_hyphen = |c| matches!(c, '-' | '\u{2010}' | '\u{2011}');
    let mut joined = vec![false; tokens.len()];
    // Words with hyphens are in the order of their tokens.
    let mut next = 0;
    for word in text.split(|c: char| !c.is_alphanumeric() && !is_hyphen(c)) {
        let word = word.trim_matches(is_hyphen);
        if !word.contains(is_hyphen) {
            continue;
        }
        let parts = tokenize(word);
        let mut starts = next..tokens.len();
        let start = starts.find(|start| tokens[*start..].starts_with(&parts));
        if let Some(start) = start.filter(|_| !parts.is_empty()) {
            next = start + parts.len();
            joined[start + 1..next].fill(true);
        }
    }
    joined
}

/// Whether a label of one token may be a name although it is a stop word: "Can" and "IT",
/// and not "the".
#[must_use]
pub fn is_capitalized(label: &str) -> bool {
    label.trim_start().starts_with(char::is_uppercase)
}

/// Whether a word is mostly no name, although some have it.
fn is_common_word(token: &str) -> bool {
    is_stop_word(token) || matches!(token, "may" | "will")
}

/// The [common words](is_common_word) of a text that are written as names: with a capital
/// that no question begins with, in capitals, or as a possessive. In lower case.
fn common_names(text: &str) -> HashSet<String> {
    let mut names = HashSet::new();
    // In capitals alone they say nothing.
    if !text.contains(char::is_lowercase) {
        return names;
    }
    for sentence in text.split_inclusive(['.', '!', '?', '？', ':', '\n']) {
        let is_question = sentence.ends_with(['?', '？']);
        let (mut rest, mut is_first) = (sentence, true);
        while let Some(start) = rest.find(char::is_alphanumeric) {
            rest = &rest[start..];
            let end = rest.find(|c: char| !c.is_alphanumeric());
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            let is_in_capitals =
                || word.chars().nth(1).is_some() && word.chars().all(char::is_uppercase);
            let is_possessive = || {
                let mut after = after.chars();
                matches!(after.next(), Some('\'' | '’')) && after.next() == Some('s')
            };
            let begins_question = is_question && is_first;
            if word.starts_with(char::is_uppercase)
                && (!begins_question || is_in_capitals() || is_possessive())
            {
                let word = word.to_ascii_lowercase();
                if is_common_word(&word) {
                    names.insert(word);
                }
            }
            is_first = false;
            rest = after;
        }
    }
    names
}

/// A word of a script whose names have cases without the ending of one. Stemmers are for
/// words: theirs makes Пётр of Петров.
fn stem_of_name(token: &str) -> Option<String> {
    match token.chars().next()? {
        '\u{370}'..='\u{3ff}' => {
            // Of men and women: Νίκος, Νίκου and Νίκο; Νίκης and Νίκη.
            const ENDINGS: [(&str, &str); 10] = [
                ("οσ", "ο"),
                ("ου", "ο"),
                ("ον", "ο"),
                ("ασ", "α"),
                ("αν", "α"),
                ("ησ", "η"),
                ("ην", "η"),
                ("εσ", "ε"),
                ("ισ", "ι"),
                ("ε", "ο"),
            ];
            let mut endings = ENDINGS.into_iter();
            endings.find_map(|(ending, vowel)| Some(long_stem(token, ending)?.to_owned() + vowel))
        }
        '\u{400}'..='\u{52f}' => {
            // Russian, Ukrainian and Serbian, the longest first.
            const ENDINGS: [&str; 41] = [
                "ыми", "ими", "ого", "его", "ому", "ему", "ами", "ями", "ові", "еві", "ою", "ею",
                "єю", "ой", "ей", "ий", "ый", "ій", "ая", "яя", "ую", "юю", "ым", "им", "ом", "ем",
                "ам", "ям", "ах", "ях", "а", "я", "ы", "и", "і", "ї", "е", "у", "ю", "о", "ь",
            ];
            let mut endings = ENDINGS.iter();
            let stem = endings.find_map(|ending| long_stem(token, ending))?;
            // Мария and Марии, Сергей and Сергея.
            let shorter = ["и", "е", "і"]
                .iter()
                .find_map(|vowel| long_stem(stem, vowel));
            let shorter = shorter.filter(|stem| stem.chars().nth(2).is_some());
            Some(shorter.unwrap_or(stem).to_owned())
        }
        _ => None,
    }
}

/// What is left of a word without an ending, if that is two letters at least.
fn long_stem<'a>(word: &'a str, ending: &str) -> Option<&'a str> {
    let stem = word.strip_suffix(ending)?;
    stem.chars().nth(1).is_some().then_some(stem)
}

/// Minimum number of characters of a name without its ending.
const MIN_NAME: usize = 3;

/// The names that a token may contain apart from itself. What is found here is compared
/// with names that exist, so that a wrong one costs a lookup.
fn names_within(token: &str, languages: [Option<Language>; 2]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: &str| names.push(name.to_owned());
    let Some(first) = token.chars().next() else {
        return names;
    };
    match first {
        'a'..='z' => languages.into_iter().flatten().for_each(|language| {
            without_case(token, language, &mut add);
        }),
        '\u{ac00}'..='\u{d7a3}' => {
            without_ending(token).for_each(&mut add);
            for name in without_particle(token) {
                add(name);
                without_ending(name).for_each(&mut add);
            }
        }
        '\u{5d0}'..='\u{5ea}' => without_prefixes(token, add),
        '\u{620}'..='\u{6ff}' => without_arabic_prefix(token, add),
        '\u{1200}'..='\u{137f}' => without_ethiopic_prefix(token, add),
        '\u{900}'..='\u{97f}' => without_one_of(token, &POSTPOSITIONS, &mut add),
        _ => without_one_of(token, light_stems::endings(first), &mut add),
    }
    names
}

/// Calls `each` with a name without the endings that it has in a language, in folded
/// letters.
fn without_case(token: &str, language: Language, each: &mut impl FnMut(&str)) {
    let suffixes: &[&str] = match language {
        Language::Danish
        | Language::Dutch
        | Language::German
        | Language::Norwegian
        | Language::Swedish => &["s"],
        Language::Finnish => &[
            "n", "a", "ta", "lla", "lta", "lle", "ssa", "sta", "na", "in", "ia", "illa", "ilta",
            "ille", "issa", "ista", "ko", "kin",
        ],
        Language::Hungarian => &[
            "nak", "nek", "val", "vel", "t", "at", "et", "ot", "ban", "ben", "rol", "tol", "hoz",
            "hez", "nal", "nel", "ra", "re", "ert", "ig", "e", "ek",
        ],
        Language::Turkish => &[
            "nin", "nun", "in", "un", "ya", "ye", "yi", "yu", "a", "e", "i", "u", "da", "de", "ta",
            "te", "dan", "den", "tan", "ten", "la", "le", "yla", "yle",
        ],
        _ => &[],
    };
    without_one_of(token, suffixes, each);
    // "Péterrel": the v of "vel" becomes the consonant before it.
    if language == Language::Hungarian
        && let Some(name) = token.strip_suffix("al").or(token.strip_suffix("el"))
        && let [.., before, last] = name.as_bytes()
        && before == last
        && name.len() > MIN_NAME
    {
        each(&name[..name.len() - 1]);
    }
}

fn without_one_of(token: &str, suffixes: &[&str], each: &mut impl FnMut(&str)) {
    let names = suffixes.iter().filter_map(|it| token.strip_suffix(it));
    names
        .filter(|name| name.chars().nth(MIN_NAME - 1).is_some())
        .for_each(each);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QueryTerms;

    fn question_tokens(text: &str, language: Option<Language>) -> Vec<QuestionToken> {
        super::question_tokens(text, QueryTerms::new(text, language, false).languages())
    }

    fn names(question: &str, language: Option<Language>) -> Vec<String> {
        let tokens = question_tokens(question, language).into_iter();
        let alone = tokens.filter(|token| token.may_be_name);
        alone
            .flat_map(|token| token.names.into_iter().chain([token.text]))
            .collect()
    }

    #[test]
    fn particles_cases_and_prefixes_are_removed() {
        for (question, name) in [
            ("민수가", "민수"),
            ("민수씨는 어디에?", "민수"),
            ("김민수 선생님께서는", "김민수"),
            ("לדוד", "דוד"),
            ("ماذا قال لأحمد؟", "أحمد"),
            ("هل ذهب وأحمد", "أحمد"),
            ("Что сказали Анне?", "Анна"),
            ("Где дом Ивана Петрова?", "Петров"),
            ("Что сказала Петрова?", "Петров"),
            ("Где Сергей и Мария?", "Сергея"),
            ("Что с Марией?", "Мария"),
            ("Де Оксани?", "Оксана"),
            ("Τι είπε ο Γιώργος στη Μαρία;", "Γιώργο"),
            ("Mitä Liisalle tapahtui?", "Liisa"),
            ("Mi van Annának és hol?", "Anna"),
            ("Ki volt Péterrel és hol?", "Péter"),
            ("Wo ist Annas Hund?", "Anna"),
            ("Ayşe'nin kedisi nerede?", "Ayşe"),
            ("Ne oldu Ayşenin için?", "Ayşe"),
            ("რა თქვა გიორგიმ?", "გიორგი"),
            ("ለአበበ", "አበበ"),
            ("Ի՞նչ ասաց Արամը", "Արամ"),
        ] {
            let expected = name_tokens(name).pop().unwrap();
            let found = names(question, None);
            assert!(found.contains(&expected), "{question} {found:?} {expected}");
        }
        for (one, other) in [("Пётр", "Петров"), ("Νίκος", "Νίκη"), ("Иван", "Иванов")]
        {
            assert_ne!(name_tokens(one), name_tokens(other));
        }
        assert!(question_tokens("tam", None)[0].names.is_empty());
        assert!(!names("Annas", None).contains(&"anna".to_owned()));
        assert!(names("Annas", Some(Language::German)).contains(&"anna".to_owned()));
    }

    #[test]
    fn hyphens_join_tokens() {
        for (question, joined) in [
            ("Where is Jean-Luc's horse?", vec!["luc"]),
            ("Jean Luc", vec![]),
            (
                "Jean\u{2011}Luc and Anna-Maria-Luise",
                vec!["luc", "maria", "luise"],
            ),
            ("- a list - of -things-", vec![]),
            ("-", vec![]),
            ("", vec![]),
        ] {
            let tokens = question_tokens(question, None).into_iter();
            let found = tokens.filter(|token| token.is_joined);
            let found: Vec<String> = found.map(|token| token.text).collect();
            assert_eq!(found, joined, "{question}");
        }
    }

    #[test]
    fn common_words_are_names_where_they_are_written_so() {
        for (question, name, expected) in [
            ("What will Tam do?", "will", false),
            ("Will Tam come?", "will", false),
            ("What did Will do?", "will", true),
            ("Will's horse", "will", true),
            ("Where is it? May I ask?", "may", false),
            ("Where does May live?", "may", true),
            ("WHAT WILL TAM DO", "will", false),
            ("What did Can say?", "can", true),
            ("What can Tam do?", "can", false),
            ("Can ne dedi?", "can", true),
            ("Who works in IT?", "it", true),
            ("IT budget", "it", true),
            ("IT: what does it cost?", "it", true),
            ("Will birthday", "will", true),
            ("Tam asked. Will answered.", "will", true),
            ("What did \"Will\" say?", "will", true),
            ("He said: \"Will you come?\"", "will", false),
            ("what did tam say?", "tam", true),
        ] {
            let is_found = names(question, None).contains(&name.to_owned());
            assert_eq!(is_found, expected, "{question}");
        }
    }
}
