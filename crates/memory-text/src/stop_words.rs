//! English and Chinese stop words: function words that carry no topic.

use memory_core::Language;

use crate::short_words::ShortWords;

/// Function words, and the parts that apostrophes split from them. Words that are
/// also others ("won", "let", the letters of "vitamin D") are none by themselves: see
/// [`is_contraction`].
#[rustfmt::skip]
const STOP_WORDS: [&str; 137] = [
    "a", "about", "above", "after", "again", "against", "all", "am", "an", "and", "any", "are",
    "aren", "as", "at", "be", "because", "been", "before", "being", "below", "between", "both",
    "but", "by", "can", "cannot", "could", "couldn", "did", "didn", "do", "does", "doesn", "doing",
    "down", "during", "each", "few", "for", "from", "further", "had", "hadn", "has", "hasn", "have",
    "having", "he", "her", "here", "hers", "herself", "him", "himself", "his", "how", "i", "if",
    "in", "into", "is", "isn", "it", "its", "itself", "ll", "me", "more", "most", "my", "myself",
    "no", "nor", "not", "of", "off", "on", "once", "only", "or", "other", "our", "ours",
    "ourselves", "out", "over", "re", "same", "she", "should", "shouldn", "so", "some", "such",
    "than", "that", "the", "their", "theirs", "them", "themselves", "then", "there", "these",
    "they", "this", "those", "through", "to", "too", "under", "until", "up", "ve", "very", "was",
    "wasn", "we", "were", "weren", "what", "when", "where", "which", "while", "who", "whom", "why",
    "with", "would", "wouldn", "you", "your", "yours", "yourself", "yourselves",
];

/// Whether a token is a stop word wherever it stands.
#[must_use]
pub fn is_stop_word(word: &str) -> bool {
    static WORDS: ShortWords<512> = ShortWords::new(&STOP_WORDS);
    WORDS.contains(word)
}

/// Whether a word that an apostrophe joins to `next` is part of a contraction ("won't",
/// "let's", "d'accord"), and a word with a topic where it stands alone.
pub(crate) fn is_contraction(word: &str, next: char) -> bool {
    match word {
        "don" | "haven" | "shan" | "won" => next == 't',
        "let" => next == 's',
        _ => is_contracted_letter(word),
    }
}

/// Whether a word is a letter that is part of a contraction next to an apostrophe
/// ("she'd", "I'm", "Tam's", "isn't", "m'a").
pub(crate) fn is_contracted_letter(word: &str) -> bool {
    matches!(word, "d" | "m" | "s" | "t")
}

/// Whether an English stop word has a topic in another language. Listed are nouns and
/// names whose other meanings in that language, if any, are rarer.
pub(crate) fn has_topic_in(language: Language, word: &str) -> bool {
    let words: &[&str] = match language {
        // Duck, town, garden, ice; lavatory, Sami.
        Language::Danish | Language::Norwegian | Language::Swedish => {
            &["and", "by", "do", "have", "is", "same"]
        }
        // Leg.
        Language::Dutch => &["been"],
        // Year, goal, gold, bear.
        Language::French => &["an", "but", "or", "ours"],
        // Thesis.
        Language::German => &["these"],
        // Blackberries, king.
        Language::Italian => &["more", "re"],
        // Year.
        Language::Romanian => &["an"],
        // Ace, eleven.
        Language::Spanish => &["as", "once"],
        // Moment, horse, soul and a name, ten.
        Language::Turkish => &["an", "at", "can", "on"],
        _ => &[],
    };
    words.contains(&word)
}

/// Whether a word, which is no English stop word, negates in English or another language.
/// Left out are those that say something else in a neighbor: Romanian "nu" is "now" in
/// Dutch. An ending, as in Japanese, is no word, and Finnish has a form for each person.
pub(crate) fn is_negation_elsewhere(word: &str) -> bool {
    #[rustfmt::skip]
    static WORDS: ShortWords<128> = ShortWords::new(&[
        // English; Danish and Norwegian, Swedish; Dutch; German.
        "never", "ikke", "aldrig", "aldri", "inte", "niet", "geen", "nooit", "nicht", "kein", "keine",
        "keinen", "keinem", "keiner", "nie", "niemals",
        // French, Italian, Portuguese and Spanish.
        "pas", "jamais", "non", "nao", "nunca",
        // Hungarian; Turkish; Indonesian; Vietnamese.
        "nem", "soha", "degil", "tidak", "bukan", "khong",
        // Russian and its neighbors; Greek; Hebrew; Arabic; Hindi; Korean; Chinese.
        "не", "нет", "никогда", "δεν", "לא", "لا", "ليس", "لم", "नहीं", "안", "不", "没", "沒",
    ]);
    WORDS.contains(word)
}

/// Whether a word of a run of ideographs is a Chinese function word, in simplified or
/// traditional characters. None of them negates.
pub(crate) fn is_chinese_stop_word(word: &str) -> bool {
    const CHARACTERS: &str = "的了着是在有我你您他她它们这那哪谁几吗呢啊吧呀嘛哦啦啥个和与跟及或而且但就也都还\
        又很太把被从于以之其所什么們這個嗎與還從於麼誰著幾";
    #[rustfmt::skip]
    const WORDS: [&str; 64] = [
        "什么", "怎么", "我们", "你们", "他们", "她们", "它们", "这个", "那个", "哪个", "这些", "那些",
        "哪些", "这里", "那里", "哪里", "这儿", "那儿", "哪儿", "这样", "那样", "怎样", "怎么样", "为什么",
        "多少", "几个", "来着", "请问", "因为", "所以", "但是", "而且", "或者", "如果", "以及", "还是",
        "就是", "一个", "我的", "你的", "他的", "她的", "什麼", "怎麼", "我們", "你們", "他們", "她們",
        "這個", "那個", "哪個", "這些", "這裡", "那裡", "哪裡", "這樣", "那樣", "怎樣", "為什麼", "請問",
        "因為", "還是", "一個", "幾個",
    ];
    let mut chars = word.chars();
    match (chars.next(), chars.next()) {
        (Some(only), None) => CHARACTERS.contains(only),
        _ => WORDS.contains(&word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_words_are_stop_words() {
        assert!(STOP_WORDS.iter().all(|word| is_stop_word(word)));
        assert!(!is_stop_word("") && !is_stop_word("zoo") && !is_stop_word("quay"));
        assert!(is_stop_word("the") && is_stop_word("yours") && is_stop_word("a"));
        assert!(!is_stop_word("will") && !is_stop_word("mill"));
        assert!(!is_stop_word("won") && !is_stop_word("own") && !is_stop_word("d"));
        assert!(is_chinese_stop_word("的") && is_chinese_stop_word("什么"));
        assert!(!is_chinese_stop_word("不") && !is_chinese_stop_word("没"));
    }

    #[test]
    fn words_with_a_topic_in_another_language_are_stop_words() {
        for language in Language::ALL {
            for word in STOP_WORDS
                .iter()
                .filter(|word| has_topic_in(language, word))
            {
                assert!(!matches!(*word, "no" | "nor" | "not"), "{word} negates");
            }
        }
        for (language, word) in [
            (Language::Dutch, "been"),
            (Language::French, "ours"),
            (Language::Turkish, "at"),
        ] {
            assert!(is_stop_word(word) && has_topic_in(language, word), "{word}");
            assert!(!has_topic_in(Language::English, word), "{word}");
        }
    }
}
