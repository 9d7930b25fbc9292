//! English and Chinese stop words: function words that carry no topic.

/// Function words, and the parts that apostrophes split from them, sorted.
#[rustfmt::skip]
const STOP_WORDS: [&str; 147] = [
    "a", "about", "above", "after", "again", "against", "all", "am", "an", "and", "any", "are",
    "aren", "as", "at", "be", "because", "been", "before", "being", "below", "between", "both",
    "but", "by", "can", "cannot", "could", "couldn", "d", "did", "didn", "do", "does", "doesn",
    "doing", "don", "down", "during", "each", "few", "for", "from", "further", "had", "hadn", "has",
    "hasn", "have", "haven", "having", "he", "her", "here", "hers", "herself", "him", "himself",
    "his", "how", "i", "if", "in", "into", "is", "isn", "it", "its", "itself", "let", "ll", "m",
    "me", "more", "most", "my", "myself", "no", "nor", "not", "of", "off", "on", "once", "only",
    "or", "other", "our", "ours", "ourselves", "out", "over", "own", "re", "s", "same", "shan",
    "she", "should", "shouldn", "so", "some", "such", "t", "than", "that", "the", "their", "theirs",
    "them", "themselves", "then", "there", "these", "they", "this", "those", "through", "to", "too",
    "under", "until", "up", "ve", "very", "was", "wasn", "we", "were", "weren", "what", "when",
    "where", "which", "while", "who", "whom", "why", "with", "won", "would", "wouldn", "you",
    "your", "yours", "yourself", "yourselves",
];

/// Length of the longest stop word: longer words need no search.
const MAX_BYTES: usize = 10;

/// For each letter, the index of the first stop word that begins with it or with a
/// later one. Most tokens begin with a letter of few stop words.
const STARTS: [usize; 27] = starts();

const fn starts() -> [usize; 27] {
    let mut starts = [STOP_WORDS.len(); 27];
    let mut index = STOP_WORDS.len();
    while index > 0 {
        index -= 1;
        let mut letter = (STOP_WORDS[index].as_bytes()[0] - b'a') as usize;
        // Also for letters before it that no stop word begins with.
        loop {
            starts[letter] = index;
            if letter == 0 {
                break;
            }
            letter -= 1;
        }
    }
    starts
}

/// Whether a token is a stop word.
#[must_use]
pub fn is_stop_word(word: &str) -> bool {
    let Some(first @ b'a'..=b'z') = word.bytes().next().filter(|_| word.len() <= MAX_BYTES) else {
        return false;
    };
    let letter = usize::from(first - b'a');
    let candidates = &STOP_WORDS[STARTS[letter]..STARTS[letter + 1]];
    candidates.binary_search(&word).is_ok()
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
    fn the_list_is_sorted_for_binary_search() {
        assert!(STOP_WORDS.is_sorted());
        assert!(STOP_WORDS.iter().all(|word| word.len() <= MAX_BYTES));
        assert!(STOP_WORDS.iter().all(|word| is_stop_word(word)));
        assert!(!is_stop_word("") && !is_stop_word("zoo") && !is_stop_word("quay"));
        assert!(is_stop_word("the") && is_stop_word("yours") && is_stop_word("a"));
        assert!(!is_stop_word("will") && !is_stop_word("mill"));
        assert!(is_chinese_stop_word("的") && is_chinese_stop_word("什么"));
        assert!(!is_chinese_stop_word("不") && !is_chinese_stop_word("没"));
    }
}
