//! Division of long texts into overlapping chunks that fit the model.
//!
//! A chunk ends at the end of a sentence; if no sentence ends in the last two
//! thirds of the maximum length, at the end of a word; if there are no words, at
//! any character. The next chunk starts up to a fifth of the maximum length
//! earlier, at the start of a sentence if there is one, so that the text around
//! a boundary is complete in one of the two chunks.

use std::ops::Range;

use memory_core::MemoryResult;
use unicode_segmentation::UnicodeSegmentation;

use crate::tokenizer::Tokenizer;

/// The bytes of text that are tokenized per token of a chunk. English has about
/// 4.5 bytes per token, so that one pass is usually enough.
const BYTES_PER_TOKEN: usize = 6;
/// A chunk has at least one part in this many of the maximum length before it
/// may end at a sentence: the vector of a very short chunk is of little use.
const MIN_LENGTH_DIVISOR: usize = 3;
/// Neighboring chunks share at most one part in this many of the maximum length.
const OVERLAP_DIVISOR: usize = 5;

/// The chunks of a text as byte ranges; one range for a text that fits. Each
/// chunk fits the maximum length together with special tokens and the prompt of
/// either role.
///
/// # Errors
/// [`MemoryError::Embedder`](memory_core::MemoryError::Embedder) if the
/// tokenizer fails on the text.
pub fn chunk(tokenizer: &Tokenizer, text: &str) -> MemoryResult<Vec<Range<usize>>> {
    let mut chunks = Vec::new();
    // The start of this chunk, and the end of the previous one.
    let (mut start, mut covered) = (0, 0);
    while let Some(boundary) = Boundary::find(tokenizer, &text[start..], covered - start)? {
        // A text that fits is one chunk even if its beginning alone does not
        // fit: a very long word is one unknown token as a whole and many tokens
        // in part.
        if chunks.is_empty() && tokenizer.offsets(text)?.len() <= tokenizer.max_content_tokens() {
            break;
        }
        chunks.push(start..start + boundary.end);
        covered = start + boundary.end;
        start += boundary.next;
    }
    chunks.push(start..text.len());
    Ok(chunks)
}

/// The end of a chunk and the start of the next one, in bytes from the start of
/// the chunk; `next < end`. What both chunks share fits the maximum length together
/// with the character after it, so that the next chunk can always add something.
struct Boundary {
    end: usize,
    next: usize,
}

impl Boundary {
    /// Finds the boundary in a text of which the previous chunk contains
    /// `covered` bytes; `None` if the whole text fits.
    fn find(tokenizer: &Tokenizer, text: &str, covered: usize) -> MemoryResult<Option<Self>> {
        // With at least one character that no chunk contains yet: what is shared can
        // be one very long word.
        let mut length = (tokenizer.max_content_tokens() * BYTES_PER_TOKEN)
            .max(text.ceil_char_boundary(covered + 1));
        loop {
            let piece = &text[..text.floor_char_boundary(length)];
            let offsets = tokenizer.offsets(piece)?;
            if offsets.len() > tokenizer.max_content_tokens() {
                return Self::select(tokenizer, piece, &offsets, covered).map(Some);
            }
            if piece.len() == text.len() {
                return Ok(None);
            }
            length *= 2;
        }
    }

    /// Selects the boundary in a piece that does not fit.
    fn select(
        tokenizer: &Tokenizer,
        piece: &str,
        offsets: &[(usize, usize)],
        covered: usize,
    ) -> MemoryResult<Self> {
        let max_tokens = tokenizer.max_content_tokens();
        let sentence_starts: Vec<usize> = piece
            .split_sentence_bound_indices()
            .map(|(start, _)| start)
            .collect();
        let min = covered.max(offsets[max_tokens / MIN_LENGTH_DIVISOR].0);
        // One character beyond the end of the previous chunk: the shortest chunk that
        // adds something. `leave_room` made it fit.
        let shortest = piece.ceil_char_boundary(covered + 1);
        let mut tokens = max_tokens;
        let end = loop {
            let limit = piece.floor_char_boundary(offsets[tokens].0);
            let end = last_end(piece, &sentence_starts, min, limit).unwrap_or(limit);
            if end <= shortest {
                break shortest;
            }
            // A part of a word can have more tokens than the whole word.
            let excess = tokenizer
                .offsets(&piece[..end])?
                .len()
                .saturating_sub(max_tokens);
            if excess == 0 {
                break end;
            }
            if tokens == 1 {
                break shortest;
            }
            tokens = tokens.saturating_sub(excess).max(1);
        };
        let inside = offsets.partition_point(|(start, _)| *start < end);
        let earliest = offsets[inside.saturating_sub(max_tokens / OVERLAP_DIVISOR)].0;
        let next = first_start(
            piece,
            &sentence_starts,
            piece.floor_char_boundary(earliest),
            end,
        );
        let next = leave_room(tokenizer, piece, next, end)?;
        Ok(Self { end, next })
    }
}

/// The start of the next chunk, moved toward `end` until what is shared fits the
/// maximum length together with the character after it. Characters that are no words
/// of the model can have more tokens alone than within the text before them.
fn leave_room(
    tokenizer: &Tokenizer,
    piece: &str,
    mut next: usize,
    end: usize,
) -> MemoryResult<usize> {
    let with_one_more = piece.ceil_char_boundary(end + 1);
    let last = piece.floor_char_boundary(end - 1);
    while next < last
        && tokenizer.offsets(&piece[next..with_one_more])?.len() > tokenizer.max_content_tokens()
    {
        next = piece
            .ceil_char_boundary(next + (end - next).div_ceil(2))
            .min(last);
    }
    Ok(next)
}

/// The last end of a sentence, or else of a word, in `min + 1..=max`, without
/// the white space that follows it.
fn last_end(piece: &str, sentence_starts: &[usize], min: usize, max: usize) -> Option<usize> {
    let trimmed = |end: usize| piece[..end].trim_end().len();
    let good = |end: &usize| (min + 1..=max).contains(end);
    let sentence = sentence_starts
        .iter()
        .rev()
        .map(|start| trimmed(*start))
        .find(good);
    let word = || {
        // White space directly at the maximum also ends a word.
        let reach = piece.ceil_char_boundary(max + 1);
        let space = piece[..reach].rfind(char::is_whitespace)?;
        Some(trimmed(space)).filter(good)
    };
    sentence.or_else(word)
}

/// The start of the next chunk: the first start of a sentence, or else of a word,
/// in `earliest..end`, or else `earliest`.
fn first_start(piece: &str, sentence_starts: &[usize], earliest: usize, end: usize) -> usize {
    let shared = &piece[earliest..end];
    let sentence = sentence_starts
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
        // The whole chunk would be shared, as a single sentence or word. Its
        // second half, by characters, is shared instead.
        return piece.ceil_char_boundary(end.div_ceil(2)).min(end);
    }
    start
}

#[cfg(test)]
mod tests;
