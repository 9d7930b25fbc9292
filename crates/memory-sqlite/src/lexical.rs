//! The lexical retriever: BM25 over the words of one entity.
//!
//! FTS5 holds the index and its own `bm25()` is not used: that counts over all
//! entities, so that one entity's scores would tell of the words of another's
//! memories, would change when another writes, and would cost a scan of
//! everybody's postings. Instead every word is marked with its entity
//! (`3_mill`), which gives each entity posting lists of its own, and the score
//! is computed here from the counts of that entity alone.
//!
//! The index holds what `memory_text` makes of a text; where that changes, a
//! migration must index every memory anew.

use std::collections::HashMap;

use memory_core::MemoryFilter;
use memory_text::{bm25, for_each_stem};
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row};

use crate::entity::EntityRow;
use crate::error::Failure;
use crate::filter::push_conditions;
use crate::offload::fold;
use crate::row::to_json;

/// A memory's words as the index takes them, and how many there are.
pub(crate) fn index_entry(entity_key: i64, content: &str) -> (String, i64) {
    let (mut entry, mut count) = (String::with_capacity(content.len() * 2), 0);
    for_each_stem(content, |word| {
        if count > 0 {
            entry.push(' ');
        }
        entry.push_str(&mark(entity_key, word));
        count += 1;
    });
    (entry, count)
}

/// Writes entries: pairs of memory key and entry, as JSON.
pub(crate) const INSERT_ENTRIES: &str = "
    INSERT INTO memory_words (rowid, words) SELECT value ->> 0, value ->> 1 FROM jsonb_each(?1)";

/// Takes entries away, by their memory keys, as JSON.
pub(crate) const DELETE_ENTRIES: &str = "
    DELETE FROM memory_words WHERE rowid IN (SELECT value FROM json_each(?1))";

/// A word as a term of the index. No word holds an underscore.
fn mark(entity_key: i64, word: &str) -> String {
    format!("{entity_key}_{word}")
}

/// One word in one memory.
struct Match {
    /// Which word of the query.
    word: usize,
    memory_key: i64,
    /// How often the word stands in the memory.
    count: u32,
    /// How many words the memory has.
    length: u32,
    /// Whether the filter lets the memory through.
    admitted: bool,
}

/// Scores every memory that holds a word of `text` and that the filter admits,
/// by its key. Rarity is taken over all of the entity's memories, so a memory
/// scores the same under every filter.
pub(crate) async fn scores(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    filter: &MemoryFilter,
    text: &str,
) -> Result<HashMap<i64, f32>, Failure> {
    let mut words = memory_text::stems(text);
    words.sort_unstable();
    words.dedup();
    if words.is_empty() {
        return Ok(HashMap::new());
    }
    let matches = matches(conn, entity.key, filter, &words).await?;
    let mut holding = vec![0u64; words.len()];
    for found in &matches {
        holding[found.word] += 1;
    }
    let rarity: Vec<f64> = holding
        .into_iter()
        .map(|holding| bm25::idf(entity.memory_count, holding))
        .collect();
    let mean = float(entity.word_count) / float(entity.memory_count.max(1));
    let mut scores: HashMap<i64, f64> = HashMap::new();
    for found in matches.iter().filter(|found| found.admitted) {
        let weight = bm25::term_weight(found.count, found.length, mean);
        *scores.entry(found.memory_key).or_default() += rarity[found.word] * weight;
    }
    Ok(scores
        .into_iter()
        .map(|(key, score)| (key, narrow(score)))
        .collect())
}

async fn matches(
    conn: &mut SqliteConnection,
    entity_key: i64,
    filter: &MemoryFilter,
    words: &[String],
) -> Result<Vec<Match>, Failure> {
    let marked: Vec<String> = words.iter().map(|word| mark(entity_key, word)).collect();
    let mut query = QueryBuilder::new("SELECT w.word, w.doc, w.count, m.word_count, (true");
    push_conditions(&mut query, entity_key, filter);
    query
        .push(
            ") FROM (SELECT wanted.key AS word, place.doc, count(*) AS count
                 FROM json_each(",
        )
        .push_bind(to_json(&marked)?)
        .push(
            ") AS wanted CROSS JOIN memory_word_place AS place ON place.term = wanted.value
                 GROUP BY wanted.key, place.doc) AS w
             CROSS JOIN memory AS m ON m.memory_key = w.doc",
        );
    let rows = query.build().fetch(conn);
    let words = words.len();
    fold(rows, Vec::new(), move |matches, row| {
        let word = usize::try_from(row.try_get::<u32, _>(0)?).ok();
        matches.push(Match {
            word: word
                .filter(|word| *word < words)
                .ok_or(Failure::Damaged("a word's number is out of range"))?,
            memory_key: row.try_get(1)?,
            count: row.try_get(2)?,
            length: row.try_get(3)?,
            admitted: row.try_get(4)?,
        });
        Ok(())
    })
    .await
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a score needs 24 bits")]
fn narrow(score: f64) -> f32 {
    score as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_two_entities_are_never_the_same_term() {
        // "1" and "2mill" against "12" and "mill".
        assert_ne!(index_entry(1, "2mill"), index_entry(12, "mill"));
        let entry = "3_mill 3_south".to_owned();
        assert_eq!(index_entry(3, "The mills, south!"), (entry, 2));
    }
}
