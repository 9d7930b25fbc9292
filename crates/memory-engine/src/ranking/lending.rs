//! Lending: what a memory receives from the blend of its neighbors.
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
    #[expect(clippy::cast_precision_loss, reason = "a few thousand words at most")]
    pub(crate) fn length_discount(&self, words: u32) -> f32 {
        if self.neighbor_words == 0.0 {
            return 1.0;
        }
        let relative = words as f32 / self.neighbor_words;
        1.0 / (1.0 + relative * relative)
    }

    /// Factor of what the memories of an episode of this length receive, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "capped at 1")]
    pub(crate) fn episode_share(&self, memories: usize) -> f32 {
        let others = memories.saturating_sub(1) as f32;
        if others < self.neighbor_ramp {
            others / self.neighbor_ramp
        } else {
            1.0
        }
    }

    /// The length of an episode from which on its memories receive the full share.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`Ranking::validate`: 0 to 1,000"
    )]
    pub(crate) fn full_share_length(&self) -> usize {
        self.neighbor_ramp.ceil() as usize + 1
    }

    /// Share of a memory's blend that a neighbor receives, `step` steps and some
    /// microseconds away in an episode of the full length.
    pub(crate) fn lent(&self, step: usize, microseconds: i64) -> f32 {
        let steps = (1..step).fold(self.neighbors, |share, _| share * self.neighbor_decay);
        steps * self.gap_decay(TimeDelta::microseconds(microseconds))
    }
}

impl CandidateSet<'_> {
    /// The share that each candidate receives from its neighbors and from
    /// related memories. O(candidates · reach).
    pub(super) fn lend(&self, ranking: &Ranking, blend: &[f32]) -> Vec<f32> {
        let mut received = vec![0.0f32; self.times.len()];
        if ranking.neighbors == 0.0 {
            return received;
        }
        for episode in &self.episodes {
            let members = &episode.members;
            let mut share = ranking.neighbors * ranking.episode_share(episode.length);
            for step in 1..=ranking.neighbor_reach {
                for (&a, &b) in members.iter().zip(members.iter().skip(step)) {
                    let (to_a, to_b) = (share * blend[b], share * blend[a]);
                    // Times are read only where it could matter.
                    if to_a <= received[a] && to_b <= received[b] {
                        continue;
                    }
                    let decay = ranking.gap_decay(self.gap(a, b));
                    received[a] = received[a].max(decay * to_a);
                    received[b] = received[b].max(decay * to_b);
                }
                share *= ranking.neighbor_decay;
            }
        }
        for &(a, b) in &self.links {
            received[a] = received[a].max(ranking.neighbors * blend[b]);
            received[b] = received[b].max(ranking.neighbors * blend[a]);
        }
        for (received, words) in received.iter_mut().zip(&self.words) {
            *received *= ranking.length_discount(*words);
        }
        received
    }

    fn gap(&self, a: usize, b: usize) -> TimeDelta {
        TimeDelta::microseconds(self.times[b] - self.times[a])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memory_core::{Generation, Memory, ScoreStats};

    use super::*;
    use crate::ranking::RecallPath;

    fn lent(words: &[u32], blend: &[f32], ranking: &Ranking) -> Vec<f32> {
        let count = words.len();
        let set = CandidateSet {
            times: vec![7; count],
            similarities: vec![0.0; count],
            chunks: vec![1; count],
            lexical: vec![0.0; count],
            pairs: vec![0.0; count],
            mentioned: vec![false; count],
            words: words.to_vec(),
            has_time: vec![false; count],
            episodes: vec![(0..count).collect::<Vec<_>>().into()],
            links: Vec::new(),
            dense_stats: ScoreStats::default(),
            lexical_stats: ScoreStats::default(),
            pair_stats: ScoreStats::default(),
            mention_stats: ScoreStats::default(),
            time_share: 0.0,
            unknown: 0.0,
            asks_when: false,
            matching: count as u64,
            compared: count as u64,
            memories: Box::new(Vec::<Arc<Memory>>::new()),
            path: RecallPath::Snapshot,
            generation: Generation(1),
        };
        set.lend(ranking, blend)
    }

    #[test]
    fn the_best_neighbor_lends_and_a_poor_one_takes_nothing() {
        let blend = [2.0, -1.0, 1.0, -3.0, -3.0, -3.0, -3.0];
        let lent = lent(&[0; 7], &blend, &Ranking::default());
        let expected = [0.49, 1.4, 0.98, 0.7];
        for (lent, expected) in lent.iter().zip(expected) {
            assert!((lent - expected).abs() < 1e-6, "{lent}, not {expected}");
        }
        assert_eq!(lent[6], 0.0, "beyond the reach");
    }

    #[test]
    fn long_memories_and_short_episodes_receive_less() {
        let ranking = Ranking::default();
        let long = lent(&[0, 200, 600, 0, 0, 0, 0], &[1.0; 7], &ranking);
        assert!((long[1] / long[0] - 0.5).abs() < 1e-6, "half at 200 words");
        assert!((long[2] / long[0] - 0.1).abs() < 1e-6);
        let short = lent(&[0; 4], &[1.0; 4], &ranking);
        assert!(
            (short[0] / long[0] - 0.5).abs() < 1e-6,
            "three others of six"
        );
        let off = Ranking {
            neighbor_ramp: 0.0,
            neighbor_words: 0.0,
            ..ranking
        };
        assert_eq!(lent(&[600, 600], &[1.0; 2], &off), [0.7, 0.7]);
    }
}
