//! What each part of a ranking adds to a score.

use memory::{Explanation, Ranking};
use serde::Serialize;

/// What each part of a ranking adds to a score; their sum is the score, but for
/// rounding. A retriever's part is negative for a memory that matches worse than the
/// mean of the entity's memories.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScoreParts {
    /// The cosine between query and memory.
    pub similarity: f32,
    /// The words that both contain.
    pub lexical: f32,
    /// The pairs of adjacent words that both contain.
    pub pairs: f32,
    /// What a neighbor of the same episode or a related memory lends.
    pub neighbors: f32,
    /// The query mentions a tag, metadata value or participant.
    pub mention: f32,
    /// The memory's time is close to a date that the query names.
    pub date: f32,
    /// The memory names a time, where the query asks when something was.
    pub when: f32,
    /// The current importance.
    pub importance: f32,
    /// The recency.
    pub recency: f32,
    /// The memory leads an older one that says nearly the same.
    pub newer: f32,
}

impl ScoreParts {
    /// The parts of the score that `ranking` gave, with this explanation.
    ///
    /// A part is the difference that it makes to [`Ranking::replay`], so the formula
    /// stays in one place.
    #[must_use]
    pub fn new(ranking: &Ranking, explanation: &Explanation) -> Self {
        let mut rest = *explanation;
        let mut score = ranking.replay(&rest);
        let mut take = |remove: fn(&mut Explanation)| {
            let before = score;
            remove(&mut rest);
            score = ranking.replay(&rest);
            before - score
        };
        // Importance and recency multiply the sum of the others, so they go first: what
        // remains is a sum, whose parts have the same size in any order. A retriever's
        // part is 0 for the value 0 and without a deviation, in both ways of fusion.
        Self {
            newer: take(|it| it.newer = 0.0),
            recency: take(|it| it.recency = 0.0),
            importance: take(|it| it.importance = 0.0),
            similarity: take(|it| it.similarity = None),
            lexical: take(|it| {
                it.lexical = 0.0;
                it.lexical_stats.deviation = 0.0;
            }),
            pairs: take(|it| {
                it.pairs = 0.0;
                it.pair_stats.deviation = 0.0;
            }),
            neighbors: take(|it| it.neighbors = 0.0),
            mention: take(|it| {
                it.mentioned = false;
                it.mention_stats.deviation = 0.0;
            }),
            date: take(|it| it.date = 0.0),
            when: take(|it| it.when = 0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory that every part lifts or lowers.
    const EXPLANATION: &str = r#"{
        "similarity": 0.6, "chunks": 1, "lexical": 3.0, "pairs": 0.0,
        "dense_stats": {"mean": 0.2, "deviation": 0.1},
        "lexical_stats": {"mean": 1.0, "deviation": 2.0},
        "pair_stats": {"mean": 0.5, "deviation": 1.0},
        "unknown": 0.0, "neighbors": 0.25, "mentioned": true,
        "mention_stats": {"mean": 0.5, "deviation": 0.5},
        "date": 0.5, "when": 0.5, "importance": 0.8, "recency": 0.4, "newer": 0.125,
        "path": "snapshot", "generation": 7, "now": "2026-03-01T09:30:00Z"
    }"#;

    #[expect(clippy::cast_possible_truncation, reason = "they were f32")]
    fn sum(parts: &ScoreParts) -> f32 {
        let value = serde_json::to_value(parts).unwrap();
        let all = value.as_object().unwrap().values();
        all.map(|part| part.as_f64().unwrap() as f32).sum()
    }

    #[test]
    fn the_parts_are_those_of_the_formula_and_add_up_to_the_score() {
        let explanation: Explanation = serde_json::from_str(EXPLANATION).unwrap();
        let ranking = Ranking::default();
        let parts = ScoreParts::new(&ranking, &explanation);
        let near = |part: f32, expected: f32| (part - expected).abs() < 1e-4;
        assert!(near(parts.similarity, 0.65 * 4.0), "{parts:?}");
        assert!(near(parts.lexical, 0.35), "{parts:?}");
        assert!(near(parts.pairs, 0.15 * -0.5), "{parts:?}");
        assert!(near(parts.neighbors, 0.25), "{parts:?}");
        assert!(near(parts.mention, 1.0), "{parts:?}");
        assert!(near(parts.date, 1.0), "{parts:?}");
        assert!(near(parts.when, 0.3), "{parts:?}");
        let total = 2.6 + 0.35 - 0.075 + 0.25 + 1.0 + 1.0 + 0.3;
        assert!(near(parts.importance, total * 0.05 * 0.8), "{parts:?}");
        assert!(near(parts.recency, total * 0.05 * 0.4), "{parts:?}");
        assert!(near(parts.newer, 0.125), "{parts:?}");
        assert!(near(sum(&parts), ranking.replay(&explanation)), "{parts:?}");
    }

    #[test]
    fn the_parts_of_a_weighted_sum_are_its_three_terms() {
        let explanation: Explanation = serde_json::from_str(EXPLANATION).unwrap();
        let plain = Explanation {
            neighbors: 0.0,
            newer: 0.0,
            ..explanation
        };
        let ranking = Ranking::weighted_sum();
        let parts = ScoreParts::new(&ranking, &plain);
        let near = |part: f32, expected: f32| (part - expected).abs() < 1e-5;
        assert!(near(parts.similarity, 0.6 * 0.6), "{parts:?}");
        assert!(near(parts.importance, 0.3 * 0.8), "{parts:?}");
        assert!(near(parts.recency, 0.1 * 0.4), "{parts:?}");
        assert!(near(sum(&parts), ranking.replay(&plain)), "{parts:?}");
    }
}
