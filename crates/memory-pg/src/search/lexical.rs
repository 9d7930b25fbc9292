//! The lexical retriever: Okapi BM25, computed in the database over the terms that
//! `memory_text` makes of a text, as the other stores and snapshots do.
//!
//! The column `lexemes` is a `tsvector` of a memory's terms, in which the position of a
//! term is how often it occurs: one number for each term, however often it occurs.
//! Until migration 0006 the server made it, by its own `english` configuration, with the
//! positions of words. Such rows are found by what that configuration makes of a query,
//! until `reindex` has made their terms. Rows of versions 4 to 6 are found by the terms of
//! version 7: those of English words and of most others are the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use memory_core::{EmbeddedMemory, Language, MemoryResult};
use memory_text::bm25::{B, K1};
use memory_text::{ANALYSIS_VERSION, QueryTerms, for_each_stem};

use crate::connections::blocking::run_blocking;
use crate::rows::sql::SqlBuilder;
use crate::search::filter::{Conditions, LIVE};
use crate::search::pairs::PairWords;

/// The version of the analysis that new rows have in the column `analysis`; 0 are the
/// rows of which the server made the lexemes.
pub(crate) const ANALYSIS: i32 = ANALYSIS_VERSION.cast_signed();

/// The condition on `m` that its terms are of an older version, literally as in the
/// predicate of the index `idx_memory_outdated`.
pub(crate) const OUTDATED: &str = "m.analysis < 7";
const _: () = assert!(
    ANALYSIS == 7,
    "a new version of the analysis needs a migration that replaces idx_memory_outdated, and \
     another version in OUTDATED"
);

/// The highest position in a `tsvector`.
const MAX_FREQUENCY: u32 = 16_383;

/// Texts up to this size, in bytes, are analyzed on the async worker: some hundred
/// microseconds.
const MAX_ANALYZED_INLINE: usize = 4_096;

/// What the table `memory` has of a memory for the lexical retriever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// The text of the `tsvector`.
    pub(crate) lexemes: String,
    /// The number of terms, repetitions included.
    pub(crate) word_count: i32,
}

impl IndexEntry {
    pub(crate) fn new(content: &str, language: Option<Language>) -> Self {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        let mut word_count = 0i32;
        for_each_stem(content, language, |term| {
            word_count = word_count.saturating_add(1);
            if let Some(count) = counts.get_mut(term) {
                *count += 1;
            } else {
                counts.insert(term.to_owned(), 1);
            }
        });
        let mut lexemes = String::with_capacity(content.len() * 2);
        for (term, count) in &counts {
            push_quoted(&mut lexemes, term);
            let count = (*count).min(MAX_FREQUENCY);
            // Writing to a text cannot fail.
            let _ = write!(lexemes, ":{count} ");
        }
        Self {
            lexemes,
            word_count,
        }
    }
}

/// A memory to insert, with what is indexed of it.
#[derive(Debug, Clone)]
pub(crate) struct IndexedMemory {
    pub(crate) item: EmbeddedMemory,
    pub(crate) entry: IndexEntry,
}

/// Analyzes memories, before the transaction that inserts them; many on a blocking
/// thread.
pub(crate) async fn index_memories(
    operation: &'static str,
    items: Vec<EmbeddedMemory>,
    language: Option<Language>,
) -> MemoryResult<Vec<IndexedMemory>> {
    let bytes: usize = items.iter().map(|it| it.memory.content.len()).sum();
    let index = move || {
        let indexed = items.into_iter().map(|item| IndexedMemory {
            entry: IndexEntry::new(&item.memory.content, language),
            item,
        });
        indexed.collect()
    };
    run_blocking(operation, bytes <= MAX_ANALYZED_INLINE, index).await
}

/// Analyzes texts; many on a blocking thread.
pub(crate) async fn index_contents(
    operation: &'static str,
    contents: Vec<String>,
    language: Option<Language>,
) -> MemoryResult<Vec<IndexEntry>> {
    let bytes: usize = contents.iter().map(String::len).sum();
    let index = move || {
        let contents = contents.iter();
        contents.map(|it| IndexEntry::new(it, language)).collect()
    };
    run_blocking(operation, bytes <= MAX_ANALYZED_INLINE, index).await
}

/// A text that is searched for.
#[derive(Debug)]
pub(crate) struct LexicalQuery {
    text: String,
    pub(crate) terms: QueryTerms,
    /// Its distinct terms, in order.
    words: Vec<String>,
    /// Those of its pairs.
    pub(crate) pair_words: PairWords,
}

impl LexicalQuery {
    pub(crate) fn new(text: &str, language: Option<Language>) -> Self {
        let terms = QueryTerms::new(text, language, false);
        let mut words = terms.stems().to_vec();
        words.sort_unstable();
        Self {
            text: text.to_owned(),
            pair_words: PairWords::new(terms.pair_words(), &words),
            terms,
            words,
        }
    }

