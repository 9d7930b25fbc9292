//! The lexical retriever: Okapi BM25, computed in the database.

use crate::filter::LIVE;
use crate::sql::Sql;

/// How soon repetition of a word stops to count; the customary value.
const K1: f64 = 1.2;
/// How much a long text is held back; the customary value.
const B: f64 = 0.75;

/// Adds the table expression `lexical (memory_id, score)`: every memory that
/// meets the conditions on `m` and in which a word of the query stands.
///
/// The query is cut into stems as contents are, so no sign of it is an
/// operator. Any stem may match. How rare a stem is, and how long the mean
/// text, is taken over the whole entity: a memory scores the same under every
/// filter.
pub(crate) fn push_arm(sql: &mut Sql, of: &str, text: &str, conditions: &str) {
    let text = sql.value(text, "text");
    sql.push(format!(
        "stems AS MATERIALIZED (SELECT s.lexeme FROM unnest(tsvector_to_array(to_tsvector(\
           'pg_catalog.english'::regconfig, translate({text}, '-_/.:@#', '       ')))) \
           AS s(lexeme)), \
         lexical AS (SELECT h.memory_id, sum(\
             ln(1 + (e.memory_count - h.holders + {half}) / (h.holders + {half})) \
             * h.frequency * {gain} / (h.frequency + {k1} * ({free} + {b} * h.word_count \
                 * e.memory_count / greatest(e.word_count, 1))))::real AS score \
           FROM entity e CROSS JOIN (\
             SELECT m.memory_id, m.word_count, cardinality(t.positions) AS frequency, \
               count(*) OVER (PARTITION BY t.lexeme) AS holders, \
               (true{conditions}) AS is_admitted \
             FROM memory m, unnest(m.lexemes) AS t(lexeme, positions, weights) \
             WHERE m.entity_id = {of}{LIVE} AND t.lexeme IN (SELECT s.lexeme FROM stems s) \
             AND m.lexemes @@ (SELECT string_agg(\
               '''' || replace(replace(s.lexeme, '\\', '\\\\'), '''', '''''') \
               || '''', ' | ')::tsquery FROM stems s)) h \
           WHERE e.entity_id = {of} AND h.is_admitted GROUP BY h.memory_id)",
        half = double(0.5),
        gain = double(K1 + 1.0),
        k1 = double(K1),
        free = double(1.0 - B),
        b = double(B),
    ));
}

/// ` CROSS JOIN …` with mean and deviation of the retriever over all that is
/// admitted: a memory in which no word of the query stands counts as 0.
pub(crate) fn summary(of: &str, conditions: &str) -> String {
    let admitted = if conditions.is_empty() {
        // The entity keeps count of what is live.
        format!("SELECT e.memory_count FROM entity e WHERE e.entity_id = {of}")
    } else {
        format!("SELECT count(*) FROM memory m WHERE m.entity_id = {of}{LIVE}{conditions}")
    };
    format!(
        " CROSS JOIN (SELECT s.mean::real AS lexical_mean, \
           sqrt(greatest(s.squares - s.mean * s.mean, {zero}))::real AS lexical_deviation \
           FROM (SELECT coalesce(sum(l.score::double precision), 0) / n.admitted AS mean, \
             coalesce(sum(l.score::double precision * l.score), 0) / n.admitted AS squares \
             FROM (SELECT greatest(coalesce(({admitted}), 0), 1)::double precision AS admitted) n \
             LEFT JOIN lexical l ON true GROUP BY n.admitted) s) ls",
        zero = double(0.0),
    )
}

/// A number as the processor reckons: without the cast it would be a decimal,
/// and scoring take twice as long.
fn double(number: f64) -> String {
    format!("{number}::double precision")
}
