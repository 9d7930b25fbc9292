//! Calibration of the relevance: how well its probabilities are those that are
//! observed, on data that its coefficients were not fitted to.

use std::error::Error;
use std::fmt::Write;

use memory::RecallHit;
use memory_engine::RelevanceModel;
use serde::Serialize;

use super::logistic::{Sample, fit};
use super::measurement::Measurement;
use crate::locomo::Question;

/// The results of a question.
#[derive(Debug)]
pub(super) struct QuestionResults {
    pub(super) kind: QuestionKind,
    /// How many memories answer it.
    pub(super) evidence: usize,
    /// Best first.
    pub(super) results: Vec<Sample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuestionKind {
    /// The conversation has an answer.
    Answerable,
    /// The conversation has no answer, only something similar.
    Unanswerable,
    /// The question is about another conversation.
    OffTopic,
}

/// How well the relevance is calibrated.
#[derive(Debug, Serialize)]
pub struct RelevanceReport {
    /// The coefficients fitted to all data sets.
    pub fitted: RelevanceModel,
    /// Each data set, with coefficients fitted without it.
    pub data_sets: Vec<HeldOutRelevance>,
}

/// The predictions for a data set.
#[derive(Debug, Serialize)]
pub struct HeldOutRelevance {
    /// Its name.
    pub name: String,
    /// The coefficients fitted to the other data sets.
    pub model: RelevanceModel,
    /// The results by predicted relevance, in tenths.
    pub bins: [Bin; 10],
    /// The same with the coefficients that recalls use.
    pub bins_of_recalls: [Bin; 10],
    /// The mean difference between predicted and observed over the bins, with the
    /// coefficients that recalls use and with these.
    pub calibration_error: (f64, f64),
    /// The probability that an answer has a higher relevance than another result,
    /// likewise.
    pub separation: (f64, f64),
    /// The probability that the best result of an answerable question has a higher
    /// relevance than that of an unanswerable one, likewise.
    pub question_separation: Option<(f64, f64)>,
    /// What each minimum of relevance does to the first ten results.
    pub thresholds: Vec<Threshold>,
}

/// Results of a similar predicted relevance.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Bin {
    /// How many.
    pub results: usize,
    /// Their mean predicted relevance.
    pub predicted: f64,
    /// The share of them that answer their question.
    pub observed: f64,
}

/// What a minimum of relevance does to the first ten results: each figure in percent,
/// with the coefficients that recalls use, and with those fitted without the data set.
#[derive(Debug, Serialize)]
pub struct Threshold {
    /// The minimum.
    pub min_relevance: f64,
    /// The share of questions about another conversation that get nothing.
    pub off_topic_without_results: (f64, f64),
    /// The share of unanswerable questions that get nothing, if there are any.
    pub unanswerable_without_results: Option<(f64, f64)>,
    /// The share of answerable questions that get nothing.
    pub answerable_without_results: (f64, f64),
    /// recall@10 of the answerable questions.
    pub recall_at_10: (f64, f64),
}

const THRESHOLDS: [f64; 9] = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5];

