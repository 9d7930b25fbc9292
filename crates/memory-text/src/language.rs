//! The language of a text, for its stems.
//!
//! Frequent function words decide, as they are what a short text has of its language;
//! where several languages have equally many, statistics of n-grams do (`whichlang`).
//! A text may be misjudged and so may a question: every word is therefore also indexed
//! in a form that does not depend on the language, see [`crate::stems`].

use std::collections::HashMap;
use std::sync::LazyLock;

use memory_core::Language::{
    self, Danish, Dutch, English, Finnish, French, German, Hungarian, Italian, Norwegian,
    Portuguese, Romanian, Spanish, Swedish, Turkish,
};
use rust_stemmers::Algorithm;

/// Frequent function words of each language, as they are spelled. Those of several
/// languages count for each of them. `None` are languages without stems, which would
/// otherwise be taken for a neighbor.
const FUNCTION_WORDS: [(Option<Language>, &str); 19] = [
    (
        Some(English),
        "the and is of to what who did does do with for was were are that this it i you my have has \
         had when where how which at from his her he she we they be been about not on a in but if",
    ),
    (
        Some(Danish),
        "og er det jeg ikke på til af med har hvad hvor den der som et en han hun vi kan skal blev \
         fra også mig min mit hvem hvornår være",
    ),
    (
        Some(Dutch),
        "de het een en van ik niet dat is op te met voor zijn was mijn waar wie wat heeft hebben \
         ook naar maar hij zij bij aan werd wordt uit over deze",
    ),
    (
        Some(Finnish),
        "ja on ei se että oli mutta hän minä minun kun niin missä mikä kuka ovat olen myös tai \
         sitä joka kanssa mitä milloin",
    ),
    (
        Some(French),
        "le la les de des et est un une je ne pas que qui dans pour sur avec mon ma mes où quand \
         il elle nous vous au aux du en ce cette sont était a été quel quelle ses son sa",
    ),
    (
        Some(German),
        "der die das und ist nicht ich ein eine einen zu mit von auf für den dem im sind war wo wer \
         wann mein meine hat haben wie auch sich es er sie wir bei nach aus des als wird was",
    ),
    (
        Some(Hungarian),
        "a az és nem egy hogy van volt ez de mi ki hol mikor is meg már csak én ő vagy mint lesz \
         azt ezt",
    ),
    (
        Some(Italian),
        "il la lo gli le di e è che non un una io per con dove chi quando mio mia miei del della \
         dei delle sono nel nella al alla ha ho ma anche come i cosa da",
    ),
    (
        Some(Norwegian),
        "og er det jeg ikke på til av med har hva hvor den der som et en han hun vi kan skal ble \
         fra også meg min mitt hvem når være",
    ),
    (
        Some(Portuguese),
        "o a os as de do da dos das e é que não um uma eu para com onde quem quando meu minha meus \
         em no na nos nas por são está estão foi ao como mas ele ela",
    ),
    (
        Some(Romanian),
        "și si este nu un o eu pe cu unde cine când meu mea de la din sunt care ce pentru în că \
         fost mai lui ei al",
    ),
    (
        Some(Spanish),
        "el la los las de y es que no un una yo en para con dónde donde quién cuándo mi mis del al \
         por se su sus está están son fue como pero qué él ella le lo",
    ),
    (
        Some(Swedish),
        "och är det jag inte på till av med har vad var den som ett en han hon vi kan ska blev \
         från också mig min mitt vem när vara att för",
    ),
    (
        Some(Turkish),
        "ve bir bu da de ne ben mi için ile çok var yok nerede kim değil benim ama gibi daha o \
         olarak mı nasıl",
    ),
    (
        None,
        "i w na z się nie jest to do że jak gdzie kto kiedy mój moja są był była ale o po za",
    ),
    (
        None,
        "a je na se v s to že kde kdo kdy můj moje jsou byl byla ale i do z si tak jak ne",
    ),
    (
        None,
        "yang di dan itu dengan untuk tidak ini dari dalam akan ke saya ada apa siapa kapan mana \
         adalah kami dia pada juga sudah",
    ),
    (
        None,
        "là và của có không tôi một ở cho được với người này đã trong ai gì đâu những khi các",
    ),
    (
        None,
        "u i je na se da su ne sam što tko gdje kada moj za od li koji bio bila ali iz s o",
    ),
];

/// The languages of each function word, a bit for each entry of [`FUNCTION_WORDS`].
static LANGUAGES_OF: LazyLock<HashMap<&'static str, u32>> = LazyLock::new(|| {
    let mut languages: HashMap<&'static str, u32> = HashMap::new();
    for (index, (_, words)) in FUNCTION_WORDS.iter().enumerate() {
        for word in words.split_ascii_whitespace() {
            *languages.entry(word).or_default() |= 1 << index;
        }
    }
    languages
});

/// Longest function word, in bytes.
const MAX_BYTES: usize = 9;

