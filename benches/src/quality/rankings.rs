//! The rankings that are measured, and the grid of cross-validation.

use memory::Ranking;

/// A ranking with its name in reports.
pub(super) type NamedRanking = (&'static str, Ranking);

/// Every part of the default ranking switched off once, then single retrievers
/// and the original weighted sum.
pub(super) fn ablations() -> Vec<NamedRanking> {
    let without = |switch_off: fn(&mut Ranking)| {
        let mut ranking = Ranking::default();
        switch_off(&mut ranking);
        ranking
    };
    let blend = without(|ranking| {
        ranking.neighbors = 0.0;
        ranking.mention = 0.0;
        ranking.date = 0.0;
        ranking.when = 0.0;
        ranking.importance = 0.0;
        ranking.recency = 0.0;
        ranking.newer = 0.0;
    });
    vec![
        ("without `similarity`", without(|r| r.similarity = 0.0)),
        (
            "without `chunk_discount`",
            without(|r| r.chunk_discount = 0.0),
        ),
        ("without `lexical`", without(|r| r.lexical = 0.0)),
        ("without `pairs`", without(|r| r.pairs = 0.0)),
        ("without `unknown`", without(|r| r.unknown = 0.0)),
        ("without `neighbors`", without(|r| r.neighbors = 0.0)),
        (
            "without `neighbor_ramp`",
            without(|r| r.neighbor_ramp = 0.0),
        ),
        (
            "without `neighbor_words`",
            without(|r| r.neighbor_words = 0.0),
        ),
        ("without `mention`", without(|r| r.mention = 0.0)),
        ("without `date`", without(|r| r.date = 0.0)),
        ("without `when`", without(|r| r.when = 0.0)),
        ("without `importance`", without(|r| r.importance = 0.0)),
        ("without `recency`", without(|r| r.recency = 0.0)),
        ("without `newer`", without(|r| r.newer = 0.0)),
        ("blend alone", blend),
        (
            "dense alone",
            Ranking {
                lexical: 0.0,
                pairs: 0.0,
                ..blend
            },
        ),
        (
            "lexical alone",
            Ranking {
                similarity: 0.0,
                pairs: 0.0,
                ..blend
            },
        ),
        (
            "pairs alone",
            Ranking {
                similarity: 0.0,
                lexical: 0.0,
                ..blend
            },
        ),
        ("weighted sum", Ranking::weighted_sum()),
    ]
}

/// A weight and the values that cross-validation chooses from.
pub(super) struct Axis {
    pub(super) name: &'static str,
    pub(super) values: &'static [f32],
    pub(super) set: fn(&mut Ranking, f32),
}

/// The weights that the results depend on most, retrievers switched off aside; the
/// default is among the values. A weight more triples the time.
pub(super) const AXES: [Axis; 4] = [
    Axis {
        name: "lexical",
        values: &[0.25, 0.35, 0.45],
        set: |ranking, value| ranking.lexical = value,
    },
    Axis {
        name: "neighbors",
        values: &[0.5, 0.7, 0.9],
        set: |ranking, value| ranking.neighbors = value,
    },
    Axis {
        name: "neighbor_words",
        values: &[120.0, 200.0, 400.0],
        set: |ranking, value| ranking.neighbor_words = value,
    },
    Axis {
        name: "mention",
        values: &[0.7, 1.0, 1.3],
        set: |ranking, value| ranking.mention = value,
    },
];

/// A point of the grid: a value of each weight, and the ranking with them.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) values: Vec<f32>,
    pub(super) ranking: Ranking,
}

/// Every combination of the values.
pub(super) fn grid(axes: &[Axis]) -> Vec<Setting> {
    let start = Setting {
        values: Vec::new(),
        ranking: Ranking::default(),
    };
    axes.iter().fold(vec![start], |settings, axis| {
        let with_value = |setting: &Setting, value: f32| {
            let mut next = setting.clone();
            next.values.push(value);
            (axis.set)(&mut next.ranking, value);
            next
        };
        let next = settings.iter().flat_map(|setting| {
            axis.values
                .iter()
                .map(move |value| with_value(setting, *value))
        });
        next.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_every_combination_and_the_defaults() {
        let grid = grid(&AXES);
        let size: usize = AXES.iter().map(|axis| axis.values.len()).product();
        assert_eq!(grid.len(), size);
        let defaults = grid.iter().filter(|s| s.ranking == Ranking::default());
        assert_eq!(defaults.count(), 1);
        for (index, setting) in grid.iter().enumerate() {
            assert!(setting.ranking.validate().is_ok());
            assert!(grid[..index].iter().all(|s| s.values != setting.values));
        }
    }

    #[test]
    fn every_ablation_differs_from_the_default_and_is_valid() {
        for (name, ranking) in ablations() {
            assert_ne!(ranking, Ranking::default(), "{name}");
            assert!(ranking.validate().is_ok(), "{name}");
        }
    }
}
