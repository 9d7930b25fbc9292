//! Division of long texts into passages, the documents of the lexical retriever.

use std::mem;

use crate::fold::is_unspaced_script;
use crate::unspaced::word_ends;

/// Maximum number of words of a passage: about as many as a chunk of a model with a window of
/// 256 tokens has.
pub const MAX_PASSAGE_WORDS: usize = 160;

/// Words by which a passage may end earlier where it would end within a run of a script without
/// spaces: a sentence of most texts.
const MAX_SHORTER: usize = 32;

/// The passages of a text in order, at least one: together they are the whole
/// text, each has at most [`MAX_PASSAGE_WORDS`] words, and all of them about
/// equally many.
///
/// They depend on the text alone and on no model, so that a store and a snapshot
/// index the same. A passage ends between words, so a compound is never divided; in scripts
/// without spaces it ends with a sentence or a line, or where neither is near, with a word of
/// the dictionary.
pub fn passages(text: &str) -> impl Iterator<Item = &str> {
    let mut begin = 0;
    let ends = inner_ends(text).into_iter().chain([text.len()]);
    ends.map(move |end| &text[mem::replace(&mut begin, end)..end])
}

/// Where passages end, without the last one.
fn inner_ends(text: &str) -> Vec<usize> {
    // A word has a byte and a separator, or the three bytes of a character of a
    // script without spaces: most texts need not be counted.
    if text.len() <= 2 * MAX_PASSAGE_WORDS {
        return Vec::new();
    }
    let starts: Vec<usize> = word_starts(text).collect();
    let is_unspaced = text.contains(is_unspaced_script);
    // One that follows a shorter one is longer.
    let max_words = if is_unspaced {
        MAX_PASSAGE_WORDS - MAX_SHORTER
    } else {
        MAX_PASSAGE_WORDS
    };
    let count = match starts.len() {
        words if words <= MAX_PASSAGE_WORDS => 1,
        words => words.div_ceil(max_words),
    };
    let words_per_passage = starts.len().div_ceil(count).max(1);
    let next = starts.iter().enumerate().step_by(words_per_passage);
    let next = next.skip(1).take(count - 1);
    next.map(|(word, start)| match is_within_run(text, *start) {
        true => end_before(text, &starts[..=word]),
        false => *start,
    })
    .collect()
}

/// The end of a passage that has the words with these starts, but for the last one, or up to
/// [`MAX_SHORTER`] fewer.
fn end_before(text: &str, starts: &[usize]) -> usize {
    let starts = &starts[starts.len().saturating_sub(MAX_SHORTER + 1)..];
    let mut backwards = starts.iter().rev().copied();
    if let Some(end) = backwards.find(|start| !is_within_run(text, *start)) {
        return end;
    }
    let (Some(&first), Some(&last)) = (starts.first(), starts.last()) else {
        return 0;
    };
    // All of it is one run.
    let ends = word_ends(&text[first..]).map(|end| first + end);
    let ends = ends.take_while(|end| *end <= last);
    ends.last().unwrap_or(last)
}

/// Whether a word follows a character of a script without spaces: it may be the rest of a
/// word, or the punctuation after a sentence.
fn is_within_run(text: &str, start: usize) -> bool {
    text[..start].ends_with(is_unspaced_script)
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
    use std::collections::BTreeSet;

    use super::*;
    use crate::stems;

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

    fn assert_lengths(parts: &[&str], text: &str) {
        assert_eq!(parts.concat(), text);
        let lengths: Vec<usize> = parts.iter().map(|part| count_words(part)).collect();
        assert!(
            lengths.iter().all(|length| *length <= MAX_PASSAGE_WORDS),
            "{lengths:?}"
        );
        let is_short = |length: &usize| *length < 64 - MAX_SHORTER;
        assert!(
            parts.len() == 1 || !lengths.iter().any(is_short),
            "{lengths:?}"
        );
    }

    #[test]
    fn scripts_without_spaces_are_divided_between_sentences() {
        for sentence in [
            "我在上海大学读书。",
            "昨日は古い市場で馬を買いました！",
            "ฉันซื้อม้าที่ตลาดเก่า ",
            "\u{b9d}ab猫\n",
        ] {
            for count in [10, 40, 71, 300] {
                let text = sentence.repeat(count);
                let parts: Vec<&str> = passages(&text).collect();
                assert_lengths(&parts, &text);
                for part in &parts[..parts.len() - 1] {
                    let end = part.chars().next_back().unwrap();
                    assert!(!is_unspaced_script(end), "{part}");
                }
            }
        }
    }

    #[test]
    fn a_long_run_is_divided_between_words_of_the_dictionary() {
        for word in ["ตลาดเก่า", "研究", "ありがとう"] {
            let text = word.repeat(400);
            let parts: Vec<&str> = passages(&text).collect();
            assert!(parts.len() > 1);
            assert_lengths(&parts, &text);
            let whole: BTreeSet<String> = stems(&text, None).into_iter().collect();
            for part in parts {
                let part: BTreeSet<String> = stems(part, None).into_iter().collect();
                assert!(part.is_subset(&whole), "{part:?} of {whole:?}");
            }
        }
    }

    #[test]
    fn texts_of_any_kind_are_divided_at_characters() {
        for text in [
            "",
            "猫",
            &"\u{e48}".repeat(700),
            &"猫\u{200d}".repeat(500),
            &"a猫".repeat(300),
        ] {
            let parts: Vec<&str> = passages(text).collect();
            assert_eq!(parts.concat(), *text);
            assert!(
                parts
                    .iter()
                    .all(|part| count_words(part) <= MAX_PASSAGE_WORDS)
            );
        }
    }
}
