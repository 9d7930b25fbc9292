//! Splitting texts by bytes into overlapping chunks.

use std::ops::Range;

/// Neighbors share this part of a chunk's maximum, so that a sentence at a
/// boundary is whole in one of them.
const OVERLAP: usize = 8;

/// Splits a text into chunks of at most `max_bytes`, on character boundaries; a
/// text that fits is one chunk. A chunk ends with a sentence where one ends in its
/// second half, else before white space, else anywhere.
///
/// `max_bytes` is at least 28, which the options ensure, so that every chunk ends
/// after the one before.
pub(crate) fn chunks(text: &str, max_bytes: usize) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let mut start = 0;
    while text.len() - start > max_bytes {
        let limit = text.floor_char_boundary(start + max_bytes);
        let half = text.floor_char_boundary(start + max_bytes / 2);
        let end = half + last_break(&text[half..limit]).unwrap_or(limit - half);
        chunks.push(start..end);
        start = next_start(text, end, max_bytes / OVERLAP);
    }
    chunks.push(start..text.len());
    chunks
}

/// The start of a text that is at most `max_bytes` long.
pub(crate) fn prefix(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// The end of the last sentence in `text`, or the start of its last white space;
/// not 0.
fn last_break(text: &str) -> Option<usize> {
    let mut sentence = None;
    let mut space = None;
    let mut last = None;
    for (index, char) in text.char_indices() {
        let end = index + char.len_utf8();
        match char {
            '\n' | '。' | '！' | '？' | '।' => sentence = Some(end),
            _ if char.is_whitespace() => {
                if matches!(last, Some('.' | '!' | '?' | '…')) {
                    sentence = Some(index);
                }
                space = Some(index);
            }
            _ => {}
        }
        last = Some(char);
    }
    sentence.or(space).filter(|index| *index > 0)
}

/// Where the chunk after one that ends at `end` starts: at a word in the overlap,
/// or where the overlap starts.
fn next_start(text: &str, end: usize, overlap: usize) -> usize {
    let start = text.floor_char_boundary(end - overlap);
    let shared = &text[start..end];
    let mut after_space = shared
        .char_indices()
        .skip_while(|(_, char)| !char.is_whitespace())
        .skip_while(|(_, char)| char.is_whitespace());
    after_space.next().map_or(start, |(index, _)| start + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, max_bytes: usize) -> Vec<&str> {
        let chunks = chunks(text, max_bytes);
        chunks.into_iter().map(|chunk| &text[chunk]).collect()
    }

    #[test]
    fn a_text_that_fits_is_one_chunk() {
        let text = "x".repeat(32);
        assert_eq!(split(&text, 32), [&text]);
        assert_eq!(split("", 32), [""]);
    }

    #[test]
    fn chunks_end_with_a_sentence_and_share_words() {
        let text =
            "Tam sold a lame horse at the fair. Wenna keeps bees in the vale. Rain fell.\nSnow.";
        assert_eq!(
            split(text, 48),
            [
                "Tam sold a lame horse at the fair.",
                "fair. Wenna keeps bees in the vale. Rain fell.\n",
                "fell.\nSnow.",
            ]
        );
    }

    #[test]
    fn chunks_of_any_text_are_in_order_overlap_and_cover_it() {
        for text in [
            "a".repeat(500),
            "記憶は川のように流れる。".repeat(20),
            " \n\t".repeat(100),
            "🐎👩‍👩‍👧‍👦".repeat(30),
            "…! ".repeat(90),
        ] {
            for max_bytes in [32, 33, 47, 100] {
                let chunks = chunks(&text, max_bytes);
                assert_eq!(chunks[0].start, 0);
                assert_eq!(chunks.last().unwrap().end, text.len());
                for pair in chunks.windows(2) {
                    assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end);
                    assert!(pair[1].start < pair[0].end, "{pair:?}");
                }
                for chunk in chunks {
                    assert!(chunk.len() <= max_bytes && text.get(chunk).is_some());
                }
            }
        }
    }

    #[test]
    fn a_prefix_ends_on_a_character() {
        assert_eq!(prefix("aé", 2), "a");
        assert_eq!(prefix("aé", 3), "aé");
        assert_eq!(prefix("aé", 9), "aé");
    }
}
