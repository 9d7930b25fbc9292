//! Words of scripts without spaces: Chinese, Japanese, Thai, Lao, Khmer, Burmese.
//!
//! A dictionary divides a run into words (`icu_segmenter`). The division depends on
//! what is around: 研究生命 is 研究生 and 命 to the dictionary. So every two adjacent
//! ideographs are a term as well, and a question finds a word or a name however its
//! memory was divided; single ideographs are terms only where they are words, so that
//! 上海 does not find 海上. Chinese stop words have no terms, nor have the pairs that they
//! make with the words around them; in Japanese they are nouns (都, 所, 和), so they are
//! none in a run with kana. Katakana are read as hiragana, as Japanese words are written
//! in either, and without the last long vowel mark of a longer word: サーバー is サーバ.

use std::borrow::Cow;
use std::sync::LazyLock;

use icu_segmenter::options::WordBreakInvariantOptions;
use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed};

use crate::fold::{MAX_TOKEN_BYTES, fold_kana};
use crate::stop_words::is_chinese_stop_word;

static SEGMENTER: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_dictionary(WordBreakInvariantOptions::default()));

/// Calls `each_word` with the words of a run of a script without spaces, in order, and
/// `each_term` with its terms.
pub(crate) fn divide(run: &str, mut each_word: impl FnMut(&str), mut each_term: impl FnMut(&str)) {
    // The word before, unless that is a stop word.
    let (mut start, mut previous) = (0, None);
    let is_japanese = run.contains(is_kana);
    for end in word_ends(run) {
        let segment = &run[start..end];
        if is_word(segment) {
            each_word(&fold_word(segment));
        }
        let word = Some(segment).filter(|word| is_japanese || !is_chinese_stop_word(word));
        if word.is_none()
            && let Some(negation) = negation_before(run, start)
        {
            each_term(&run[negation..start + first_len(segment)]);
        }
        if let Some(word) = word {
            let pair = previous.and_then(|previous| pair_between(run, previous, start));
            pair.into_iter().for_each(&mut each_term);
            add_word(word, &mut each_term);
        }
        (start, previous) = (end, word);
    }
}

/// Where words of a run of a script without spaces end, in order.
pub(crate) fn word_ends(run: &str) -> impl Iterator<Item = usize> {
    SEGMENTER.segment_str(run).skip_while(|end| *end == 0)
}

/// Calls `each` with the terms of a run of a script without spaces.
pub(crate) fn for_each_term(run: &str, each: impl FnMut(&str)) {
    divide(run, |_| {}, each);
}

/// Calls `each` with the words of a run of a script without spaces, in order.
pub(crate) fn for_each_word(run: &str, each: impl FnMut(&str)) {
    divide(run, each, |_| {});
}

/// Where the ideograph begins that is before a part of a run, if it negates. It makes one
/// word with a stop word: 我没有猫 is divided as 我没, 有 and 猫.
fn negation_before(run: &str, start: usize) -> Option<usize> {
    let last = run[..start].chars().next_back()?;
    matches!(last, '不' | '没' | '沒' | '无' | '無' | '未').then(|| start - last.len_utf8())
}

fn first_len(segment: &str) -> usize {
    segment.chars().next().map_or(0, char::len_utf8)
}

/// Whether a part of a run is more than punctuation and marks.
fn is_word(part: &str) -> bool {
    part.chars().any(char::is_alphanumeric)
}

/// A word within the limit of a token, with hiragana in place of katakana.
fn fold_word(word: &str) -> Cow<'_, str> {
    const LONG_VOWEL: char = 'ー';
    /// Characters that a word has without its last long vowel mark: キー and カバー keep
    /// theirs, as キ and カバ are others.
    const MIN_CHARS: usize = 3;
    let word = &word[..word.floor_char_boundary(MAX_TOKEN_BYTES)];
    if !word.contains(is_katakana) {
        return Cow::Borrowed(word);
    }
    let shortened = word.strip_suffix(LONG_VOWEL);
    let shortened = shortened.filter(|rest| rest.chars().nth(MIN_CHARS - 1).is_some());
    Cow::Owned(shortened.unwrap_or(word).chars().map(fold_kana).collect())
}

fn add_word(word: &str, each: &mut impl FnMut(&str)) {
    let mut chars = word.chars();
    let (first, second) = (chars.next(), chars.next());
    match (first, second) {
        // A particle or an ending.
        (Some(first), None) if is_hiragana(first) => return,
        // The stem of an inflected Japanese word: 食 of 食べる.
        (Some(first), Some(second)) if is_ideograph(first) && is_hiragana(second) => {
            each(&word[..first.len_utf8()]);
        }
        // A polite prefix: 母さん of お母さん.
        (Some('お' | 'ご'), Some(second)) if is_ideograph(second) => {
            each(&fold_word(&word['お'.len_utf8()..]));
        }
        _ => {}
    }
    if is_word(word) {
        each(&fold_word(word));
    }
    // Two ideographs are the word itself.
    if chars.next().is_some() {
        add_pairs(word, each);
    }
}

/// Adds every two adjacent ideographs of a word.
fn add_pairs(word: &str, each: &mut impl FnMut(&str)) {
    let mut previous: Option<usize> = None;
    for (start, c) in word.char_indices() {
        if !is_ideograph(c) {
            previous = None;
            continue;
        }
        if let Some(previous) = previous {
            each(&word[previous..start + c.len_utf8()]);
        }
        previous = Some(start);
    }
}

/// The last ideograph of a word with the first of the next.
fn pair_between<'a>(run: &'a str, previous: &str, start: usize) -> Option<&'a str> {
    let last = previous.chars().next_back().filter(|c| is_ideograph(*c))?;
    let first = run[start..].chars().next().filter(|c| is_ideograph(*c))?;
    Some(&run[start - last.len_utf8()..start + first.len_utf8()])
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_hiragana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{309f}')
}

fn is_katakana(c: char) -> bool {
    matches!(c, '\u{30a1}'..='\u{30fa}' | '\u{30fd}' | '\u{30fe}')
}

fn is_kana(c: char) -> bool {
    is_hiragana(c) || is_katakana(c)
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
        assert_eq!(terms("研究生命"), ["研究生", "研究", "究生", "生命", "命"]);
        assert_eq!(terms("猫の記憶"), ["猫", "記憶"]);
        assert_eq!(terms("食べる"), ["食", "食べる"]);
        assert_eq!(terms("ไปโรงเรียน"), ["ไป", "โรงเรียน"]);
    }

    #[test]
    fn katakana_are_hiragana_without_the_last_long_vowel() {
        assert_eq!(terms("リンゴ"), ["りんご"]);
        assert_eq!(terms("サーバー"), terms("サーバ"));
        assert_ne!(terms("キー"), terms("キ"));
        assert_eq!(terms("データベース"), ["でーたべーす"]);
    }

    #[test]
    fn chinese_stop_words_are_no_terms() {
        assert_eq!(terms("你的猫是什么"), ["猫"]);
        assert!(terms("这个是什么呢").is_empty());
        assert!(!terms("不是").is_empty(), "it negates");
        assert!(terms("我没有猫").contains(&"没有".to_owned()));
        assert!(terms("お茶を飲む").contains(&"茶".to_owned()));
        assert!(terms("古い都はどこ").contains(&"都".to_owned()));
        assert!(!terms("他们都吃").contains(&"都".to_owned()));
    }
}
