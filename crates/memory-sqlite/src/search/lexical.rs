//! The lexical retriever: BM25 over the words of one entity.
//!
//! FTS5 holds the index, but its own `bm25()` is not used: it counts over all
//! entities, so that one entity's scores would reveal the words of another's
//! memories, would change when another writes, and would cost a scan of all
//! postings. Instead every word is prefixed with its entity (`3_mill`), which
//! gives each entity posting lists of its own, and the score is computed here
//! from the counts of that entity alone.
//!
//! The index holds the terms that `memory_text` derives from a text. Where that changes,
//! `reindex` makes the entries again in the background. Meanwhile the texts of memories
//! whose entries are older are analyzed for each search, until the entry is made again or a
//! page has the words: so a search finds the same before, during and after the conversion.

use std::ops::Range;

use memory_core::{ErrorKind, Language, MemoryError, ScoreStats, ScoreStatsBuilder, TermStats};
use memory_text::{PairPostings, QueryTerms, bm25, for_each_stem, indexed_pairs, word_digest};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query};

use crate::connections::blocking::{fold_long_rows, fold_rows, run_blocking};
use crate::connections::cancel::CancelSignal;
use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::reindex::analysis_state::AnalysisState;
use crate::rows::row_keys;
use crate::rows::{EntityRow, to_json};
use crate::search::Search;
use crate::search::matching::Matching;
use crate::search::page::{self, MissingPage, PageTable};
use crate::search::pairs;
use crate::search::top_k::TopK;
use crate::search::word_page::WordPage;

/// The entry of a memory in the index, and its word count.
pub(crate) fn index_entry(
    entity_key: i64,
    content: &str,
    language: Option<Language>,
) -> (String, i64) {
    let (mut entry, mut count) = (String::with_capacity(content.len() * 2), 0);
    for_each_stem(content, language, |word| {
        if count > 0 {
            entry.push(' ');
        }
        entry.push_str(&index_term(entity_key, word));
        count += 1;
    });
    (entry, count)
}

/// Inserts entries: pairs of memory key and entry, as JSON. A literal for `concat!`.
macro_rules! insert_entries {
    () => {
        "INSERT INTO memory_words (rowid, words)
         SELECT value ->> 0, value ->> 1 FROM jsonb_each(?)"
    };
}
pub(crate) use insert_entries;

/// As [`insert_entries`].
pub(crate) const INSERT_ENTRIES: &str = insert_entries!();

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
    number: u32,
    /// How often the word occurs in the memory.
    count: u32,
    /// The word count of the memory.
    length: u32,
}

/// The index of an entity, and how texts are analyzed that it does not have.
#[derive(Debug)]
pub(crate) struct SearchedIndex {
    pub(crate) entity: EntityRow,
    pub(crate) analysis: AnalysisState,
    pub(crate) language: Option<Language>,
    /// Ends the analysis of texts, which may take long, where the caller of the search is gone.
    pub(crate) signal: CancelSignal,
}

/// What a query's words find.
#[derive(Default)]
pub(crate) struct LexicalOutcome {
    /// The BM25 of every memory by its number, 0 where it contains no word or does
    /// not match the filter; those at the end may be missing.
    scores: Vec<f32>,
    /// The keys of the memories with the highest scores.
    pub(crate) top: Vec<i64>,
    /// Statistics of the scores of all memories that match.
    pub(crate) stats: ScoreStats,
    /// How common the words are.
    pub(crate) terms: TermStats,
    /// The numbers of memories that may contain a pair of the query, see `pairs`.
    pub(crate) with_pairs: Vec<u32>,
    pub(crate) missing: Vec<MissingPage>,
}

impl LexicalOutcome {
    /// The BM25 of a memory that contains a word.
    pub(crate) fn score(&self, number: i64) -> Option<f32> {
        let score = self.scores.get(usize::try_from(number).ok()?)?;
        Some(*score).filter(|score| *score > 0.0)
    }
}

