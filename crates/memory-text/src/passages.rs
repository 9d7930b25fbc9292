//! Division of long texts into passages, the documents of the lexical retriever.

use crate::fold::is_unspaced_script;

/// Maximum number of words of a passage: about as many as a chunk of a model with a window of
/// 256 tokens has.
pub const MAX_PASSAGE_WORDS: usize = 160;

/// The passages of a text in order, at least one: together they are the whole
/// text, each has at most [`MAX_PASSAGE_WORDS`] words, and all of them about
/// equally many.
///
/// They depend on the text alone and on no model, so that a store and a snapshot
/// index the same. A passage ends between words, so a compound is never divided.
pub fn passages(text: &str) -> impl Iterator<Item = &str> {
    // A word has a byte and a separator, or the three bytes of a character of a
    // script without spaces: most texts need not be counted.
    let words = if text.len() <= 2 * MAX_PASSAGE_WORDS {
        1
    } else {
        count_words(text)
    };
    let count = words.div_ceil(MAX_PASSAGE_WORDS).max(1);
    let words_per_passage = words.div_ceil(count).max(1);
    let mut starts = word_starts(text).step_by(words_per_passage).skip(1);
    let mut start = Some(0);
    let mut remaining = count;
    std::iter::from_fn(move || {
        let begin = start?;
        remaining -= 1;
        let end = if remaining == 0 { None } else { starts.next() };
        start = end;
        Some(&text[begin..end.unwrap_or(text.len())])
    })
}

/// The number of words of a text: runs without white space, and single
/// characters of scripts without spaces.
#[must_use]
pub fn count_words(text: &str) -> usize {
    word_starts(text).count()
}

/// The byte at which each word starts.
fn word_starts(text: &str) -> impl Iterator<Item = usize> {
    let mut is_inside = false;
    text.char_indices().filter_map(move |(start, c)| {
        if is_unspaced_script(c) {
            is_inside = false;
            return Some(start);
        }
        let is_start = !is_inside && !c.is_whitespace();
        is_inside = !c.is_whitespace();
        is_start.then_some(start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(count: usize) -> String {
        let words: Vec<String> = (0..count).map(|n| format!("word-{n}")).collect();
        words.join(" ")
    }

    #[test]
    fn passages_are_the_whole_text_in_parts_of_about_equal_length() {
        for count in [0, 1, 159, 160, 161, 320, 321, 1_000] {
            let text = words(count);
            let parts: Vec<&str> = passages(&text).collect();
            assert_eq!(parts.concat(), text, "{count}");
            assert_eq!(parts.len(), count.div_ceil(160).max(1), "{count}");
            let lengths: Vec<usize> = parts.iter().map(|part| count_words(part)).collect();
            assert!(lengths.iter().all(|length| *length <= 160), "{lengths:?}");
            let (least, most) = (lengths.iter().min(), lengths.iter().max());
            assert!(most.unwrap() - least.unwrap() <= parts.len(), "{lengths:?}");
        }
    }

    #[test]
    fn scripts_without_spaces_have_a_word_per_character() {
        let text = "猫の記憶 and ".repeat(100);
        assert_eq!(count_words(&text), 500);
        let parts: Vec<&str> = passages(&text).collect();
        assert_eq!((parts.len(), parts.concat()), (4, text.clone()));
        assert_eq!(count_words("  one  two-three\n"), 2);
    }
}
