//! The scores of questions.

use serde::Serialize;

use super::intervals::{Estimate, estimate};
use crate::locomo::Question;
use crate::metrics::{recall_at, reciprocal_rank};

/// The score of one question under one ranking.
#[derive(Debug, Clone, Copy)]
pub struct QuestionScore {
    /// The position of its conversation in the data set.
    pub conversation: usize,
    /// Its category.
    pub category: u8,
    /// The share of the evidence among the first 5, 10 and 20 results.
    pub recall: [f64; 3],
    /// One over the rank of the first evidence.
    pub reciprocal_rank: f64,
}

impl QuestionScore {
    /// Scores the results of a question, best first.
    #[must_use]
    pub fn new(conversation: usize, question: &Question, recalled: &[String]) -> Self {
        Self {
            conversation,
            category: question.category,
            recall: [5, 10, 20].map(|k| recall_at(k, recalled, &question.evidence)),
            reciprocal_rank: reciprocal_rank(recalled, &question.evidence),
        }
    }
}

/// The mean scores of questions with their intervals.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scores {
    /// How many questions.
    pub questions: usize,
    /// recall@5, in percent.
    pub recall_at_5: Estimate,
    /// recall@10, in percent.
    pub recall_at_10: Estimate,
    /// recall@20, in percent.
    pub recall_at_20: Estimate,
    /// The mean reciprocal rank, 0 to 1.
    pub mrr: Estimate,
}

impl Scores {
    /// Summarizes the scores of questions.
    #[must_use]
    pub fn of(scores: &[QuestionScore]) -> Self {
        let recall = |index: usize| {
            let values: Vec<f64> = scores.iter().map(|one| 100.0 * one.recall[index]).collect();
            estimate(&values)
        };
        let ranks: Vec<f64> = scores.iter().map(|one| one.reciprocal_rank).collect();
        Self {
            questions: scores.len(),
            recall_at_5: recall(0),
            recall_at_10: recall(1),
            recall_at_20: recall(2),
            mrr: estimate(&ranks),
        }
    }
}

/// How much one ranking differs from another on the same questions.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Difference {
    /// In recall@10, in points.
    pub recall_at_10: Estimate,
    /// In MRR.
    pub mrr: Estimate,
}

impl Difference {
    /// The difference of `scores` to `reference`, question by question.
    #[must_use]
    pub fn new(scores: &[QuestionScore], reference: &[QuestionScore]) -> Self {
        let pairs = || scores.iter().zip(reference);
        let recall: Vec<f64> = pairs()
            .map(|(one, other)| 100.0 * (one.recall[1] - other.recall[1]))
            .collect();
        let ranks: Vec<f64> = pairs()
            .map(|(one, other)| one.reciprocal_rank - other.reciprocal_rank)
            .collect();
        Self {
            recall_at_10: estimate(&recall),
            mrr: estimate(&ranks),
        }
    }
}
