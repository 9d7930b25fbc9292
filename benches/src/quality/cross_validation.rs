//! Cross-validation of the ranking's weights.
//!
//! Five folds over the conversations of all data sets. For each fold, the weights
//! that are best on the other folds are scored on it: what the weights would give
//! on conversations that they were not chosen on. Likewise for each data set, the
//! weights that are best on the others: what they would give on another kind of
//! conversation.

use std::error::Error;

use serde::Serialize;

use super::measurement::Measurement;
use super::rankings::{AXES, Setting, grid};
use super::scores::{QuestionScore, Scores};

const FOLDS: usize = 5;

/// What cross-validation found.
#[derive(Debug, Serialize)]
pub struct CrossValidation {
    /// How many settings were compared.
    pub settings: usize,
    /// The weights that were chosen without each fold, by name.
    pub chosen: Vec<Vec<(&'static str, f32)>>,
    /// The figures of each data set.
    pub data_sets: Vec<HeldOut>,
}

/// The figures of a data set.
#[derive(Debug, Serialize)]
pub struct HeldOut {
    /// Its name.
    pub name: String,
    /// With the default weights.
    pub default: Scores,
    /// Each conversation with weights that were chosen without it.
    pub held_out: Scores,
    /// With the weights that are best on the other data sets.
    pub left_out: Scores,
    /// Those weights, by name.
    pub chosen_without: Vec<(&'static str, f32)>,
    /// The lowest recall@10 and MRR of any setting.
    pub worst: (f64, f64),
}

/// Scores every setting of the grid on every data set, and chooses among them.
///
/// # Errors
/// Those of the system.
pub async fn cross_validate(sets: &[Measurement]) -> Result<CrossValidation, Box<dyn Error>> {
    let settings = grid(&AXES);
    let mut scores = Vec::with_capacity(sets.len());
    for set in sets {
        let mut of_set = Vec::with_capacity(settings.len());
        for setting in &settings {
            of_set.push(set.score(setting.ranking).await?);
        }
        scores.push(of_set);
    }
    let chosen: Vec<&Setting> = (0..FOLDS)
        .map(|fold| &settings[best_without(fold, &scores)])
        .collect();
    let names = AXES.iter().map(|axis| axis.name);
    let by_name = |setting: &Setting| -> Vec<(&'static str, f32)> {
        names.clone().zip(setting.values.iter().copied()).collect()
    };
    let mut data_sets = Vec::with_capacity(sets.len());
    for (number, (set, of_set)) in sets.iter().zip(&scores).enumerate() {
        let default = set.score(memory::Ranking::default()).await?;
        let without = best(&scores, |of, _| of != number);
        data_sets.push(HeldOut {
            name: set.data.name.clone(),
            default: Scores::of(&default),
            held_out: Scores::of(&held_out(&scores, of_set)),
            left_out: Scores::of(&of_set[without]),
            chosen_without: by_name(&settings[without]),
            worst: worst(of_set),
        });
    }
    Ok(CrossValidation {
        settings: settings.len(),
        chosen: chosen.into_iter().map(by_name).collect(),
        data_sets,
    })
}

/// The scores of each setting on one data set.
type SettingScores = Vec<Vec<QuestionScore>>;

fn fold_of(score: &QuestionScore) -> usize {
    score.conversation % FOLDS
}

/// The setting that is best outside a fold.
fn best_without(fold: usize, sets: &[SettingScores]) -> usize {
    best(sets, |_, score| fold_of(score) != fold)
}

/// The setting with the highest recall@10 and MRR of the questions that are kept, by
/// the number of their data set, each data set counting alike; the first of equal
/// ones.
fn best(sets: &[SettingScores], is_kept: impl Fn(usize, &QuestionScore) -> bool) -> usize {
    let settings = sets.first().map_or(0, Vec::len);
    let objective = |setting: usize| -> f64 {
        let of_sets = sets.iter().enumerate().map(|(number, scores)| {
            let of_setting = scores[setting].iter();
            let kept = of_setting.filter(|score| is_kept(number, score));
            let (mut sum, mut count) = (0.0, 0.0);
            for score in kept {
                sum += score.recall[1] + score.reciprocal_rank;
                count += 1.0;
            }
            sum / f64::max(count, 1.0)
        });
        of_sets.sum()
    };
    let mut best = (0, f64::NEG_INFINITY);
    for setting in 0..settings {
        let value = objective(setting);
        if value > best.1 {
            best = (setting, value);
        }
    }
    best.0
}

/// The scores of one data set, each fold under the setting chosen without it.
fn held_out(sets: &[SettingScores], of_set: &SettingScores) -> Vec<QuestionScore> {
    let in_fold = |fold: usize| {
        let scores = &of_set[best_without(fold, sets)];
        scores.iter().filter(move |score| fold_of(score) == fold)
    };
    (0..FOLDS).flat_map(in_fold).copied().collect()
}

fn worst(of_set: &SettingScores) -> (f64, f64) {
    let lowest = |value: fn(&Scores) -> f64| {
        let all = of_set.iter().map(|scores| value(&Scores::of(scores)));
        all.fold(f64::INFINITY, f64::min)
    };
    (lowest(|s| s.recall_at_10.mean), lowest(|s| s.mrr.mean))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(conversation: usize, value: f64) -> QuestionScore {
        QuestionScore {
            conversation,
            category: 1,
            recall: [value; 3],
            reciprocal_rank: value,
        }
    }

    #[test]
    fn a_fold_has_no_part_in_the_choice_of_its_setting() {
        // The first setting is perfect on conversation 0 and poor elsewhere.
        let first = (0..10).map(|n| score(n, if n == 0 { 1.0 } else { 0.2 }));
        let second = (0..10).map(|n| score(n, if n == 0 { 0.0 } else { 0.25 }));
        let sets = vec![vec![first.collect(), second.collect::<Vec<_>>()]];
        assert_eq!(best_without(0, &sets), 1);
        assert_eq!(best_without(1, &sets), 0);
        // Without the first data set, the second decides.
        let one = |value| vec![score(0, value)];
        let two_sets = [vec![one(1.0), one(0.0)], vec![one(0.1), one(0.2)]];
        assert_eq!(best(&two_sets, |_, _| true), 0);
        assert_eq!(best(&two_sets, |set, _| set != 0), 1);
        let held_out = held_out(&sets, &sets[0]);
        assert_eq!(held_out.len(), 10);
        let of_first = held_out.iter().find(|score| score.conversation == 0);
        assert_eq!(of_first.map(|score| score.reciprocal_rank), Some(0.0));
    }
}
