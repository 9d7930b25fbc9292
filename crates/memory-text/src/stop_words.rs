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

/// Whether a token is a stop word.
#[must_use]
pub fn is_stop_word(word: &str) -> bool {
    word.len() <= MAX_BYTES && STOP_WORDS.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_for_binary_search() {
        assert!(STOP_WORDS.is_sorted());
        assert!(STOP_WORDS.iter().all(|word| word.len() <= MAX_BYTES));
        assert!(is_stop_word("the") && is_stop_word("yours") && is_stop_word("a"));
        assert!(!is_stop_word("will") && !is_stop_word("mill"));
    }
}
