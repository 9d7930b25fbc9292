//! A score by slot, of which few are high.

/// Slots of a block: few enough that reading the block of a high score costs little, many
/// enough that there are few blocks.
const BLOCK: usize = 128;

/// A slot and its score.
pub(super) type SlotScore = (u32, f32);

/// A score by slot, with the highest of each block: a search for high scores skips most
/// blocks.
pub(super) struct BlockedScores {
    values: Vec<f32>,
    highest: Vec<f32>,
}

impl BlockedScores {
    /// The score of a slot that is no candidate.
    pub(super) const NONE: f32 = f32::NEG_INFINITY;

    pub(super) fn new(values: Vec<f32>) -> Self {
        let highest = values.chunks(BLOCK).map(highest).collect();
        Self { values, highest }
    }

    /// Of all slots, in their order.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(super) fn of(&self, slot: u32) -> f32 {
        self.values[slot as usize]
    }

    /// The candidates with a score of at least `lowest`, in order.
    pub(super) fn at_least(&self, lowest: f32) -> impl Iterator<Item = SlotScore> {
        self.blocks()
            .filter(move |(_, highest, _)| *highest >= lowest)
            .flat_map(|(first, _, block)| (first..).zip(block.iter().copied()))
            .filter(move |(_, score)| *score >= lowest && *score > Self::NONE)
    }

    /// The `n`-th highest score of the candidates that count; `None` if there are fewer.
    pub(super) fn nth_highest(&self, n: usize, counts: impl Fn(&SlotScore) -> bool) -> Option<f32> {
        let mut best = Highest::new(n);
        for (first, highest, block) in self.blocks() {
            if highest > best.lowest {
                let scores = (first..).zip(block.iter().copied());
                for score in scores {
                    if score.1 > best.lowest && counts(&score) {
                        best.add(score.1);
                    }
                }
            }
        }
        best.nth()
    }

    /// The first slot of each block, its highest score, and its scores.
    fn blocks(&self) -> impl Iterator<Item = (u32, f32, &[f32])> {
        let blocks = self.values.chunks(BLOCK).zip(&self.highest);
        let first = (0u32..).step_by(BLOCK);
        first
            .zip(blocks)
            .map(|(first, (block, highest))| (first, *highest, block))
    }
}

/// The highest score of a block. By lanes, which are compared at once.
fn highest(block: &[f32]) -> f32 {
    const LANES: usize = 16;
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [BlockedScores::NONE; LANES];
    let parts = block.chunks_exact(LANES);
    let rest = parts.remainder().iter().copied();
    let rest = rest.fold(BlockedScores::NONE, larger);
    for part in parts {
        for (lane, score) in lanes.iter_mut().zip(part) {
            *lane = larger(*lane, *score);
        }
    }
    lanes.into_iter().fold(rest, larger)
}

/// The highest of scores, of which each is seen once.
pub(super) struct Highest {
    n: usize,
    /// The `n` highest so far, and others.
    found: Vec<f32>,
    /// Scores up to this are not among the `n` highest.
    lowest: f32,
}

impl Highest {
    pub(super) fn new(n: usize) -> Self {
        Self {
            n,
            found: Vec::with_capacity(2 * n),
            lowest: BlockedScores::NONE,
        }
    }

    pub(super) fn add(&mut self, score: f32) {
        if score > self.lowest && self.n > 0 {
            self.found.push(score);
            if self.found.len() == 2 * self.n {
                self.lowest = self.select();
                self.found.truncate(self.n);
            }
        }
    }

    /// The `n`-th highest; `None` if there are fewer that are those of candidates.
    pub(super) fn nth(mut self) -> Option<f32> {
        (0 < self.n && self.n <= self.found.len()).then(|| self.select())
    }

    fn select(&mut self) -> f32 {
        let last = self.n - 1;
        let (_, nth, _) = self
            .found
            .select_nth_unstable_by(last, |a, b| b.total_cmp(a));
        *nth
    }
}

impl Extend<f32> for Highest {
    fn extend<I: IntoIterator<Item = f32>>(&mut self, scores: I) {
        scores.into_iter().for_each(|score| self.add(score));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: f32 = BlockedScores::NONE;

    proptest! {
        #[test]
        fn high_scores_are_those_of_a_sorted_list(
            values in prop::collection::vec(
                prop_oneof![3 => (-20i8..20).prop_map(f32::from), 1 => Just(NONE)],
                0..700,
            ),
            n in 0usize..40,
            lowest in prop_oneof![(-20i8..20).prop_map(f32::from), Just(NONE)],
        ) {
            let scores = BlockedScores::new(values.clone());
            let candidates = (0u32..).zip(values).filter(|(_, score)| *score > NONE);
            let candidates: Vec<SlotScore> = candidates.collect();
            let high = candidates.iter().copied().filter(|(_, score)| *score >= lowest);
            prop_assert_eq!(
                scores.at_least(lowest).collect::<Vec<_>>(),
                high.collect::<Vec<_>>()
            );
            let counts = |(slot, _): &SlotScore| slot % 3 > 0;
            let mut counted: Vec<f32> =
                candidates.iter().filter(|score| counts(score)).map(|(_, score)| *score).collect();
            counted.sort_unstable_by(|a, b| b.total_cmp(a));
            let nth = n.checked_sub(1).and_then(|last| counted.get(last).copied());
            prop_assert_eq!(scores.nth_highest(n, counts), nth);
        }
    }
}
