//! Splitting long texts, and linking the parts.

use memory::MemoryBatchItem;
use unicode_segmentation::UnicodeSegmentation;

use crate::outline::Outline;

/// The relations of a part to the part after it and before it.
const NEXT: &str = "next part";
const PREVIOUS: &str = "previous part";

/// Splits a text into parts of at most `max_chars` characters (at least 1), in their order.
///
/// Each part is as long as possible, and ends before a Markdown heading; without one,
/// before another block (a paragraph, a list, a table, code); without one, at the end
/// of a line, a sentence or a word, and otherwise anywhere. White space at both ends of
/// a part is removed, apart from the indentation of its first line; nothing else is lost.
/// A blank text has no part.
#[must_use]
pub fn split_text(text: &str, max_chars: usize) -> Vec<&str> {
    let max_chars = max_chars.max(1);
    let mut parts = Vec::new();
    let mut start = 0;
    let mut outline = None;
    while let Some((length, _)) = text[start..].char_indices().nth(max_chars) {
        let outline = outline.get_or_insert_with(|| Outline::of(text));
        let end = cut(text, start, start + length, outline);
        parts.extend(trimmed(&text[start..end]));
        start = end;
    }
    parts.extend(trimmed(&text[start..]));
    parts
}

/// Where the part that begins at `start` ends: after `start`, and not after `limit`.
fn cut(text: &str, start: usize, limit: usize, outline: &Outline) -> usize {
    let window = &text[start..limit];
    last_within(&outline.headings, |heading| heading.start, start, limit)
        .or_else(|| last_within(&outline.blocks, |at| *at, start, limit))
        .or_else(|| window.rfind('\n').map(|at| start + at + 1))
        .or_else(|| last_start(window.split_sentence_bound_indices(), start))
        .or_else(|| last_start(window.split_word_bound_indices(), start))
        .unwrap_or(limit)
}

/// The last position after `start` and up to `limit`, of elements whose positions ascend.
fn last_within<T>(
    elements: &[T],
    position: impl Fn(&T) -> usize,
    start: usize,
    limit: usize,
) -> Option<usize> {
    let count = elements.partition_point(|element| position(element) <= limit);
    let last = elements.get(count.checked_sub(1)?).map(position)?;
    (last > start).then_some(last)
}

/// Where the last segment of a window begins, unless it is all of it.
fn last_start<'a>(segments: impl Iterator<Item = (usize, &'a str)>, start: usize) -> Option<usize> {
    let (at, _) = segments.last()?;
    (at > 0).then_some(start + at)
}

fn trimmed(part: &str) -> Option<&str> {
    let part = part.trim_end();
    // Blank lines at the beginning, but not the indentation of the first line.
    let blank = part.len() - part.trim_start().len();
    let start = part[..blank].rfind('\n').map_or(0, |end| end + 1);
    (!part.is_empty()).then(|| &part[start..])
}

/// Links memories that are parts of one text, and have ids, to the part after and before
/// them.
pub fn link_parts(parts: &mut [MemoryBatchItem]) {
    let mut rest = parts;
    while let [before, after @ ..] = rest {
        if let Some(next) = after.first_mut() {
            link_neighbors(before, next);
        }
        rest = after;
    }
}

/// Links a part to the one after it, in both directions.
pub(crate) fn link_neighbors(before: &mut MemoryBatchItem, after: &mut MemoryBatchItem) {
    if let Some(id) = before.id {
        after.related.insert(id, PREVIOUS.to_owned());
    }
    if let Some(id) = after.id {
        before.related.insert(id, NEXT.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use memory::{MemoryId, MemoryKind};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_text_is_one_part_and_blank_text_none() {
        assert_eq!(split_text("\n\n  Rain.\n\n", 100), ["  Rain."]);
        assert_eq!(split_text("猫猫猫", 3), ["猫猫猫"]);
        assert_eq!(split_text(" \n\t", 100), [""; 0]);
        assert_eq!(split_text("", 100), [""; 0]);
    }

    #[test]
    fn parts_end_before_headings_then_blocks() {
        let text = "# A\n\nOne.\n\n# B\n\nTwo.\n\n# C\n\nThree is longer.\n\nFour.\n";
        assert_eq!(
            split_text(text, 30),
            [
                "# A\n\nOne.\n\n# B\n\nTwo.",
                "# C\n\nThree is longer.\n\nFour."
            ]
        );
        assert_eq!(
            split_text(text, 24),
            [
                "# A\n\nOne.\n\n# B\n\nTwo.",
                "# C\n\nThree is longer.",
                "Four."
            ]
        );
    }

    #[test]
    fn code_is_not_split_where_a_block_ends_before_it() {
        let text = "Before.\n\n```\n# not a heading\n\nx = 1\n```\n\nAfter.\n";
        let parts = split_text(text, 35);
        assert_eq!(parts[0], "Before.");
        assert_eq!(parts[1], "```\n# not a heading\n\nx = 1\n```");
    }

    #[test]
    fn a_long_block_is_split_at_lines_sentences_words_and_anywhere() {
        assert_eq!(split_text("one\ntwo three", 9), ["one", "two three"]);
        assert_eq!(
            split_text("It rained. It snowed.", 15),
            ["It rained.", "It snowed."]
        );
        assert_eq!(
            split_text("水车在北。桥在南。", 6),
            ["水车在北。", "桥在南。"]
        );
        assert_eq!(split_text("several words", 9), ["several", "words"]);
        assert_eq!(split_text("abcdef", 4), ["abcd", "ef"]);
    }

    #[test]
    fn parts_are_linked_in_both_directions() {
        let ids: Vec<MemoryId> = (0..3).map(|_| MemoryId::new()).collect();
        let part = |id: &MemoryId| MemoryBatchItem::new("a", MemoryKind::World, "x").with_id(*id);
        let mut parts: Vec<_> = ids.iter().map(part).collect();
        link_parts(&mut parts);
        assert_eq!(parts[0].related.len(), 1);
        assert_eq!(parts[1].related[&ids[0]], "previous part");
        assert_eq!(parts[1].related[&ids[2]], "next part");
        assert_eq!(parts[2].related.len(), 1);
        let mut single = vec![part(&ids[0])];
        link_parts(&mut single);
        assert!(single[0].related.is_empty());
    }

    /// A scan of all blocks for each part would take minutes.
    #[test]
    fn a_long_text_of_many_blocks_is_split_in_time() {
        let text = "a\n\n".repeat(1 << 20);
        let start = std::time::Instant::now();
        let parts = split_text(&text, 300);
        assert!(parts.len() > 10_000, "{}", parts.len());
        assert!(start.elapsed() < std::time::Duration::from_secs(60));
    }

    proptest! {
        #[test]
        fn nothing_but_white_space_is_lost(
            text in "([a-c猫é #`>*|-]{0,12}[\n\r\t .]{0,3}){0,40}",
            max in 1_usize..50,
        ) {
            let parts = split_text(&text, max);
            for part in &parts {
                prop_assert!(part.chars().count() <= max);
                prop_assert!(!part.trim().is_empty());
            }
            let dense = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(dense(&parts.concat()), dense(&text));
        }
    }
}
