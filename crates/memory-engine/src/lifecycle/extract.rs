//! A summary without a language model: the sentences that tell most.

use std::collections::{BinaryHeap, HashMap, HashSet};

use memory_core::limits::MAX_CONTENT_CHARS;

/// A summary may be this many times as long as its longest source: it stands
/// for near-duplicates, so that little is new in each.
const LENGTH_FACTOR: usize = 2;

struct Sentence<'a> {
    text: &'a str,
    chars: usize,
    terms: Vec<String>,
}

/// Chooses sentences of `contents` (at least one, not blank) and puts them in
/// their order, in at most twice the characters of the longest content, and
/// within the bound of a memory.
///
/// Greedy coverage: each next sentence is the one whose words not told yet
/// stand in the most of the contents together (ties: the earlier one). A
/// sentence that adds no word is left out, so what all say is said once, and
/// what one alone says is said as far as there is room. Sentences are taken
/// whole, as they stand.
pub(crate) fn extract(contents: &[&str]) -> String {
    let longest = contents.iter().map(|text| text.chars().count()).max();
    let room = (longest.unwrap_or(0) * LENGTH_FACTOR).min(MAX_CONTENT_CHARS);
    let sentences: Vec<Sentence<'_>> = contents.iter().flat_map(|text| split(text)).collect();
    let weights = weights(contents);
    let mut chosen = choose(&sentences, &weights, room);
    chosen.sort_unstable();
    let texts: Vec<&str> = chosen.iter().map(|&at| sentences[at].text).collect();
    joined(&texts)
}

/// In how many of the contents each term stands.
fn weights(contents: &[&str]) -> HashMap<String, u64> {
    let mut weights = HashMap::new();
    for content in contents {
        let own: HashSet<String> = split(content).flat_map(|one| one.terms).collect();
        for term in own {
            *weights.entry(term).or_default() += 1;
        }
    }
    weights
}

fn choose(sentences: &[Sentence<'_>], weights: &HashMap<String, u64>, room: usize) -> Vec<usize> {
    let mut told: HashSet<&str> = HashSet::new();
    let gain = |at: usize, told: &HashSet<&str>| -> u64 {
        let fresh = sentences[at]
            .terms
            .iter()
            .filter(|term| !told.contains(term.as_str()));
        fresh.filter_map(|term| weights.get(term)).sum()
    };
    // A gain only ever falls as more is told: so an old one that is still the
    // largest when it is counted anew is the largest of all.
    let mut heap: BinaryHeap<(u64, std::cmp::Reverse<usize>)> = (0..sentences.len())
        .map(|at| (gain(at, &told), std::cmp::Reverse(at)))
        .collect();
    let (mut chosen, mut used) = (Vec::new(), 0);
    while let Some((old, std::cmp::Reverse(at))) = heap.pop() {
        let now = gain(at, &told);
        if now == 0 {
            continue;
        }
        if now < old {
            heap.push((now, std::cmp::Reverse(at)));
            continue;
        }
        // One more for what stands between two sentences.
        let cost = sentences[at].chars + usize::from(!chosen.is_empty());
        if used + cost > room {
            continue;
        }
        used += cost;
        told.extend(sentences[at].terms.iter().map(String::as_str));
        chosen.push(at);
    }
    chosen
}

/// Sentences beside each other; one without an end of its own gets a line.
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
        let (piece, tail) = rest.split_at(end_of_first(rest));
        rest = tail;
        Some(piece.trim())
    });
    pieces.filter(|piece| !piece.is_empty()).map(|text| {
        let mut terms = memory_text::stems(text);
        if terms.is_empty() {
            // Nothing but stop words, or no words at all, is said as well.
            terms = memory_text::words(text);
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

/// Where the first sentence of `text` ends, in bytes.
pub(super) fn end_of_first(text: &str) -> usize {
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
    fn what_all_say_is_said_once_and_what_one_says_is_kept() {
        let summary = extract(&[
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
    fn sentences_end_where_they_end() {
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
    fn the_bound_holds_and_no_sentence_is_cut() {
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
        let summary = extract(&contents);
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
    fn texts_without_words_are_summarised_too() {
        assert_eq!(extract(&["🌾", "🌾"]), "🌾");
        assert_eq!(extract(&["It was him", "It was him"]), "It was him");
    }
}