/// Scores every memory that contains a word of the query and matches the filter.
/// The inverse document frequency is taken over all of the entity's memories, so a
/// memory scores the same under every filter.
pub(crate) async fn scan(
    conn: &mut SqliteConnection,
    searched: &SearchedIndex,
    matching: &Matching,
    terms: &QueryTerms,
    limit: usize,
) -> Result<LexicalOutcome, Failure> {
    let entity = &searched.entity;
    let mut words = terms.stems().to_vec();
    words.sort_unstable();
    let WordMatches {
        matches,
        added_words,
        missing,
    } = find_matches(conn, searched, &words).await?;
    let pairs = match pairs::are_searched(entity) {
        true => terms.pair_words().to_vec(),
        false => Vec::new(),
    };
    let size = matches.len() + pairs.len();
    let scoring = Scoring {
        entity: EntityRow {
            word_count: entity.word_count.saturating_add_signed(added_words),
            ..*entity
        },
        matching: matching.clone(),
        pairs,
        words,
    };
    let outcome = run_blocking(size, move || scoring.score(&matches, limit)).await?;
    Ok(LexicalOutcome { missing, ..outcome })
}

/// What the scores are computed with.
struct Scoring {
    entity: EntityRow,
    matching: Matching,
    words: Vec<String>,
    /// The pairs of the query, by the digests of their words.
    pairs: Vec<(u64, u64)>,
}

impl Scoring {
    /// The words of each memory have to be in the order of the query, so that sums
    /// are rounded alike.
    fn score(self, matches: &[WordMatch], limit: usize) -> LexicalOutcome {
        let memories = self.entity.memory_count;
        let mean_length = to_f64(self.entity.word_count) / to_f64(memories.max(1));
        let mut document_counts = vec![0u64; self.words.len()];
        for found in matches {
            document_counts[found.word] += 1;
        }
        let idf = document_counts.iter();
        let idf: Vec<f64> = idf.map(|count| bm25::idf(memories, *count)).collect();
        let mut sums: Vec<f64> = Vec::new();
        for found in matches {
            if !self.matching.contains(found.number) {
                continue;
            }
            let index = found.number as usize;
            if sums.len() <= index {
                sums.resize(index + 1, 0.0);
            }
            let weight = bm25::term_weight(found.count, found.length, mean_length);
            sums[index] += idf[found.word] * weight;
        }
        let scores: Vec<f32> = sums.into_iter().map(to_f32).collect();
        let (mut stats, mut top_k) = (ScoreStatsBuilder::default(), TopK::new(limit));
        for (number, score) in (0..).zip(&scores).filter(|(_, score)| **score > 0.0) {
            stats.add(*score);
            top_k.offer(row_keys::key(self.entity.key, number), *score);
        }
        stats.add_zeros(self.matching.len().saturating_sub(stats.count()));
        let with_pairs = self.with_pairs(matches);
        let counts = self.words.into_iter().zip(document_counts).collect();
        LexicalOutcome {
            scores,
            top: top_k.keys().collect(),
            stats: stats.summary(),
            terms: TermStats::new(memories, Some(mean_length), counts),
            with_pairs,
            missing: Vec::new(),
        }
    }

    /// The memories that match and may contain a pair.
    fn with_pairs(&self, matches: &[WordMatch]) -> Vec<u32> {
        let pairs = indexed_pairs(&self.pairs, &self.words);
        let mut postings = PairPostings::new(pairs, self.words.len());
        if postings.is_empty() {
            return Vec::new();
        }
        for found in matches {
            if self.matching.contains(found.number) {
                postings.add(found.word, found.number, found.count);
            }
        }
        postings.select()
    }
}

/// Where the words of a query are.
#[derive(Default)]
struct WordMatches {
    matches: Vec<WordMatch>,
    /// What the texts that were analyzed add to the word count of the entity.
    added_words: i64,
    missing: Vec<MissingPage>,
}