impl RelevanceReport {
    /// Fits the coefficients to all data sets and to all but each.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn measure(sets: &[Measurement]) -> Result<Self, Box<dyn Error>> {
        let mut questions = Vec::with_capacity(sets.len());
        for set in sets {
            questions.push(set.results().await?);
        }
        let samples: Vec<Vec<Sample>> = questions.iter().map(|of| samples(of)).collect();
        let fit_without = |left_out: Option<usize>| {
            let kept = samples.iter().enumerate();
            let kept = kept.filter(|(number, _)| Some(*number) != left_out);
            fit(&kept.map(|(_, samples)| &samples[..]).collect::<Vec<_>>())
        };
        let models: Vec<RelevanceModel> = (0..sets.len()).map(|n| fit_without(Some(n))).collect();
        let data_sets = sets.iter().zip(&questions).zip(&models);
        Ok(Self {
            fitted: fit_without(None),
            data_sets: data_sets
                .map(|((set, of_set), model)| {
                    HeldOutRelevance::new(set.data.name.clone(), of_set, *model)
                })
                .collect(),
        })
    }

    /// The tables.
    pub(super) fn tables(&self) -> String {
        let mut text = String::from("Coefficients:\n\n| fitted to | intercept |");
        for name in RelevanceModel::FEATURES {
            let _ = write!(text, " {name} |");
        }
        let _ = writeln!(
            text,
            "\n|---|{}",
            "---:|".repeat(1 + RelevanceModel::FEATURES.len())
        );
        let held_out = self.data_sets.iter();
        let held_out = held_out.map(|set| (format!("all but {}", set.name), set.model));
        let all = [
            ("recalls use".to_owned(), RelevanceModel::FITTED),
            ("all".to_owned(), self.fitted),
        ];
        for (name, model) in all.into_iter().chain(held_out) {
            let _ = write!(text, "| {name} | {:.2} |", model.intercept);
            for weight in model.weights {
                let _ = write!(text, " {weight:.2} |");
            }
            text.push('\n');
        }
        text.push_str("\nPredicted → observed (number of results), by coefficients fitted without the data set:\n\n");
        self.write_bins(&mut text, |set| &set.bins);
        let mut row = |name: &str, value: fn(&HeldOutRelevance) -> String| {
            let _ = write!(text, "| {name} |");
            for set in &self.data_sets {
                let _ = write!(text, " {} |", value(set));
            }
            text.push('\n');
        };
        row("calibration error", |set| pair(set.calibration_error, 3));
        row("separation of results", |set| pair(set.separation, 3));
        row("separation of questions", |set| {
            set.question_separation
                .map_or(String::new(), |it| pair(it, 3))
        });
        text.push_str(
            "\nThe same by the coefficients that recalls use, which know these data:\n\n",
        );
        self.write_bins(&mut text, |set| &set.bins_of_recalls);
        for set in &self.data_sets {
            set.write_thresholds(&mut text);
        }
        text
    }

    fn write_bins(&self, text: &mut String, bins: fn(&HeldOutRelevance) -> &[Bin; 10]) {
        let names = self.data_sets.iter().map(|set| format!(" {} |", set.name));
        let _ = writeln!(text, "| relevance |{}", names.collect::<String>());
        let _ = writeln!(text, "|---|{}", "---|".repeat(self.data_sets.len()));
        for tenth in 0..10u8 {
            let low = f64::from(tenth) / 10.0;
            let _ = write!(text, "| {low:.1}–{:.1} |", low + 0.1);
            for set in &self.data_sets {
                let Bin {
                    results,
                    predicted,
                    observed,
                } = bins(set)[usize::from(tenth)];
                let _ = match results {
                    0 => write!(text, "  |"),
                    _ => write!(text, " {predicted:.2} → {observed:.2} ({results}) |"),
                };
            }
            text.push('\n');
        }
    }
}

/// A figure with the coefficients that recalls use, and with those that were fitted
/// without the data set in parentheses.
fn pair((used, held_out): (f64, f64), digits: usize) -> String {
    format!("{used:.digits$} ({held_out:.digits$})")
}

impl HeldOutRelevance {
    fn new(name: String, questions: &[QuestionResults], model: RelevanceModel) -> Self {
        let samples = samples(questions);
        let on_topic: Vec<&QuestionResults> = questions
            .iter()
            .filter(|it| it.kind != QuestionKind::OffTopic)
            .collect();
        let both = |value: &dyn Fn(&RelevanceModel) -> f64| {
            (value(&RelevanceModel::FITTED), value(&model))
        };
        Self {
            name,
            model,
            bins: bins(&samples, &model),
            bins_of_recalls: bins(&samples, &RelevanceModel::FITTED),
            calibration_error: both(&|model| calibration_error(&bins(&samples, model))),
            separation: both(&|model| {
                let of_results = samples.iter();
                separation(of_results.map(|it| (model.probability(&it.features), it.is_answer)))
            }),
            question_separation: on_topic
                .iter()
                .any(|it| it.kind == QuestionKind::Unanswerable)
                .then(|| {
                    let is_answerable = |it: &QuestionResults| it.kind == QuestionKind::Answerable;
                    both(&|model| {
                        let questions = on_topic.iter();
                        separation(questions.map(|it| (it.best(model), is_answerable(it))))
                    })
                }),
            thresholds: THRESHOLDS
                .iter()
                .map(|min_relevance| Threshold::new(questions, &model, *min_relevance))
                .collect(),
        }
    }

