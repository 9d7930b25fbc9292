//! What holds for the terms of every text.

use std::collections::BTreeMap;

use memory_core::Language;
use memory_text::{TextAnalysis, pairs, stems, tokenize, word_digests};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

/// Texts that mix scripts, marks, invisible characters and function words of several
/// languages.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => "\\PC{0,6}",
        1 => "[\\u{300}-\\u{36f}\\u{640}-\\u{65f}\\u{591}-\\u{5c7}\\u{200b}-\\u{200f}]{1,3}",
        2 => "[\\u{4e00}-\\u{4e80}\\u{3041}-\\u{30ff}]{1,8}",
        2 => "[\\u{e01}-\\u{e5b}\\u{e81}-\\u{edf}\\u{1000}-\\u{1049}\\u{1780}-\\u{17dd}]{1,8}",
        2 => "[\\u{ac00}-\\u{ac80}\\u{1100}-\\u{1175}]{1,4}",
        2 => "[\\u{5d0}-\\u{5ea}\\u{620}-\\u{64a}\\u{400}-\\u{45f}\\u{370}-\\u{3ff}]{1,5}",
        3 => "[a-zA-ZäöüßéèñçıİøłæÅ]{1,7}(s|en|os|lar|ing)?",
        2 => prop::sample::select(vec!["der", "los", "les", "the", "ve", "het", "och", "nem"])
            .prop_map(str::to_owned),
        2 => "[a-zA-Z0-9]{1,3}[-._@#+/ ',&:]{1,2}[0-9a-z]{0,4}",
        1 => "[0-9]{1,12}([ ,.'-]([0-9]{2,3}|[0-9]{4})){0,3}(kg|\\u{2122}|½)?",
    ];
    prop::collection::vec((part, "[ ,.\u{200d}]?"), 0..12)
        .prop_map(|parts| parts.into_iter().map(|(part, end)| part + &end).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn canonical_equivalents_have_equal_terms(text in text()) {
        let (nfc, nfd): (String, String) = (text.nfc().collect(), text.nfd().collect());
        prop_assert_eq!(stems(&nfc, None), stems(&nfd, None));
        prop_assert_eq!(tokenize(&nfc), tokenize(&nfd));
        prop_assert_eq!(word_digests(&nfc), word_digests(&nfd));
        prop_assert_eq!(pairs(&nfc), pairs(&nfd));
    }

    #[test]
    fn tokens_are_tokens_of_themselves(text in text()) {
        // The sign of `C#` is another character in its token.
        let has_no_sign = |token: &String| !token.contains(['♯', '⁺']);
        for token in tokenize(&text).into_iter().filter(has_no_sign) {
            prop_assert_eq!(tokenize(&token), [&token[..]]);
        }
    }

    /// A store separates terms at ASCII punctuation and spaces, and keeps digests.
    #[test]
    fn terms_are_bounded_and_hold_no_separator(text in text()) {
        let stems = stems(&text, None);
        // Compatibility forms have 18 characters at most; a word has three terms.
        prop_assert!(stems.len() <= 3 * 18 * text.len() + 3);
        for term in &stems {
            prop_assert!(!term.is_empty() && term.len() <= 128, "{term:?}");
            let is_kept = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric();
            prop_assert!(term.chars().all(is_kept) && !term.contains(char::is_whitespace));
        }
        let analysis = TextAnalysis::of(&text, None);
        let length: u32 = analysis.passages.iter().map(|it| it.length).sum();
        prop_assert_eq!(usize::try_from(length).unwrap(), stems.len(), "one passage");
    }

    /// So whatever is found without a language is found with each, also where a memory
    /// was written and a question is asked with different ones.
    #[test]
    fn a_given_language_removes_no_terms(
        text in text(),
        language in prop::sample::select(Language::ALL.to_vec()),
    ) {
        let count = |stems: Vec<String>| {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            stems.into_iter().for_each(|stem| *counts.entry(stem).or_default() += 1);
            counts
        };
        let with = count(stems(&text, Some(language)));
        for (stem, times) in count(stems(&text, None)) {
            prop_assert!(with.get(&stem).is_some_and(|it| *it >= times), "{stem}");
        }
        let pairs_of = |language| TextAnalysis::of(&text, language).pairs;
        prop_assert_eq!(pairs_of(Some(language)), pairs_of(None));
    }
}
