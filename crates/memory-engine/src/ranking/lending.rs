//! Lending: what a memory receives from the relevance of its neighbors.
//!
//! An answer is often next to what matches the question: in the turn after it, or
//! in a related memory. Each memory receives the most that one other lends to it,
//! not the sum: long episodes of half-relevant memories would add up to more than
//! one good neighbor (the sum costs 1.0 points of recall@10 on chat turns and
//! .046 of the MRR on long messages).
//!
//! `share(i) = min(1, (m − 1) / neighbor_ramp) / (1 + (words / neighbor_words)²)`
//! for a memory in an episode of `m`. Two memories of the same context are hardly
//! a conversation; and a long memory speaks for itself (the discount for words
//! gains 7.0 points of recall@10 on long messages). A related memory needs no
//! episode and receives without the first factor.

use chrono::TimeDelta;

use super::{CandidateSet, Ranking};

impl Ranking {
    /// Factor of what a memory of this many words receives, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "some thousand words at most")]
    fn length_discount(&self, words: u32) -> f32 {
        if self.neighbor_words == 0.0 {
            return 1.0;
        }
        let relative = words as f32 / self.neighbor_words;
        1.0 / (1.0 + relative * relative)
    }

    /// Factor of what the memories of an episode of this length receive, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "capped at 1")]
    fn episode_share(&self, memories: usize) -> f32 {
        let others = memories.saturating_sub(1) as f32;
        if others < self.neighbor_ramp {
            others / self.neighbor_ramp
        } else {
            1.0
        }
    }
}

impl CandidateSet<'_> {
    /// The relevance that each candidate receives from its neighbors and from
    /// related memories. O(candidates · reach).
    pub(super) fn lend(&self, ranking: &Ranking, relevance: &[f32]) -> Vec<f32> {
        let mut received = vec![0.0f32; self.memories.len()];
        if ranking.neighbors == 0.0 {
            return received;
        }
        for episode in &self.episodes {
            let mut share = ranking.neighbors * ranking.episode_share(episode.len());
            for step in 1..=ranking.neighbor_reach {
                for (&a, &b) in episode.iter().zip(episode.iter().skip(step)) {
                    let share = share * ranking.gap_decay(self.gap(a, b));
                    received[a] = received[a].max(share * relevance[b]);
                    received[b] = received[b].max(share * relevance[a]);
                }
                share *= ranking.neighbor_decay;
            }
        }
        for &(a, b) in &self.links {
            received[a] = received[a].max(ranking.neighbors * relevance[b]);
            received[b] = received[b].max(ranking.neighbors * relevance[a]);
        }
        for (received, words) in received.iter_mut().zip(&self.words) {
            *received *= ranking.length_discount(*words);
        }
        received
    }

    fn gap(&self, a: usize, b: usize) -> TimeDelta {
        let time = |index: usize| self.memories[index].map(|memory| memory.timestamp);
        time(a)
            .zip(time(b))
            .map_or_else(TimeDelta::zero, |(a, b)| b - a)
    }
}