    /// Analyzes a text; a long one on a blocking thread.
    pub(crate) async fn analyze(
        operation: &'static str,
        text: &str,
        language: Option<Language>,
    ) -> MemoryResult<Self> {
        /// In bytes, as the pairs of its words are compared with each other: some 250 words.
        const MAX_INLINE: usize = 1_024;
        let is_small = text.len() <= MAX_INLINE;
        let text = text.to_owned();
        run_blocking(operation, is_small, move || Self::new(&text, language)).await
    }
}

/// Adds the table expressions `lexical (memory_id, score, words)`: every memory that
/// meets the conditions on `m` and contains a term of the query, with those of them that
/// are in pairs ([`PairWords`]); `lexeme_counts (lexeme, holders)`: how many memories
/// contain each term; and `query_terms (is_outdated)`: whether the entity has terms of an
/// older version.
///
/// Only the terms of the query are unnested: they get a weight that no other has,
/// and the others are filtered out, which takes half the time of comparing all. They are
/// unnested in the select list: in `FROM` the server would store them for each memory
/// before it reads them.
///
/// Each match has a weight, so that a full join is as an inner one; it takes one pass over
/// both, whatever the planner expects.
///
/// Any term may match. Document frequencies and the mean length are those of the whole
/// entity: a memory scores the same under every filter.
pub(crate) fn push_retriever(
    sql: &mut SqlBuilder,
    entity_param: &str,
    query: &LexicalQuery,
    conditions: &Conditions,
) {
    let any = sql.value(any_of(&query.words), "text");
    let terms = sql.value(query.words.clone(), "text[]");
    let text = sql.value(query.text.as_str(), "text");
    let admits = &conditions.of_many;
    // Of a row without lexemes they are made here: a distributed server has none of
    // before migration 0006, and an older program that is still running inserts none.
    let matches = |lexemes: &str, frequency: &str, condition: &str| {
        format!(
            "SELECT x.memory_id, x.word_count, (x.term).lexeme AS lexeme, {frequency} AS frequency, \
               x.is_admitted \
             FROM (SELECT m.memory_id, m.word_count, m.analysis, (true{admits}) AS is_admitted, \
               unnest(ts_filter(setweight({lexemes}, 'A'::\"char\", \
                 (SELECT q.terms FROM query_terms q)), '{{a}}'::\"char\"[])) AS term \
               FROM memory m WHERE m.entity_id = {entity_param}{LIVE} AND {condition}) x"
        )
    };
    let indexed = matches(
        "m.lexemes",
        "CASE WHEN x.analysis = 0 THEN cardinality((x.term).positions) \
           ELSE ((x.term).positions)[1] END",
        "m.lexemes @@ (SELECT q.query FROM query_terms q)",
    );
    let without_lexemes = matches(
        &english("m.content"),
        "cardinality((x.term).positions)",
        &format!("m.lexemes IS NULL AND {OUTDATED}"),
    );
    let pair_words = query.pair_words.bits(sql);
    sql.push(format!(
        "query_terms AS MATERIALIZED (SELECT o.is_outdated, \
           {terms} || coalesce(s.lexemes, '{{}}'::text[]) AS terms, \
           coalesce({any}::tsquery || s.query, {any}::tsquery, s.query) AS query \
           FROM (SELECT EXISTS (SELECT FROM memory m WHERE m.entity_id = {entity_param} \
             AND {OUTDATED}) AS is_outdated) o \
           CROSS JOIN LATERAL (SELECT array_agg(s.lexeme) AS lexemes, \
             string_agg('''' || replace(replace(s.lexeme, '\\', '\\\\'), '''', '''''') || '''', \
               ' | ')::tsquery AS query \
             FROM unnest(tsvector_to_array({})) AS s(lexeme) WHERE o.is_outdated) s), \
         lexeme_matches AS MATERIALIZED ({indexed} UNION ALL {without_lexemes}), \
         lexeme_counts AS MATERIALIZED (SELECT x.lexeme, count(*) AS holders \
           FROM lexeme_matches x GROUP BY x.lexeme), \
         lexeme_weights AS MATERIALIZED (SELECT c.lexeme, \
             ln(1 + (e.memory_count - c.holders + {half}) / (c.holders + {half})) * {gain} AS weight, \
             {k1} * {free} AS discount, {k1} * {b} / greatest({MEAN_LENGTH}, 1) AS discount_per_word, \
             p.once, p.twice \
           FROM entity e CROSS JOIN lexeme_counts c \
           LEFT JOIN ({pair_words}) p ON p.lexeme = c.lexeme \
           WHERE e.entity_id = {entity_param}), \
         lexical AS MATERIALIZED (SELECT h.memory_id, \
             sum(w.weight * h.frequency \
               / (h.frequency + w.discount + w.discount_per_word * h.word_count))::real AS score, \
             bit_or(CASE WHEN h.frequency > 1 THEN w.twice ELSE w.once END) AS words \
           FROM lexeme_matches h FULL JOIN lexeme_weights w ON w.lexeme = h.lexeme \
           WHERE coalesce(h.is_admitted, false) GROUP BY h.memory_id)",
        english(&text),
        half = double(0.5),
        gain = double(K1 + 1.0),
        k1 = double(K1),
        free = double(1.0 - B),
        b = double(B),
    ));
}

