//! English stop words: function words that carry no topic.

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
    }
}
