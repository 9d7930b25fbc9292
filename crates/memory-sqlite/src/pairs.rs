//! Candidates by pairs of adjacent words.
//!
//! In a large entity most pairs of a question are in a handful of memories, and such a
//! pair outweighs everything else in their scores, although neither their vectors nor
//! their words need be among the best. Their number also decides what a pair is worth.
//! The index has no places that count stop words, so texts are read: those of the
//! memories that contain both words, the rarest pair first.

use std::collections::HashSet;

use memory_text::{QueryTerms, WordPair};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query};

use crate::blocking::fold_rows;
use crate::error::Failure;
use crate::page;
use crate::row_keys;
use crate::rows::{EntityRow, to_json};
use crate::top_k::TopK;

/// Most texts that are read for one search. With 2,000 of them the first ten of
/// 100,000 memories agree with an exhaustive ranking in 94 %, with 4,000 in 96 %
/// (docs/performance.md).
const MAX_TEXTS: usize = 4_096;

/// Whether candidates by pairs are worth their time: without pages, the other
/// retrievers find most of an entity.
pub(crate) fn are_searched(entity: &EntityRow) -> bool {
    !page::complete_pages(entity.next_number).is_empty()
}

/// Those of the pairs whose words are both in `words`, as indices in it.
pub(crate) fn indexed_pairs(pairs: &[WordPair], words: &[String]) -> Vec<(usize, usize)> {
    let wanted: HashSet<&WordPair> = pairs.iter().collect();
    let mut pairs = Vec::new();
    for (first, a) in words.iter().enumerate() {
        for (second, b) in words.iter().enumerate() {
            if wanted.contains(&WordPair::of(a, b)) {
                pairs.push((first, second));
            }
        }
    }
    pairs
}

/// The numbers in both of two ascending lists.
pub(crate) fn in_both(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut rest = b.iter().copied().peekable();
    let is_in_b = |number: &u32| {
        while rest.next_if(|other| other < number).is_some() {}
        rest.peek() == Some(number)
    };
    a.iter().copied().filter(is_in_b).collect()
}

/// The numbers of the memories whose texts are read, of those that contain both words
/// of each pair: all of the rarest pairs, and evenly spaced ones of the first for which
/// there are too many.
pub(crate) fn select(mut both: Vec<Vec<u32>>) -> Vec<u32> {
    both.sort_by_key(Vec::len);
    let mut selected = Vec::new();
    for numbers in both {
        let remaining = MAX_TEXTS - selected.len();
        let step = numbers.len().div_ceil(remaining.max(1)).max(1);
        selected.extend(numbers.into_iter().step_by(step).take(remaining));
    }
    selected.sort_unstable();
    selected.dedup();
    selected
}

/// Reads the texts with these numbers, except those that are `known`, and returns the
/// keys of up to `limit` that contain a pair, of the rarest pairs.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    terms: QueryTerms,
    numbers: &[u32],
    known: &HashSet<i64>,
    limit: usize,
) -> Result<Vec<i64>, Failure> {
    let keys = numbers
        .iter()
        .map(|number| row_keys::key(entity.key, (*number).into()));
    let keys: Vec<i64> = keys.filter(|key| !known.contains(key)).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = query(
        "SELECT m.memory_key, m.content FROM json_each(?1) AS wanted
         CROSS JOIN memory AS m ON m.memory_key = wanted.value",
    )
    .bind(to_json(&keys)?)
    .fetch(conn);
    let state = PairScan {
        terms,
        found: Vec::new(),
    };
    let scan = fold_rows(rows, state, PairScan::read).await?;
    Ok(scan.rarest(keys.len(), limit))
}

/// The state of a scan of texts.
struct PairScan {
    terms: QueryTerms,
    /// Keys of memories with how often they contain each pair.
    found: Vec<(i64, Vec<u32>)>,
}

impl PairScan {
    fn read(&mut self, row: &SqliteRow) -> Result<(), Failure> {
        let counts = self.terms.count(row.try_get(1)?).pairs;
        if counts.iter().any(|count| *count > 0) {
            self.found.push((row.try_get(0)?, counts));
        }
        Ok(())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "at most some thousand texts are read"
    )]
    fn rarest(&self, texts: usize, limit: usize) -> Vec<i64> {
        let idf = (0..self.terms.pairs().len()).map(|pair| {
            let containing = self.found.iter().filter(|(_, counts)| counts[pair] > 0);
            (texts as f32 / containing.count().max(1) as f32).ln_1p()
        });
        let idf: Vec<f32> = idf.collect();
        let mut top_k = TopK::new(limit);
        for (key, counts) in &self.found {
            let contained = idf.iter().zip(counts).filter(|(_, count)| **count > 0);
            top_k.offer(*key, contained.map(|(idf, _)| idf).sum());
        }
        top_k.keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_of_adjacent_words_that_are_indexed() {
        let text = "the old mills of the old river bridge";
        let mut words = memory_text::stems(text, None);
        words.sort_unstable();
        words.dedup();
        assert_eq!(words, ["bridg", "mill", "old", "river"]);
        assert_eq!(
            indexed_pairs(&memory_text::pairs(text), &words),
            [(2, 1), (2, 3), (3, 0)]
        );
    }

    #[test]
    fn all_of_the_rarest_pairs_are_read_and_some_of_the_others() {
        assert_eq!(in_both(&[1, 3, 5, 9], &[0, 3, 4, 9, 11]), [3, 9]);
        assert!(in_both(&[1], &[]).is_empty());
        let rare: Vec<u32> = (0..100).map(|n| n * 7).collect();
        let common: Vec<u32> = (0..50_000).collect();
        let selected = select(vec![common.clone(), rare.clone()]);
        assert!(rare.iter().all(|number| selected.contains(number)));
        assert!(selected.len() <= MAX_TEXTS && selected.len() > MAX_TEXTS * 9 / 10);
        assert!(selected.last() > Some(&49_000), "evenly spaced");
        assert_eq!(select(vec![Vec::new(), rare.clone()]), rare);
        assert!(select(vec![common.clone(), common]).len() <= MAX_TEXTS);
    }
}
