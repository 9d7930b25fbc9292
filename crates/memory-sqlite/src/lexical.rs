//! The lexical retriever: BM25 over the words of one entity.
//!
//! FTS5 holds the index, but its own `bm25()` is not used: it counts over all
//! entities, so that one entity's scores would reveal the words of another's
//! memories, would change when another writes, and would cost a scan of all
//! postings. Instead every word is prefixed with its entity (`3_mill`), which
//! gives each entity posting lists of its own, and the score is computed here
//! from the counts of that entity alone.
//!
//! The index holds the terms that `memory_text` derives from a text; where that
//! changes, a migration must index every memory again.

use std::collections::{BTreeMap, HashMap};

use memory_core::{MemoryFilter, TermStats};
use memory_text::{bm25, for_each_stem};
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row};

use crate::blocking::fold_rows;
use crate::error::Failure;
use crate::filter::push_conditions;
use crate::rows::{EntityRow, to_json};

/// The entry of a memory in the index, and its word count.
pub(crate) fn index_entry(entity_key: i64, content: &str) -> (String, i64) {
    let (mut entry, mut count) = (String::with_capacity(content.len() * 2), 0);
    for_each_stem(content, |word| {
        if count > 0 {
            entry.push(' ');
        }
        entry.push_str(&index_term(entity_key, word));
        count += 1;
    });
    (entry, count)
}

/// Inserts entries: pairs of memory key and entry, as JSON.
pub(crate) const INSERT_ENTRIES: &str = "
    INSERT INTO memory_words (rowid, words) SELECT value ->> 0, value ->> 1 FROM jsonb_each(?1)";

/// Deletes entries by their memory keys, as JSON.
pub(crate) const DELETE_ENTRIES: &str = "
    DELETE FROM memory_words WHERE rowid IN (SELECT value FROM json_each(?1))";

/// A word as a term of the index. No word contains an underscore.
fn index_term(entity_key: i64, word: &str) -> String {
    format!("{entity_key}_{word}")
}

/// One word of the query in one memory.
struct WordMatch {
    /// The index of the word in the query.
    word: usize,
    memory_key: i64,
    /// How often the word occurs in the memory.
    count: u32,
    /// The word count of the memory.
    length: u32,
    /// Whether the memory matches the filter.
    matches_filter: bool,
}

/// What a query's words find.
#[derive(Default)]
pub(crate) struct LexicalScan {
    /// The BM25 of every memory that contains a word and matches the filter, by
    /// its key.
    pub(crate) scores: HashMap<i64, f32>,
    /// How common the words are.
    pub(crate) terms: TermStats,
}

/// Scores every memory that contains a word of `text` and matches the filter,
/// by its key. The inverse document frequency is taken over all of the entity's
/// memories, so a memory scores the same under every filter.
pub(crate) async fn scan(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    filter: &MemoryFilter,
    text: &str,
) -> Result<LexicalScan, Failure> {
    let mut words = memory_text::stems(text);
    words.sort_unstable();
    words.dedup();
    let mean_length = to_f64(entity.word_count) / to_f64(entity.memory_count.max(1));
    if words.is_empty() {
        return Ok(LexicalScan {
            terms: TermStats::new(entity.memory_count, Some(mean_length), BTreeMap::new()),
            ..LexicalScan::default()
        });
    }
    let matches = find_matches(conn, entity.key, filter, &words).await?;
    let mut document_counts = vec![0u64; words.len()];
    for found in &matches {
        document_counts[found.word] += 1;
    }
    let idf: Vec<f64> = document_counts
        .iter()
        .map(|documents| bm25::idf(entity.memory_count, *documents))
        .collect();
    let mut scores: HashMap<i64, f64> = HashMap::new();
    for found in matches.iter().filter(|found| found.matches_filter) {
        let weight = bm25::term_weight(found.count, found.length, mean_length);
        *scores.entry(found.memory_key).or_default() += idf[found.word] * weight;
    }
    let scores = scores.into_iter();
    let counts = words.into_iter().zip(document_counts).collect();
    Ok(LexicalScan {
        scores: scores.map(|(key, score)| (key, to_f32(score))).collect(),
        terms: TermStats::new(entity.memory_count, Some(mean_length), counts),
    })
}

async fn find_matches(
    conn: &mut SqliteConnection,
    entity_key: i64,
    filter: &MemoryFilter,
    words: &[String],
) -> Result<Vec<WordMatch>, Failure> {
    let terms: Vec<String> = words
        .iter()
        .map(|word| index_term(entity_key, word))
        .collect();
    let mut query = QueryBuilder::new("SELECT w.word, w.doc, w.count, m.word_count, (true");
    push_conditions(&mut query, entity_key, filter);
    query
        .push(
            ") FROM (SELECT wanted.key AS word, place.doc, count(*) AS count
                 FROM json_each(",
        )
        .push_bind(to_json(&terms)?)
        .push(
            ") AS wanted CROSS JOIN memory_word_place AS place ON place.term = wanted.value
                 GROUP BY wanted.key, place.doc) AS w
             CROSS JOIN memory AS m ON m.memory_key = w.doc",
        );
    let rows = query.build().fetch(conn);
    let words = words.len();
    fold_rows(rows, Vec::new(), move |matches, row| {
        let word = usize::try_from(row.try_get::<u32, _>(0)?).ok();
        matches.push(WordMatch {
            word: word
                .filter(|word| *word < words)
                .ok_or(Failure::Damaged("the index of a word is out of range"))?,
            memory_key: row.try_get(1)?,
            count: row.try_get(2)?,
            length: row.try_get(3)?,
            matches_filter: row.try_get(4)?,
        });
        Ok(())
    })
    .await
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a score needs 24 bits")]
fn to_f32(score: f64) -> f32 {
    score as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_two_entities_are_different_terms() {
        // "1" and "2mill" against "12" and "mill".
        assert_ne!(index_entry(1, "2mill"), index_entry(12, "mill"));
        let entry = "3_mill 3_south".to_owned();
        assert_eq!(index_entry(3, "The mills, south!"), (entry, 2));
    }
}
