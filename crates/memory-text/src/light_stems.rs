//! Stems of languages that `rust-stemmers` has none for, or stems in one form only:
//! Arabic, Hindi and others that write endings together with a word. All take folded
//! words.

/// The stem of an Arabic word, with and without the article the same; of Persian and Urdu
/// words, without their plurals. In the manner of "light10" (Larkey, Ballesteros and
/// Connell, "Light Stemming for Arabic Information Retrieval", 2007), without removing
/// a single letter from the beginning, which may be one of the word: see
/// [`without_arabic_prefix`].
pub(crate) fn arabic(word: &str) -> &str {
    /// Minimum number of letters of a stem.
    const MIN: usize = 2;
    const ARTICLES: [&str; 7] = ["وال", "بال", "كال", "فال", "ولل", "ال", "لل"];
    /// The letter t is the ending of feminine words before a possessive.
    #[rustfmt::skip]
    const SUFFIXES: [&str; 26] = [
        "هايي", "هايم", "هايش", "هاي", "تهما", "ياں", "تهم", "تنا", "تها", "هما", "يں", "وں",
        "ته", "تي", "تك", "ها", "هم", "نا", "ان", "ات", "ون", "ين", "يه", "ه", "ي", "ك",
    ];
    /// The name of God, whose beginning is no article.
    const GOD: &str = "الله";
    if word == "لله" || word.ends_with(GOD) && word.chars().count() <= 5 {
        return GOD;
    }
    let mut articles = ARTICLES.iter();
    let word = articles
        .find_map(|article| at_least(MIN, word.strip_prefix(article)?))
        .unwrap_or(word);
    let mut suffixes = SUFFIXES.iter();
    let stem = suffixes.find_map(|suffix| at_least(MIN + 1, word.strip_suffix(suffix)?));
    // Before a plural, such as that of Persian گربه.
    let feminine = stem.and_then(|stem| at_least(MIN + 1, stem.strip_suffix('ه')?));
    feminine.or(stem).unwrap_or(word)
}

/// Calls `each` with an Arabic word without the particle that is written together with
/// it (and, for, in), if it begins with the letter of one; with a Persian verb without
/// the beginning of the present, which is also written apart.
pub(crate) fn without_arabic_prefix<'a>(word: &'a str, mut each: impl FnMut(&'a str)) {
    let verb = ["نمي", "مي"].iter().find_map(|it| word.strip_prefix(it));
    let verb = verb.and_then(|rest| at_least(4, rest));
    let rest = word.strip_prefix(['و', 'ل', 'ب']);
    let rest = verb.or_else(|| rest.and_then(|rest| at_least(3, rest)));
    rest.into_iter().for_each(&mut each);
}

/// The stem of a Hindi word, without the endings of number, case and gender, and of
/// infinitives and participles.
pub(crate) fn hindi(word: &str) -> &str {
    #[rustfmt::skip]
    const SUFFIXES: [&str; 32] = [
        "इयां", "इयों", "ई", "ियां", "ियों", "ियो", "ाओं", "ाएं", "ुओं", "ुएं", "ुआं", "ाना",
        "ाने", "ाता", "ाती", "ाते", "ों", "ें", "ां", "ीं", "ना", "ने", "नी", "ता", "ते",
        "ती", "ा", "ी", "े", "ो", "ि", "ू",
    ];
    let mut suffixes = SUFFIXES.iter();
    let stem = suffixes.find_map(|suffix| at_least(2, word.strip_suffix(suffix)?));
    stem.unwrap_or(word)
}

/// What Marathi and Nepali write together with a word; Hindi has words of their own.
#[rustfmt::skip]
pub(crate) const POSTPOSITIONS: [&str; 15] = [
    "ने", "ला", "ले", "चा", "ची", "चे", "शी", "को", "का", "की", "मा", "लाई", "बाट", "संग", "सोबत",
];

/// Calls `each` with the stem of a Marathi or Nepali word without its postposition.
pub(crate) fn without_postposition<'a>(word: &'a str, mut each: impl FnMut(&'a str)) {
    let mut postpositions = POSTPOSITIONS.iter();
    let noun = postpositions.find_map(|it| at_least(3, word.strip_suffix(it)?));
    noun.into_iter().for_each(|noun| each(hindi(noun)));
}

/// Calls `each` with a Hebrew word without the ending of the plural, with the form that
/// its last letter has at the end of a word.
pub(crate) fn without_hebrew_plural(word: &str, mut each: impl FnMut(&str)) {
    let noun = word.strip_suffix("ים").or(word.strip_suffix("ות"));
    let Some(noun) = noun.and_then(|noun| at_least(3, noun)) else {
        return;
    };
    let mut noun = noun.to_owned();
    let last = noun.pop().map(|last| match last {
        'כ' => 'ך',
        'מ' => 'ם',
        'נ' => 'ן',
        'פ' => 'ף',
        'צ' => 'ץ',
        other => other,
    });
    noun.extend(last);
    each(&noun);
}

