//! The lexical arm: Okapi BM25, computed in the database.

use crate::sql::Sql;

/// How soon repetition of a word stops to count; the customary value.
const K1: f64 = 1.2;
/// How much a long text is held back; the customary value.
const B: f64 = 0.75;

/// Adds the table expression `lexical (memory_id, score)`: every admitted
/// memory in which a word of the query stands.
///
/// The query is cut into stems as contents are, so no sign of it is an
/// operator. Any stem may match. How rare a stem is, and how long the mean
/// text, is taken over the whole entity: a memory scores the same under every
/// filter. `admitted` restricts the alias `h`.
pub(crate) fn push_arm(sql: &mut Sql, of: &str, text: &str, admitted: &str) {
    let text = sql.value(text, "text");
    sql.push(format!(
        "stems AS MATERIALIZED (SELECT s.lexeme FROM unnest(tsvector_to_array(to_tsvector(\
           'pg_catalog.english'::regconfig, translate({text}, '-_/.:@#', '       ')))) \
           AS s(lexeme)), \
         hits AS MATERIALIZED (SELECT m.memory_id, m.word_count, t.lexeme, \
           cardinality(t.positions) AS frequency \
           FROM memory m, unnest(m.lexemes) AS t(lexeme, positions, weights) \
           WHERE m.entity_id = {of} AND t.lexeme IN (SELECT s.lexeme FROM stems s) \
           AND m.lexemes @@ (SELECT string_agg('''' || replace(replace(s.lexeme, '\\', '\\\\'), \
             '''', '''''') || '''', ' | ')::tsquery FROM stems s)), \
         rarity AS (SELECT h.lexeme, ln(1 + (e.memory_count - count(*) + 0.5) \
             / (count(*) + 0.5))::double precision AS weight \
           FROM hits h JOIN entity e ON e.entity_id = {of} GROUP BY h.lexeme, e.memory_count), \
         lexical AS MATERIALIZED (SELECT h.memory_id, sum(r.weight * h.frequency * {} \
             / (h.frequency + {K1} * ({} + {B} * h.word_count * e.memory_count \
                / greatest(e.word_count, 1))))::real AS score \
           FROM hits h JOIN rarity r ON r.lexeme = h.lexeme \
           JOIN entity e ON e.entity_id = {of} \
           WHERE true{admitted} GROUP BY h.memory_id)",
        K1 + 1.0,
        1.0 - B,
    ));
}
