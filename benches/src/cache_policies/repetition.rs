//! How often the same is asked of an unchanged entity, and whether the answer is the
//! same.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use memory_core::{MemoryResult, Reranker};
use memory_engine::RecallHit;
use memory_testkit::OverlapReranker;
use serde::{Deserialize, Serialize};

/// Counts of recalls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepetitionCounts {
    /// All recalls.
    pub recalls: u64,
    /// Recalls of a question that was asked of the entity before, and after the last
    /// write to it.
    pub repeated: u64,
    /// Of these, the ones whose answer is equal to the earlier one in every part.
    pub identical: u64,
    /// Of these, the ones that have the same memories in the same order.
    pub same_order: u64,
}

/// Compares each answer with the last one to the same question.
#[derive(Debug)]
pub(super) struct Repetition {
    /// Writes to each entity.
    versions: Vec<u64>,
    answers: HashMap<(usize, String), (u64, Vec<RecallHit>)>,
    counts: RepetitionCounts,
}

impl Repetition {
    pub(super) fn new(entities: usize) -> Self {
        Self {
            versions: vec![0; entities],
            answers: HashMap::new(),
            counts: RepetitionCounts::default(),
        }
    }

    pub(super) fn record_write(&mut self, entity: usize) {
        self.versions[entity] += 1;
    }

    /// Returns whether the recall repeats a question on an unchanged entity.
    pub(super) fn record_recall(
        &mut self,
        entity: usize,
        question: &str,
        hits: Vec<RecallHit>,
    ) -> bool {
        self.counts.recalls += 1;
        let version = self.versions[entity];
        let key = (entity, question.to_owned());
        let before = self.answers.get(&key);
        let before = before.filter(|(read_at, _)| *read_at == version);
        let is_repeated = before.is_some();
        if let Some((_, before)) = before {
            let ids =
                |hits: &[RecallHit]| -> Vec<_> { hits.iter().map(|hit| hit.memory.id).collect() };
            self.counts.repeated += 1;
            self.counts.identical += u64::from(*before == hits);
            self.counts.same_order += u64::from(ids(before) == ids(&hits));
        }
        self.answers.insert(key, (version, hits));
        is_repeated
    }

    pub(super) fn counts(&self) -> RepetitionCounts {
        self.counts
    }
}

/// A reranker that counts the pairs of question and text that it reads.
#[derive(Debug, Default)]
pub struct CountingReranker {
    inner: OverlapReranker,
    hasher: RandomState,
    /// Pairs read, and the distinct ones of them.
    pairs: Mutex<(u64, HashSet<u64>)>,
}

impl CountingReranker {
    /// How many pairs were read, and how many distinct ones.
    #[must_use]
    pub fn pairs(&self) -> (u64, u64) {
        // A panic under the lock leaves counts, still sound.
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        (pairs.0, pairs.1.len() as u64)
    }
}

#[async_trait]
impl Reranker for CountingReranker {
    fn model(&self) -> &str {
        self.inner.model()
    }

    async fn score(&self, question: &str, texts: &[&str]) -> MemoryResult<Vec<f32>> {
        {
            let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
            for text in texts {
                pairs.0 += 1;
                pairs.1.insert(self.hasher.hash_one((question, text)));
            }
        }
        self.inner.score(question, texts).await
    }
}