/// Finds the words in pages and, of memories that are in none, in their entries; in
/// the index where many pages are missing; and in texts where entries are outdated.
async fn find_matches(
    conn: &mut SqliteConnection,
    searched: &SearchedIndex,
    words: &[String],
) -> Result<WordMatches, Failure> {
    let SearchedIndex {
        entity,
        analysis,
        language,
        signal,
    } = searched;
    if words.is_empty() {
        return Ok(WordMatches::default());
    }
    let first_outdated = analysis.first_outdated(entity);
    let state = WordScan {
        words: words.to_vec(),
        digests: words.iter().map(|word| word_digest(word)).collect(),
        language: *language,
        signal: signal.clone(),
        matches: Vec::new(),
        added_words: 0,
    };
    let pages = PageTable::Words(analysis.conversion());
    let (owner, end) = (entity.key, entity.next_number);
    let (mut scan, unread) =
        page::fold(conn, pages, owner, end, state, WordScan::find_in_page).await?;
    let (converted, outdated) = split_ranges(unread.numbers, first_outdated);
    let missing = unread.missing.iter();
    let missing = missing.filter(|it| page::numbers(it.page).start < first_outdated);
    let pages = page::complete_pages(end).count();
    if !converted.is_empty() && (pages == 0 || missing.count() * 4 > pages) {
        let is_converted = |it: &WordMatch| i64::from(it.number) < first_outdated;
        let indexed = find_in_index(conn, owner, words).await?;
        if first_outdated >= end {
            scan.matches = indexed;
        } else {
            scan.matches.retain(|it| !is_converted(it));
            scan.matches
                .extend(indexed.into_iter().filter(is_converted));
        }
    } else {
        for numbers in converted {
            let rows = query(
                "SELECT w.rowid - ?1, m.word_count, w.words FROM memory_words AS w
                 CROSS JOIN memory AS m ON m.memory_key = w.rowid
                 WHERE w.rowid >= ?2 AND w.rowid < ?3",
            )
            .bind(row_keys::key(owner, 0))
            .bind(row_keys::key(owner, numbers.start))
            .bind(row_keys::key(owner, numbers.end))
            .fetch(&mut *conn);
            scan = fold_rows(rows, scan, WordScan::find_in_entry).await?;
        }
    }
    for numbers in outdated {
        let rows = query(
            "SELECT m.memory_key - ?1, m.word_count, m.content FROM memory AS m
             WHERE m.memory_key >= ?2 AND m.memory_key < ?3 AND m.archived_by IS NULL",
        )
        .bind(row_keys::key(owner, 0))
        .bind(row_keys::key(owner, numbers.start))
        .bind(row_keys::key(owner, numbers.end))
        .fetch(&mut *conn);
        scan = fold_long_rows(rows, scan, WordScan::find_in_text).await?;
    }
    Ok(WordMatches {
        matches: scan.matches,
        added_words: scan.added_words,
        missing: unread.missing,
    })
}

/// The parts of ranges below a number, and those from it on.
fn split_ranges(ranges: Vec<Range<i64>>, number: i64) -> (Vec<Range<i64>>, Vec<Range<i64>>) {
    let below = ranges.iter().map(|it| it.start..it.end.min(number));
    let from = ranges.iter().map(|it| it.start.max(number)..it.end);
    (
        below.filter(|it| !it.is_empty()).collect(),
        from.filter(|it| !it.is_empty()).collect(),
    )
}

/// The state of a scan for words.
struct WordScan {
    words: Vec<String>,
    digests: Vec<u64>,
    language: Option<Language>,
    signal: CancelSignal,
    matches: Vec<WordMatch>,
    /// What the texts that were analyzed add to the word count of the entity.
    added_words: i64,
}

