//! Extractive summaries: sentences of the sources, without a language model.

use std::collections::{BinaryHeap, HashMap, HashSet};

use memory_core::limits::MAX_CONTENT_CHARS;

/// Longest summary, in lengths of its longest source: the sources are
/// near-duplicates, so each adds little.
const LENGTH_FACTOR: usize = 2;

struct Sentence<'a> {
    text: &'a str,
    chars: usize,
    terms: Vec<String>,
}

/// Selects sentences of `contents` (at least one, not blank), in their order,
/// in at most twice the characters of the longest content and within the limit
/// of a memory.
///
/// Greedy coverage: the next sentence is the one whose terms, as far as they
/// are not covered yet, occur in the most contents (ties: the earlier one). A
/// sentence that adds no term is left out. Sentences are taken whole.
pub(crate) fn extractive_summary(contents: &[&str]) -> String {
    let longest = contents.iter().map(|text| text.chars().count()).max();
    let max_chars = (longest.unwrap_or(0) * LENGTH_FACTOR).min(MAX_CONTENT_CHARS);
    let sentences: Vec<Sentence<'_>> = contents.iter().flat_map(|text| split(text)).collect();
    let weights = document_frequencies(contents);
    let mut chosen = choose(&sentences, &weights, max_chars);
    chosen.sort_unstable();
    let texts: Vec<&str> = chosen.iter().map(|&at| sentences[at].text).collect();
    joined(&texts)
}

/// How many of the contents contain each term.
fn document_frequencies(contents: &[&str]) -> HashMap<String, u64> {
    let mut weights = HashMap::new();
    for content in contents {
        let own: HashSet<String> = split(content).flat_map(|one| one.terms).collect();
        for term in own {
            *weights.entry(term).or_default() += 1;
        }
    }
    weights
}

fn choose(
    sentences: &[Sentence<'_>],
    weights: &HashMap<String, u64>,
    max_chars: usize,
) -> Vec<usize> {
    let mut covered: HashSet<&str> = HashSet::new();
    let gain = |at: usize, covered: &HashSet<&str>| -> u64 {
        let fresh = sentences[at]
            .terms
            .iter()
            .filter(|term| !covered.contains(term.as_str()));
        fresh.filter_map(|term| weights.get(term)).sum()
    };
    // Lazy greedy evaluation: gains only fall as terms are covered, so an old
    // gain that is still the largest after recomputation is the maximum.
    let mut heap: BinaryHeap<(u64, std::cmp::Reverse<usize>)> = (0..sentences.len())
        .map(|at| (gain(at, &covered), std::cmp::Reverse(at)))
        .collect();
    let (mut chosen, mut used) = (Vec::new(), 0);
    while let Some((old, std::cmp::Reverse(at))) = heap.pop() {
        let now = gain(at, &covered);
        if now == 0 {
            continue;
        }
        if now < old {
            heap.push((now, std::cmp::Reverse(at)));
            continue;
        }
        // One more for the separator of two sentences.
        let cost = sentences[at].chars + usize::from(!chosen.is_empty());
        if used + cost > max_chars {
            continue;
        }
        used += cost;
        covered.extend(sentences[at].terms.iter().map(String::as_str));
        chosen.push(at);
    }
    chosen
}

/// Joins sentences by a space, or a newline after one without punctuation.
fn joined(sentences: &[&str]) -> String {
    let mut text = String::new();
    for sentence in sentences {
        if !text.is_empty() {
            let ended = text.ends_with(|c: char| !c.is_alphanumeric());
            text.push(if ended { ' ' } else { '\n' });
        }
        text.push_str(sentence);
    }
    text
}

/// The sentences of a text: up to a mark that ends one and white space after
/// it, an ideographic mark, or a line's end.
fn split(text: &str) -> impl Iterator<Item = Sentence<'_>> {
    let mut rest = text;
    let pieces = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, tail) = rest.split_at(first_sentence_end(rest));
        rest = tail;
        Some(piece.trim())
    });
    pieces.filter(|piece| !piece.is_empty()).map(|text| {
        let mut terms = memory_text::stems(text);
        if terms.is_empty() {
            // A sentence of stop words alone is content too.
            terms = memory_text::tokenize(text);
        }
        if terms.is_empty() {
            terms.push(text.to_owned());
        }
        terms.sort_unstable();
        terms.dedup();
        Sentence {
            text,
            chars: text.chars().count(),
            terms,
        }
    })
}

/// The byte at which the first sentence of `text` ends.
pub(super) fn first_sentence_end(text: &str) -> usize {
    let mut marked = false;
    for (at, c) in text.char_indices() {
        match c {
            '\n' | '。' | '！' | '？' => return at + c.len_utf8(),
            c if c.is_whitespace() && marked => return at,
            '.' | '!' | '?' | '…' => marked = true,
            // Quotation marks and brackets close after the mark.
            '"' | '\'' | '”' | '’' | '»' | ')' | ']' if marked => {}
            _ => marked = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_statements_appear_once_and_unique_ones_are_kept() {
        let summary = extractive_summary(&[
            "Tam sold me a lame horse.",
            "Tam sold me a lame horse at the market.",
            "Tam sold me the lame horse. He laughed about it.",
        ]);
        assert_eq!(
            summary,
            "Tam sold me a lame horse at the market. He laughed about it."
        );
    }

    #[test]
    fn sentences_are_split_at_their_ends() {
        let split: Vec<&str> = split("He said \"No.\" Then 3.5 miles!\nNew line 水。车 … end")
            .map(|sentence| sentence.text)
            .collect();
        assert_eq!(
            split,
            [
                "He said \"No.\"",
                "Then 3.5 miles!",
                "New line 水。",
                "车 …",
                "end"
            ]
        );
    }

    #[test]
    fn the_limit_holds_and_no_sentence_is_cut() {
        let long = |word: &str| -> String {
            (0..500)
                .map(|n| format!("{word}{n} is 记 number {n}. "))
                .collect::<String>()
                .chars()
                .take(MAX_CONTENT_CHARS)
                .collect()
        };
        let contents: Vec<String> = ["a", "b", "c", "d"].map(long).to_vec();
        let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
        let summary = extractive_summary(&contents);
        assert!(summary.chars().count() <= MAX_CONTENT_CHARS);
        assert!(summary.chars().count() > MAX_CONTENT_CHARS * 9 / 10);
        let whole: HashSet<&str> = contents
            .iter()
            .flat_map(|text| split(text))
            .map(|s| s.text)
            .collect();
        assert!(split(&summary).all(|sentence| whole.contains(sentence.text)));
    }

    #[test]
    fn texts_without_words_are_summarized() {
        assert_eq!(extractive_summary(&["🌾", "🌾"]), "🌾");
        assert_eq!(
            extractive_summary(&["It was him", "It was him"]),
            "It was him"
        );
    }
}
