//! The lexical retriever: Okapi BM25, computed in the database.

use crate::filter::LIVE;
use crate::sql::SqlBuilder;

/// Term frequency saturation: that of `memory-text`, which ranks the candidates.
const K1: f64 = 0.9;
/// Length normalization, likewise.
const B: f64 = 0.4;

/// Adds the table expressions `lexical (memory_id, score)`: every memory that
/// meets the conditions on `m` and contains a word of the query; and
/// `lexeme_counts (lexeme, holders)`: how many memories contain each word.
///
/// Only the lexemes of the query are unnested: they get a weight that no other has,
/// and the others are filtered out, which takes half the time of comparing all.
///
/// The query is stemmed as contents are, so none of its characters is an
/// operator. Any stem may match. Document frequencies and the mean length are
/// those of the whole entity: a memory scores the same under every filter.
pub(crate) fn push_retriever(
    sql: &mut SqlBuilder,
    entity_param: &str,
    text: &str,
    conditions: &str,
) {
    let text = sql.value(text, "text");
    sql.push(format!(
        "stems AS MATERIALIZED (SELECT s.lexeme FROM unnest(tsvector_to_array(to_tsvector(\
           'pg_catalog.english'::regconfig, translate({text}, '-_/.:@#', '       ')))) \
           AS s(lexeme)), \
         lexeme_matches AS MATERIALIZED (\
             SELECT m.memory_id, m.word_count, t.lexeme, cardinality(t.positions) AS frequency, \
               count(*) OVER (PARTITION BY t.lexeme) AS holders, \
               (true{conditions}) AS is_admitted \
             FROM memory m, unnest(ts_filter(setweight(m.lexemes, 'A'::\"char\", \
               (SELECT array_agg(s.lexeme) FROM stems s)), '{{a}}'::\"char\"[])) \
               AS t(lexeme, positions, weights) \
             WHERE m.entity_id = {entity_param}{LIVE} AND m.lexemes @@ (SELECT string_agg(\
               '''' || replace(replace(s.lexeme, '\\', '\\\\'), '''', '''''') \
               || '''', ' | ')::tsquery FROM stems s)), \
         lexeme_counts AS (SELECT x.lexeme, max(x.holders) AS holders FROM lexeme_matches x \
           GROUP BY x.lexeme), \
         lexical AS (SELECT h.memory_id, sum(\
             ln(1 + (e.memory_count - h.holders + {half}) / (h.holders + {half})) \
             * h.frequency * {gain} / (h.frequency + {k1} * ({free} + {b} * h.word_count \
                 * e.memory_count / greatest(e.word_count, 1))))::real AS score \
           FROM entity e CROSS JOIN lexeme_matches h \
           WHERE e.entity_id = {entity_param} AND h.is_admitted GROUP BY h.memory_id)",
        half = double(0.5),
        gain = double(K1 + 1.0),
        k1 = double(K1),
        free = double(1.0 - B),
        b = double(B),
    ));
}

/// ` CROSS JOIN …` with the retriever's mean and deviation over all memories that
/// match the filter, where a memory without a word of the query scores 0; with how
/// many match, and how common the words are.
pub(crate) fn score_stats(entity_param: &str, conditions: &str) -> String {
    let admitted = if conditions.is_empty() {
        // The entity row counts live memories.
        format!("SELECT e.memory_count FROM entity e WHERE e.entity_id = {entity_param}")
    } else {
        format!(
            "SELECT count(*) FROM memory m WHERE m.entity_id = {entity_param}{LIVE}{conditions}"
        )
    };
    format!(
        " CROSS JOIN (SELECT s.matching, \
           coalesce((SELECT e.memory_count FROM entity e WHERE e.entity_id = {entity_param}), 0) \
             AS memories, \
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

/// The number of words in a text, for BM25: runs of letters and digits. Stored
/// with the memory, since every score needs the mean over the entity.
pub(crate) fn word_count(text: &str) -> i32 {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    i32::try_from(words.count()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_count_ignores_punctuation() {
        assert_eq!(word_count("Ticket INC-90312, re: naïve Übergabe!"), 6);
        assert_eq!(word_count(" …!? "), 0);
    }
}