impl WordScan {
    fn find_in_page(&mut self, page: i64, content: &[u8]) -> Result<(), Failure> {
        let first = page::number(page, 0)?;
        let content = WordPage::decode(content)?;
        for (word, digest) in self.digests.iter().enumerate() {
            self.matches
                .extend(content.find(*digest).map(|posting| WordMatch {
                    word,
                    number: first + u32::from(posting.number),
                    count: posting.count.into(),
                    length: posting.length,
                }));
        }
        Ok(())
    }

    fn find_in_entry(&mut self, row: &SqliteRow) -> Result<(), Failure> {
        let (number, length) = (row.try_get(0)?, row.try_get(1)?);
        let mut counts = vec![0; self.words.len()];
        for word in words_of(row.try_get(2)?) {
            self.count(word, &mut counts);
        }
        self.add(number, length, counts);
        Ok(())
    }

    /// Analyzes the text of a memory whose entry is outdated, and its word count may be.
    fn find_in_text(&mut self, row: &SqliteRow) -> Result<(), Failure> {
        if self.signal.is_cancelled() {
            let message = "the caller is gone; nothing was found";
            return Err(MemoryError::store(ErrorKind::Other, Search::OPERATION, message).into());
        }
        let (number, stored_length): (u32, i64) = (row.try_get(0)?, row.try_get(1)?);
        let (mut counts, mut length) = (vec![0; self.words.len()], 0u32);
        for_each_stem(row.try_get(2)?, self.language, |word| {
            length += 1;
            self.count(word, &mut counts);
        });
        self.added_words += i64::from(length) - stored_length;
        self.add(number, length, counts);
        Ok(())
    }

    fn count(&self, word: &str, counts: &mut [u32]) {
        if let Ok(index) = self.words.binary_search_by(|known| (**known).cmp(word)) {
            counts[index] += 1;
        }
    }

    fn add(&mut self, number: u32, length: u32, counts: Vec<u32>) {
        let counts = counts.into_iter().enumerate();
        let found = counts.filter(|(_, count)| *count > 0);
        self.matches.extend(found.map(|(word, count)| WordMatch {
            word,
            number,
            count,
            length,
        }));
    }
}

/// The words of an entry, without the prefix that marks their entity.
pub(crate) fn words_of(entry: &str) -> impl Iterator<Item = &str> {
    let terms = entry.split(' ').filter(|term| !term.is_empty());
    terms.map(|term| term.split_once('_').map_or(term, |(_, word)| word))
}

async fn find_in_index(
    conn: &mut SqliteConnection,
    entity_key: i64,
    words: &[String],
) -> Result<Vec<WordMatch>, Failure> {
    let terms: Vec<String> = words
        .iter()
        .map(|word| index_term(entity_key, word))
        .collect();
    let rows = query(
        "SELECT w.word, w.doc - ?1, w.count, m.word_count
         FROM (SELECT wanted.key AS word, place.doc, count(*) AS count
             FROM json_each(?2) AS wanted
             CROSS JOIN memory_word_place AS place ON place.term = wanted.value
             GROUP BY wanted.key, place.doc) AS w
         CROSS JOIN memory AS m ON m.memory_key = w.doc",
    )
    .bind(row_keys::key(entity_key, 0))
    .bind(to_json(&terms)?)
    .fetch(conn);
    let words = words.len();
    fold_rows(rows, Vec::new(), move |matches, row| {
        let word = usize::try_from(row.try_get::<u32, _>(0)?).ok();
        matches.push(WordMatch {
            word: word
                .filter(|word| *word < words)
                .ok_or(Failure::Damaged("the index of a word is out of range"))?,
            number: row.try_get(1)?,
            count: row.try_get(2)?,
            length: row.try_get(3)?,
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
        assert_ne!(index_entry(1, "2mill", None), index_entry(12, "mill", None));
        let entry = "3_mill 3_south".to_owned();
        assert_eq!(index_entry(3, "The mills, south!", None), (entry, 2));
    }
}