/// A query for the rows of another one, which has a column `memory_id`, with the `score` of
/// each. The full join takes one pass over all scores, whatever the planner expects, and is
/// one since its condition may be met by rows of either side.
pub(crate) fn with_scores(wanted: &str) -> String {
    format!(
        "SELECT c.*, l.score FROM (SELECT true AS is_scored, c.* FROM ({wanted}) c) c \
         FULL JOIN lexical l ON l.memory_id = c.memory_id WHERE coalesce(c.is_scored, false)"
    )
}

/// The terms of a memory on average, of the row of the entity as `e`.
const MEAN_LENGTH: &str = "(e.word_count::double precision / greatest(e.memory_count, 1))";

/// What the server made of a text until migration 0006, as an expression.
fn english(text: &str) -> String {
    format!("to_tsvector('pg_catalog.english'::regconfig, translate({text}, '-_/.:@#', '       '))")
}

/// ` CROSS JOIN …` with the retriever's mean and deviation over all memories that
/// match the filter, where a memory without a term of the query scores 0; with how
/// many match, and how common the terms are.
pub(crate) fn score_stats(entity_param: &str, conditions: &Conditions) -> String {
    let admitted = if conditions.are_empty() {
        // The entity row counts live memories.
        format!("SELECT e.memory_count FROM entity e WHERE e.entity_id = {entity_param}")
    } else {
        format!("SELECT count(*) {}", conditions.all)
    };
    // Counts of different versions have no mean that says anything.
    format!(
        " CROSS JOIN (SELECT s.matching, \
           coalesce((SELECT e.memory_count FROM entity e WHERE e.entity_id = {entity_param}), 0) \
             AS memories, \
           (SELECT {MEAN_LENGTH} FROM entity e WHERE e.entity_id = {entity_param} \
             AND NOT (SELECT q.is_outdated FROM query_terms q)) AS mean_length, \
           (SELECT jsonb_object_agg(x.lexeme, x.holders) FROM lexeme_counts x) AS lexeme_holders, \
           s.mean::real AS lexical_mean, \
           sqrt(greatest(s.squares - s.mean * s.mean, {zero}))::real AS lexical_deviation \
           FROM (SELECT coalesce(sum(l.score::double precision), 0) / n.admitted AS mean, \
             coalesce(sum(l.score::double precision * l.score), 0) / n.admitted AS squares, \
             n.matching \
             FROM (SELECT c.matching, greatest(c.matching, 1)::double precision AS admitted \
               FROM (SELECT coalesce(({admitted}), 0) AS matching) c) n \
             LEFT JOIN lexical l ON true GROUP BY n.admitted, n.matching) s) ls",
        zero = double(0.0),
    )
}

/// A double-precision literal: without the cast it would be `numeric`, and
/// scoring would take twice as long.
fn double(number: f64) -> String {
    format!("{number}::double precision")
}

/// The text of a `tsquery` for any of the terms; `None` without terms, since an empty
/// one would be reported by a notice.
///
/// Its parts are halved: the server follows a chain of alternatives by recursion, and
/// that of a long text is too deep for its stack.
fn any_of(terms: &[String]) -> Option<String> {
    fn push(terms: &[String], query: &mut String) {
        match terms {
            [] => {}
            [term] => push_quoted(query, term),
            _ => {
                let (first, second) = terms.split_at(terms.len() / 2);
                query.push('(');
                push(first, query);
                query.push('|');
                push(second, query);
                query.push(')');
            }
        }
    }
    let mut query = String::new();
    push(terms, &mut query);
    (!query.is_empty()).then_some(query)
}

/// Adds a term in quotes, as `tsvector` and `tsquery` read it.
fn push_quoted(text: &mut String, term: &str) {
    text.push('\'');
    for c in term.chars() {
        if matches!(c, '\'' | '\\') {
            text.push(c);
        }
        text.push(c);
    }
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_has_each_term_with_its_frequency() {
        let entry = IndexEntry::new("The mills of a mill, INC-90312: 上海", None);
        let expected = "'90312':1 'inc':1 'inc90312':1 'inc·90312':1 'mill':2 '上海':1 ";
        assert_eq!((&*entry.lexemes, entry.word_count), (expected, 7));
        assert_eq!(IndexEntry::new("who is it?", None).lexemes, "");
    }

    #[test]
    fn query_is_for_any_term() {
        let terms = ["a'b", "c\\", "d"].map(str::to_owned);
        assert_eq!(any_of(&terms[..1]).unwrap(), "'a''b'");
        assert_eq!(any_of(&terms).unwrap(), r"('a''b'|('c\\'|'d'))");
        assert_eq!(any_of(&[]), None);
    }
}