    fn write_thresholds(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "\n{}, the first ten results with a minimum of relevance:\n",
            self.name
        );
        text.push_str("| minimum | off-topic without results | unanswerable without results | answerable without results | recall@10 |\n");
        text.push_str("|---:|---|---|---|---|\n");
        for threshold in &self.thresholds {
            let unanswerable = threshold.unanswerable_without_results;
            let _ = writeln!(
                text,
                "| {:.2} | {} | {} | {} | {} |",
                threshold.min_relevance,
                pair(threshold.off_topic_without_results, 1),
                unanswerable.map_or("none".to_owned(), |it| pair(it, 1)),
                pair(threshold.answerable_without_results, 1),
                pair(threshold.recall_at_10, 1)
            );
        }
    }
}

impl Threshold {
    fn new(questions: &[QuestionResults], held_out: &RelevanceModel, min_relevance: f64) -> Self {
        let of_kind = |kind| questions.iter().filter(move |it| it.kind == kind);
        let both = |value: &dyn Fn(&RelevanceModel) -> f64| {
            let percent = |model| 100.0 * value(model);
            (percent(&RelevanceModel::FITTED), percent(held_out))
        };
        let without_results = |kind| {
            both(&|model| {
                let is_empty = |it: &QuestionResults| it.best(model) < min_relevance;
                mean(of_kind(kind).map(|it| f64::from(u8::from(is_empty(it)))))
            })
        };
        let unanswerable = QuestionKind::Unanswerable;
        Self {
            min_relevance,
            off_topic_without_results: without_results(QuestionKind::OffTopic),
            unanswerable_without_results: of_kind(unanswerable)
                .next()
                .map(|_| without_results(unanswerable)),
            answerable_without_results: without_results(QuestionKind::Answerable),
            recall_at_10: both(&|model| {
                mean(of_kind(QuestionKind::Answerable).map(|question| {
                    let answers = question.results.iter().filter(|it| it.is_answer);
                    let kept =
                        answers.filter(|it| model.probability(&it.features) >= min_relevance);
                    count(kept.count()) / count(question.evidence.max(1))
                }))
            }),
        }
    }
}

impl QuestionResults {
    /// The features of the hits, and which of them answer the question.
    pub(super) fn new(kind: QuestionKind, question: &Question, hits: &[RecallHit]) -> Self {
        let is_answer = |hit: &RecallHit| {
            let id = hit.memory.metadata.get("dia_id");
            kind == QuestionKind::Answerable && id.is_some_and(|id| question.evidence.contains(id))
        };
        let sample = |hit: &RecallHit| {
            Some(Sample {
                features: RelevanceModel::features(&hit.explanation)?,
                is_answer: is_answer(hit),
            })
        };
        Self {
            kind,
            evidence: question.evidence.len(),
            results: hits.iter().filter_map(sample).collect(),
        }
    }

    /// The highest relevance of the results.
    fn best(&self, model: &RelevanceModel) -> f64 {
        let results = self.results.iter();
        let relevances = results.map(|it| model.probability(&it.features));
        relevances.fold(0.0, f64::max)
    }
}

/// The results of the questions about the conversation, to fit and to compare with.
fn samples(questions: &[QuestionResults]) -> Vec<Sample> {
    let on_topic = questions
        .iter()
        .filter(|it| it.kind != QuestionKind::OffTopic);
    let results = on_topic.flat_map(|question| &question.results);
    results.copied().collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a probability in tenths"
)]
fn bins(samples: &[Sample], model: &RelevanceModel) -> [Bin; 10] {
    let mut bins = [Bin::default(); 10];
    for sample in samples {
        let predicted = model.probability(&sample.features);
        let bin = &mut bins[((predicted * 10.0) as usize).min(9)];
        bin.results += 1;
        bin.predicted += predicted;
        bin.observed += f64::from(u8::from(sample.is_answer));
    }
    for bin in &mut bins {
        bin.predicted /= count(bin.results.max(1));
        bin.observed /= count(bin.results.max(1));
    }
    bins
}