/// Words that are looked up: enough to know a language.
const MAX_WORDS: usize = 64;

/// The most text that n-grams are counted in, in bytes.
const MAX_TEXT: usize = 400;

/// The language of most of a text, as far as its stems are known: `None` for
/// languages in other scripts and those that have no stems here.
#[must_use]
pub fn detect_language(text: &str) -> Option<Language> {
    let mut counts = [0u8; FUNCTION_WORDS.len()];
    let (mut latin, mut other) = (0, 0);
    let mut lower = String::new();
    let words = text.split(|c: char| !c.is_alphanumeric());
    for word in words.filter(|word| !word.is_empty()).take(MAX_WORDS) {
        if !word.chars().all(is_latin) {
            other += 1;
            continue;
        }
        latin += 1;
        if word.len() > MAX_BYTES {
            continue;
        }
        let languages = if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            LANGUAGES_OF.get(word)
        } else {
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            LANGUAGES_OF.get(lower.as_str())
        };
        let mut languages = languages.copied().unwrap_or(0);
        while languages != 0 {
            counts[languages.trailing_zeros() as usize] += 1;
            languages &= languages - 1;
        }
    }
    if latin == 0 || other > latin {
        return None;
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    // Names and terms alone look like any language.
    if most == 0 {
        return None;
    }
    let languages = FUNCTION_WORDS.iter().map(|(language, _)| *language);
    let leading = languages.zip(counts).filter(|(_, count)| *count == most);
    let leading: Vec<Option<Language>> = leading.map(|(language, _)| language).collect();
    match leading[..] {
        [language] => language,
        // Their function words and endings are mostly the same.
        [Some(Danish), Some(Norwegian), ..] if leading.len() <= 3 => Some(Norwegian),
        _ => detect_by_ngrams(text).filter(|language| leading.contains(&Some(*language))),
    }
}

/// The stemmer of a language; `None` of one that is newer than this crate.
pub(crate) fn algorithm(language: Language) -> Option<Algorithm> {
    let algorithm = match language {
        Danish => Algorithm::Danish,
        Dutch => Algorithm::Dutch,
        English => Algorithm::English,
        Finnish => Algorithm::Finnish,
        French => Algorithm::French,
        German => Algorithm::German,
        Hungarian => Algorithm::Hungarian,
        Italian => Algorithm::Italian,
        Norwegian => Algorithm::Norwegian,
        Portuguese => Algorithm::Portuguese,
        Romanian => Algorithm::Romanian,
        Spanish => Algorithm::Spanish,
        Swedish => Algorithm::Swedish,
        Turkish => Algorithm::Turkish,
        _ => return None,
    };
    Some(algorithm)
}

fn is_latin(c: char) -> bool {
    matches!(c, '\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' | '\u{300}'..='\u{36f}')
}

fn detect_by_ngrams(text: &str) -> Option<Language> {
    let end = text.floor_char_boundary(MAX_TEXT);
    match whichlang::detect_language(&text[..end]) {
        whichlang::Lang::Deu => Some(German),
        whichlang::Lang::Eng => Some(English),
        whichlang::Lang::Fra => Some(French),
        whichlang::Lang::Ita => Some(Italian),
        whichlang::Lang::Nld => Some(Dutch),
        whichlang::Lang::Por => Some(Portuguese),
        whichlang::Lang::Spa => Some(Spanish),
        whichlang::Lang::Swe => Some(Swedish),
        whichlang::Lang::Tur => Some(Turkish),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_recognized_by_their_function_words() {
        for (text, expected) in [
            ("What did Tam say about the mill?", Some(English)),
            (
                "Caroline adopted a puppy named Max last summer.",
                Some(English),
            ),
            ("¿Dónde está mi caballo?", Some(Spanish)),
            ("Mi hermana vive en Madrid con su marido.", Some(Spanish)),
            ("Wo ist mein Schlüssel?", Some(German)),
            ("Die Häuser am Fluss sind alt.", Some(German)),
            ("Où est mon chien?", Some(French)),
            ("Les chevaux mangent de l'herbe.", Some(French)),
            ("Dove sono i miei gatti?", Some(Italian)),
            ("Onde estão os meus gatos?", Some(Portuguese)),
            ("Waar zijn mijn katten?", Some(Dutch)),
            ("Var är min hund?", Some(Swedish)),
            ("Missä koirani on?", Some(Finnish)),
            ("Kapılar nerede?", Some(Turkish)),
            ("Hol van a kutyám?", Some(Hungarian)),
            ("Unde este câinele meu?", Some(Romanian)),
            ("Hvad hedder min hund?", Some(Danish)),
            ("Hva heter hunden min?", Some(Norwegian)),
            ("Gdzie jest mój pies?", None),
            ("Con mèo của tôi ở đâu?", None),
            ("Где моя собака?", None),
            ("我的狗在哪里", None),
            ("", None),
        ] {
            assert_eq!(detect_language(text), expected, "{text}");
        }
    }
}
