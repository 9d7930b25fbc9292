//! Words of scripts without spaces: Chinese, Japanese, Thai, Lao, Khmer, Burmese.
//!
//! A dictionary divides a run into words (`icu_segmenter`). The division depends on
//! what is around: 研究生命 is 研究生 and 命 to the dictionary. So every two adjacent
//! ideographs are a term as well, and a question finds a word or a name however its
//! memory was divided; single ideographs are terms only where they are words, so that
//! 上海 does not find 海上.

use std::sync::LazyLock;

use icu_segmenter::options::WordBreakInvariantOptions;
use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed};

use crate::fold::MAX_TOKEN_BYTES;

static SEGMENTER: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_dictionary(WordBreakInvariantOptions::default()));

/// Calls `each` with the terms of a run of a script without spaces.
pub(crate) fn for_each_term(run: &str, mut each: impl FnMut(&str)) {
    let mut start = 0;
    for end in SEGMENTER.segment_str(run).skip_while(|end| *end == 0) {
        let word = &run[start..end];
        start = end;
        add_word(word, &mut each);
    }
    add_pairs(run, &mut each);
}

fn add_word(word: &str, each: &mut impl FnMut(&str)) {
    let mut chars = word.chars();
    let (first, second) = (chars.next(), chars.next());
    match (first, second) {
        // A particle or an ending.
        (Some(first), None) if is_hiragana(first) => return,
        // What `add_pairs` adds.
        (Some(first), Some(second))
            if chars.next().is_none() && is_ideograph(first) && is_ideograph(second) =>
        {
            return;
        }
        // The stem of an inflected Japanese word: 食 of 食べる.
        (Some(first), Some(second)) if is_ideograph(first) && is_hiragana(second) => {
            each(&word[..first.len_utf8()]);
        }
        _ => {}
    }
    if word.chars().any(char::is_alphanumeric) {
        each(&word[..word.floor_char_boundary(MAX_TOKEN_BYTES)]);
    }
}

/// Adds every two adjacent ideographs.
fn add_pairs(run: &str, each: &mut impl FnMut(&str)) {
    let mut previous: Option<usize> = None;
    for (start, c) in run.char_indices() {
        if !is_ideograph(c) {
            previous = None;
            continue;
        }
        if let Some(previous) = previous {
            each(&run[previous..start + c.len_utf8()]);
        }
        previous = Some(start);
    }
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_hiragana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{309f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(run: &str) -> Vec<String> {
        let mut terms = Vec::new();
        for_each_term(run, |term| terms.push(term.to_owned()));
        terms
    }

    #[test]
    fn words_and_pairs_of_ideographs_are_terms() {
        assert_eq!(terms("上海"), ["上海"]);
        assert_eq!(terms("研究生命"), ["研究生", "命", "研究", "究生", "生命"]);
        assert_eq!(terms("猫の記憶"), ["猫", "記憶"]);
        assert_eq!(terms("食べる"), ["食", "食べる"]);
        assert_eq!(terms("ไปโรงเรียน"), ["ไป", "โรงเรียน"]);
    }
}