/// The mean difference between predicted and observed, over all results.
fn calibration_error(bins: &[Bin; 10]) -> f64 {
    let results: usize = bins.iter().map(|bin| bin.results).sum();
    let differences = bins
        .iter()
        .map(|bin| count(bin.results) * (bin.predicted - bin.observed).abs());
    differences.sum::<f64>() / count(results.max(1))
}

/// The probability that a value that is marked is above one that is not, equal ones
/// counting half: the area under the ROC curve, by the sum of ranks (Hanley and
/// McNeil, "The meaning and use of the area under a receiver operating
/// characteristic curve", 1982). One half if all are of one kind.
fn separation(values: impl Iterator<Item = (f64, bool)>) -> f64 {
    let mut values: Vec<(f64, bool)> = values.collect();
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut pairs, mut marked) = (0.0, 0.0, 0.0);
    for equal in values.chunk_by(|a, b| a.0 == b.0) {
        let of_kind = |kind: bool| count(equal.iter().filter(|it| it.1 == kind).count());
        pairs += of_kind(true) * (below + of_kind(false) / 2.0);
        below += of_kind(false);
        marked += of_kind(true);
    }
    if marked * below == 0.0 {
        return 0.5;
    }
    pairs / (marked * below)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut number) = (0.0, 0.0);
    for value in values {
        sum += value;
        number += 1.0;
    }
    sum / f64::max(number, 1.0)
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand results")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A result whose probability under `MODEL` is one of two.
    fn result(is_similar: bool, is_answer: bool) -> Sample {
        let mut features = [0.0; 7];
        features[0] = f64::from(u8::from(is_similar));
        Sample {
            features,
            is_answer,
        }
    }

    const MODEL: RelevanceModel = RelevanceModel {
        intercept: -2.0,
        weights: [3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    };

    fn question(kind: QuestionKind, results: Vec<Sample>) -> QuestionResults {
        QuestionResults {
            kind,
            evidence: 2,
            results,
        }
    }

    #[test]
    fn separation_is_a_probability_and_ties_count_half() {
        let of = |values: &[(f64, bool)]| separation(values.iter().copied());
        assert_eq!(of(&[(0.1, false), (0.9, true)]), 1.0);
        assert_eq!(of(&[(0.9, false), (0.1, true)]), 0.0);
        assert_eq!(of(&[(0.5, false), (0.5, true)]), 0.5);
        assert_eq!(of(&[(0.1, false), (0.5, true), (0.9, false)]), 0.5);
        assert_eq!(of(&[(0.1, true)]), 0.5);
    }

    #[test]
    fn bins_compare_predicted_with_observed() {
        let samples = [
            result(true, true),
            result(true, false),
            result(false, false),
        ];
        let bins = bins(&samples, &MODEL);
        assert_eq!((bins[7].results, bins[7].observed), (2, 0.5));
        assert!((bins[7].predicted - 0.731).abs() < 1e-3);
        assert_eq!((bins[1].results, bins[1].observed), (1, 0.0));
        let expected = (2.0 * (bins[7].predicted - 0.5) + bins[1].predicted) / 3.0;
        assert!((calibration_error(&bins) - expected).abs() < 1e-9);
    }

    #[test]
    fn a_threshold_removes_results_and_their_share_of_the_evidence() {
        let questions = [
            question(
                QuestionKind::Answerable,
                vec![result(true, true), result(false, true)],
            ),
            question(QuestionKind::Answerable, vec![result(false, true)]),
            question(QuestionKind::Unanswerable, vec![result(false, false)]),
            question(QuestionKind::OffTopic, vec![result(true, false)]),
        ];
        let effect = Threshold::new(&questions, &MODEL, 0.5);
        let unanswerable = effect.unanswerable_without_results;
        assert_eq!(unanswerable.map(|it| it.1), Some(100.0));
        assert_eq!(effect.off_topic_without_results.1, 0.0);
        assert_eq!(effect.answerable_without_results.1, 50.0);
        assert_eq!(effect.recall_at_10.1, 25.0);
        let all = Threshold::new(&questions[..2], &MODEL, 0.0);
        assert!(all.unanswerable_without_results.is_none());
        assert_eq!(all.recall_at_10.1, 75.0);
        assert_eq!(samples(&questions).len(), 4, "not of another conversation");
    }
}
