//! Cutting a long text into chunks that the model's window holds whole.
//!
//! A chunk ends at a sentence's end; where no sentence ends in the last two
//! thirds of the window, at a word's; where there are no words, at a
//! character's. The next chunk starts up to a fifth of the window earlier, at
//! a sentence's start where one lies there, so that what stands on a cut is
//! whole in one of the two.

use std::ops::Range;

use memory_core::MemoryResult;
use unicode_segmentation::UnicodeSegmentation;

use crate::tokenize::Tokenizer;

/// Bytes of text looked at for each token of a chunk: a little more than
/// English needs, so that one look is mostly enough.
const BYTES_PER_TOKEN: usize = 6;
/// The share of the window below which a chunk does not end for the sake of a
/// sentence: a stub of a chunk is one more vector that says little.
const LEAST_SHARE: usize = 3;
/// The share of the window that neighbors have in common at most.
const OVERLAP_SHARE: usize = 5;

/// The chunks of a text as byte ranges: one for a text that fits. Each fits
/// the window beside special tokens and either role's prompt.
///
/// # Errors
/// [`MemoryError::Embedder`](memory_core::MemoryError::Embedder) when the
/// tokenizer cannot read the text.
pub fn chunk(tokenizer: &Tokenizer, text: &str) -> MemoryResult<Vec<Range<usize>>> {
    let mut chunks = Vec::new();
    // Where this chunk starts, and where the one before it ended.
    let (mut start, mut covered) = (0, 0);
    while let Some(cut) = Cut::find(tokenizer, &text[start..], covered - start)? {
        // A text that fits stays whole, although its beginning alone may not
        // fit: an endless word is one unknown token whole and many in part.
        if chunks.is_empty() && tokenizer.offsets(text)?.len() <= tokenizer.room() {
            break;
        }
        chunks.push(start..start + cut.end);
        covered = start + cut.end;
        start += cut.next;
    }
    chunks.push(start..text.len());
    Ok(chunks)
}

/// Where a chunk ends and where the next one starts, counted in bytes from
/// the chunk's start; `next` is below `end`.
struct Cut {
    end: usize,
    next: usize,
}

impl Cut {
    /// Finds the cut in a text of which `covered` bytes are in the chunk
    /// before; `None` if all of it fits.
    fn find(tokenizer: &Tokenizer, text: &str, covered: usize) -> MemoryResult<Option<Self>> {
        let mut length = tokenizer.room() * BYTES_PER_TOKEN;
        loop {
            let piece = &text[..text.floor_char_boundary(length)];
            let offsets = tokenizer.offsets(piece)?;
            if offsets.len() > tokenizer.room() {
                return Self::place(tokenizer, piece, &offsets, covered).map(Some);
            }
            if piece.len() == text.len() {
                return Ok(None);
            }
            length *= 2;
        }
    }

    /// Places the cut in a piece that does not fit.
    fn place(
        tokenizer: &Tokenizer,
        piece: &str,
        offsets: &[(usize, usize)],
        covered: usize,
    ) -> MemoryResult<Self> {
        let room = tokenizer.room();
        let bounds: Vec<usize> = piece
            .split_sentence_bound_indices()
            .map(|(start, _)| start)
            .collect();
        let least = covered.max(offsets[room / LEAST_SHARE].0);
        let mut tokens = room;
        let end = loop {
            let limit = piece.floor_char_boundary(offsets[tokens].0);
            let end = end_within(piece, &bounds, least, limit)
                // Always further than the chunk before, or there is no end to it.
                .unwrap_or_else(|| limit.max(piece.ceil_char_boundary(covered + 1)));
            // A word that is cut in two can take more tokens than it did whole.
            let excess = tokenizer.offsets(&piece[..end])?.len().saturating_sub(room);
            if excess == 0 || tokens == 1 {
                break end;
            }
            tokens = tokens.saturating_sub(excess).max(1);
        };
        let inside = offsets.partition_point(|(start, _)| *start < end);
        let earliest = offsets[inside.saturating_sub(room / OVERLAP_SHARE)].0;
        let next = start_within(piece, &bounds, piece.floor_char_boundary(earliest), end);
        Ok(Self { end, next })
    }
}

/// The last end of a sentence, or else of a word, after `least` and not after
/// `limit`; the white space that follows it is left out.
fn end_within(piece: &str, bounds: &[usize], least: usize, limit: usize) -> Option<usize> {
    let trimmed = |end: usize| piece[..end].trim_end().len();
    let good = |end: &usize| (least + 1..=limit).contains(end);
    let sentence = bounds.iter().rev().map(|bound| trimmed(*bound)).find(good);
    let word = || {
        // White space at the limit itself ends a word too.
        let reach = piece.ceil_char_boundary(limit + 1);
        let space = piece[..reach].rfind(char::is_whitespace)?;
        Some(trimmed(space)).filter(good)
    };
    sentence.or_else(word)
}

/// Where the next chunk starts: at the first sentence, or else word, or else
/// character from `earliest` on, before `end`.
fn start_within(piece: &str, bounds: &[usize], earliest: usize, end: usize) -> usize {
    let shared = &piece[earliest..end];
    let sentence = bounds
        .iter()
        .copied()
        .find(|start| (earliest..end).contains(start));
    let word = || {
        let (space, _) = shared.match_indices(char::is_whitespace).next()?;
        let word = shared[space..].find(|c: char| !c.is_whitespace())?;
        Some(earliest + space + word)
    };
    let start = sentence.or_else(word).unwrap_or(earliest);
    if start == 0 {
        // The whole chunk is one sentence, word or character that would be
        // shared: its second half, by characters, is shared instead.
        return piece.ceil_char_boundary(end.div_ceil(2)).min(end);
    }
    start
}

#[cfg(test)]
mod tests;
