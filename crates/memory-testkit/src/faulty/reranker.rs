//! A reranker that breaks one promise.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use memory_core::{ErrorKind, MemoryError, MemoryResult, Reranker};

use super::faults;
use crate::overlap_reranker::OverlapReranker;
use crate::timing::yield_now;

faults! {
    /// The one promise that a [`FaultyReranker`] breaks.
    pub enum RerankerFault {
        /// The model has no name.
        HasNoName => "scores::come_from_a_named_model",
        /// Scores come in the opposite order.
        ReversesScores => "scores::come_one_for_each_text_in_order",
        /// The last text of a batch has no score.
        LosesTheLast => "scores::come_one_for_each_text_in_order",
        /// Scores come sorted.
        SortsScores => "scores::come_one_for_each_text_in_order",
        /// A text without an answer has the score NaN.
        GivesNoNumber => "scores::are_finite",
        /// No two calls give the same scores.
        Drifts => "scores::are_repeatable",
        /// Only the text counts.
        IgnoresTheQuestion => "scores::depend_on_the_question",
        /// Scores are shares of the batch's sum.
        ScalesByTheBatch => "batches::do_not_affect_scores",
        /// An empty batch is an error.
        RefusesNothing => "batches::may_be_empty",
        /// Batches beyond 64 texts are cut.
        CutsLargeBatches => "batches::may_be_large",
        /// Calls at the same time share a question.
        MixesCalls => "batches::concurrent_calls_do_not_mix",
        /// After a dropped call, the reranker is busy for ever.
        StaysBusy => "batches::dropped_calls_have_no_effect",
        /// A text without words is an error.
        RefusesBlankText => "texts::of_any_shape_are_taken",
        /// A question without words is an error.
        RefusesBlankQuestions => "texts::of_any_shape_may_be_questions",
        /// A text beyond 100,000 bytes is an error.
        RefusesLongText => "texts::may_be_very_long",
        /// The worst answer has the highest score.
        PrefersTheWorst => "meaning::answers_score_higher",
    }
}

/// An [`OverlapReranker`] with one fault.
#[derive(Debug)]
pub struct FaultyReranker {
    fault: RerankerFault,
    calls: AtomicU64,
    busy: AtomicBool,
    question: Mutex<String>,
}

impl FaultyReranker {
    /// A reranker with this fault.
    #[must_use]
    pub fn new(fault: RerankerFault) -> Self {
        Self {
            fault,
            calls: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            question: Mutex::default(),
        }
    }

    /// What goes wrong before any score is computed.
    fn refuse(&self, question: &str, texts: &[&str]) -> MemoryResult<()> {
        let blank = |text: &&str| !text.contains(char::is_alphanumeric);
        let refused = match self.fault {
            RerankerFault::RefusesNothing => texts.is_empty(),
            RerankerFault::RefusesBlankText => texts.iter().any(blank),
            RerankerFault::RefusesBlankQuestions => blank(&question),
            RerankerFault::RefusesLongText => texts.iter().any(|text| text.len() > 100_000),
            RerankerFault::StaysBusy => self.busy.swap(true, Ordering::SeqCst),
            _ => false,
        };
        if refused {
            let message = "refused on purpose";
            return Err(MemoryError::reranker(ErrorKind::Other, "score", message));
        }
        Ok(())
    }

    /// Breaks the scores of a batch.
    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    fn spoil(&self, texts: &[&str], scores: &mut Vec<f32>) {
        match self.fault {
            RerankerFault::ReversesScores => scores.reverse(),
            RerankerFault::LosesTheLast if texts.len() > 1 => drop(scores.pop()),
            RerankerFault::SortsScores => scores.sort_by(|a, b| b.total_cmp(a)),
            RerankerFault::GivesNoNumber => {
                let low = scores.iter_mut().filter(|score| **score <= 0.0);
                low.for_each(|score| *score = f32::NAN);
            }
            RerankerFault::Drifts => {
                let call = self.calls.fetch_add(1, Ordering::SeqCst);
                let drift = 0.01 * (1 + call % 7) as f32;
                scores.iter_mut().for_each(|score| *score += drift);
            }
            RerankerFault::IgnoresTheQuestion => {
                *scores = texts.iter().map(|text| text.len() as f32).collect();
            }
            RerankerFault::ScalesByTheBatch => {
                let sum: f32 = scores.iter().map(|score| score.exp()).sum();
                scores
                    .iter_mut()
                    .for_each(|score| *score = score.exp() / sum);
            }
            RerankerFault::CutsLargeBatches => scores.truncate(64),
            RerankerFault::PrefersTheWorst => {
                scores.iter_mut().for_each(|score| *score = -*score);
            }
            _ => {}
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Reranker for FaultyReranker {
    fn model(&self) -> &str {
        match self.fault {
            RerankerFault::HasNoName => "",
            _ => "faulty",
        }
    }

    async fn score(&self, question: &str, texts: &[&str]) -> MemoryResult<Vec<f32>> {
        self.refuse(question, texts)?;
        let shared = || self.question.lock().unwrap_or_else(PoisonError::into_inner);
        question.clone_into(&mut shared());
        yield_now().await;
        let mut scores = if self.fault == RerankerFault::MixesCalls {
            let question = shared().clone();
            OverlapReranker.score(&question, texts).await?
        } else {
            OverlapReranker.score(question, texts).await?
        };
        // Only a call that gets here releases the reranker.
        self.busy.store(false, Ordering::SeqCst);
        self.spoil(texts, &mut scores);
        Ok(scores)
    }
}