/// Calls `each` with a word without the ending of a case, number or article that it may
/// have, the longest one, in languages of other scripts that write it together with the
/// word.
pub(crate) fn without_ending<'a>(word: &'a str, mut each: impl FnMut(&'a str)) {
    let mut endings = word.chars().next().map_or(&[][..], endings).iter();
    let stem = endings.find_map(|ending| at_least(2, word.strip_suffix(ending)?));
    stem.into_iter().for_each(&mut each);
}

/// The endings of the language that is written with a letter, longer ones first.
#[rustfmt::skip]
pub(crate) fn endings(first: char) -> &'static [&'static str] {
    match first {
        // Armenian.
        '\u{561}'..='\u{587}' => &[
            "ներից", "ներով", "ներում", "ների", "ները", "ներ", "երի", "երը", "եր", "ում", "ից",
            "ով", "ին", "ը", "ն", "ի",
        ],
        // Bengali.
        '\u{980}'..='\u{9ff}' => &[
            "গুলোর", "গুলির", "গুলো", "গুলি", "দের", "টির", "টার", "টি", "টা", "ের", "কে", "তে",
            "রা", "র", "ে",
        ],
        // Punjabi.
        '\u{a00}'..='\u{a7f}' => &["ੀਆਂ", "ਾਂ", "ੇ", "ਾ"],
        // Gujarati.
        '\u{a80}'..='\u{aff}' => &[
            "ઓનું", "ઓની", "ઓના", "ઓને", "માં", "નું", "ની", "ના", "ને", "ઓ", "ો",
        ],
        // Telugu.
        '\u{c00}'..='\u{c7f}' => &["ాలను", "ాలు", "ంలో", "లను", "లో", "లు", "కు", "ను", "ం"],
        // Kannada.
        '\u{c80}'..='\u{cff}' => &["ಗಳನ್ನು", "ಗಳಲ್ಲಿ", "ಗಳು", "ದಲ್ಲಿ", "ವನ್ನು", "ನ್ನು", "ಲ್ಲಿ"],
        // Malayalam.
        '\u{d00}'..='\u{d7f}' => &["ങ്ങളില്", "ങ്ങള്", "ത്തില്", "കള്", "ം"],
        // Georgian.
        '\u{10d0}'..='\u{10ff}' => &[
            "ებისთვის", "ისთვის", "სთვის", "ებში", "ების", "ებით", "ებმა", "ისგან", "ებს", "ები",
            "იდან", "ისთან", "სგან", "სთან", "ში", "ზე", "თან", "ით", "ად", "ის", "მა", "ს", "მ",
            "ი", "ო", "ა", "ე",
        ],
        _ => &[],
    }
}

/// A word if it has at least so many characters.
fn at_least(count: usize, word: &str) -> Option<&str> {
    word.chars().nth(count - 1).is_some().then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arabic_words_with_and_without_article_have_one_stem() {
        for (one, other) in [
            ("مدرسه", "المدرسه"),
            ("قراءه", "القراءه"),
            ("سياره", "سيارات"),
            ("سيارتي", "السياره"),
            ("معلم", "المعلمون"),
            ("كتابها", "والكتاب"),
            ("ورده", "الورده"),
            ("گربه", "گربهها"),
            ("كتاب", "كتابيں"),
        ] {
            assert_eq!(arabic(one), arabic(other));
        }
        assert_ne!(arabic("باب"), arabic("كتاب"));
        assert_eq!(arabic("والله"), arabic("لله"));
        assert_ne!(arabic("الله"), arabic("له"));
        assert_eq!(arabic("اله"), "اله", "too short to remove anything");
    }

    #[test]
    fn hindi_words_have_one_stem() {
        for (one, other) in [
            ("किताब", "किताबें"),
            ("लडका", "लडके"),
            ("लडकी", "लडकियां"),
            ("खाना", "खाते"),
            ("दवाई", "दवाइयां"),
        ] {
            assert_eq!(hindi(one), hindi(other));
        }
        assert_ne!(hindi("जल"), hindi("जाल"));
    }

    #[test]
    fn hebrew_plurals_end_in_another_letter_without_their_ending() {
        let mut nouns = Vec::new();
        for word in ["ילדים", "מלכים", "ספרות", "מים"] {
            without_hebrew_plural(word, |noun| nouns.push(noun.to_owned()));
        }
        assert_eq!(nouns, ["ילד", "מלך", "ספר"]);
    }

    #[test]
    fn longer_endings_come_before_those_that_end_them() {
        for first in "աকਕકకಕകა".chars() {
            let endings = endings(first);
            for (index, ending) in endings.iter().enumerate() {
                let is_hidden = |before: &&str| ending.ends_with(before);
                assert!(!endings[..index].iter().any(is_hidden), "{ending}");
            }
        }
    }
}
