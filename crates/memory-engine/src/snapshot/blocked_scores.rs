//! A score by slot, of which few are high.

use memory_core::{ScoreStats, ScoreStatsBuilder};

use super::buffer::Buffer;

/// Slots of a block: few enough that reading the block of a high score costs little, many
/// enough that there are few blocks.
const BLOCK: usize = 128;

/// Scores that are compared at once.
const LANES: usize = 16;

/// A slot and its score.
pub(super) type SlotScore = (u32, f32);

/// A score by slot, with the highest of each block: a search for high scores skips most
/// blocks.
pub(super) struct BlockedScores {
    values: Buffer,
    highest: Vec<f32>,
}

impl BlockedScores {
    /// The score of a slot that is no candidate.
    pub(super) const NONE: f32 = f32::NEG_INFINITY;

    pub(super) fn new(values: Buffer) -> Self {
        let highest = values.chunks(BLOCK).map(highest).collect();
        Self { values, highest }
    }

    /// The scores of `slots` slots, which `compute` writes for a block at a time, given
    /// the first slot of it.
    pub(super) fn of_blocks(slots: usize, mut compute: impl FnMut(usize, &mut [f32])) -> Self {
        let mut values = Buffer::new(slots, 0.0);
        let blocks = (0..).step_by(BLOCK).zip(values.chunks_mut(BLOCK));
        let blocks = blocks.map(|(first, block)| {
            compute(first, block);
            highest(block)
        });
        let highest = blocks.collect();
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
            .flat_map(|(first, _, block)| (first..).step_by(LANES).zip(block.chunks(LANES)))
            .filter(move |(_, part)| {
                part.iter()
                    .fold(false, |any, score| any | (*score >= lowest))
            })
            .flat_map(|(first, part)| (first..).zip(part.iter().copied()))
            .filter(move |(_, score)| *score >= lowest && *score > Self::NONE)
    }

    /// The slots of these.
    pub(super) fn slots_of_at_least(&self, lowest: f32) -> Vec<u32> {
        self.at_least(lowest).map(|(slot, _)| slot).collect()
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

    /// Adds to the scores of slots, which are in order.
    pub(super) fn add_all(&mut self, changes: &[SlotScore]) {
        let block = |(slot, _): &SlotScore| *slot as usize / BLOCK;
        for of_block in changes.chunk_by(|a, b| block(a) == block(b)) {
            for (slot, change) in of_block {
                self.values[*slot as usize] += change;
            }
            let block = of_block.first().map_or(0, block);
            let scores = self.values.chunks(BLOCK).nth(block);
            self.highest[block] = highest(scores.unwrap_or_default());
        }
    }

    /// The highest score; 0 where none is higher.
    pub(super) fn max(&self) -> f32 {
        self.highest.iter().copied().fold(0.0, f32::max)
    }

    /// Whether a score of the block that begins with slot `first` is above 0.
    pub(super) fn has_any(&self, first: usize) -> bool {
        self.highest[first / BLOCK] > 0.0
    }

    /// The statistics over `memories`, of which all without a score above 0 have 0.
    pub(super) fn stats_above_zero(&self, memories: usize) -> ScoreStats {
        let mut builder = ScoreStatsBuilder::default();
        let found = self.blocks().filter(|(_, highest, _)| *highest > 0.0);
        found.for_each(|(_, _, block)| builder.add_above(0.0, block));
        builder.add_zeros((memories as u64).saturating_sub(builder.count()));
        builder.summary()
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

    fn buffer(values: &[f32]) -> Buffer {
        let mut buffer = Buffer::new(values.len(), 0.0);
        buffer.copy_from_slice(values);
        buffer
    }

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
            let scores = BlockedScores::new(buffer(&values));
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

    #[test]
    fn scores_of_blocks_and_their_statistics() {
        // One block without scores, one with some, and a part of one.
        let score = |slot: usize| match slot {
            0..128 => 0.0,
            slot if slot % 3 == 0 => slot as f32 / 10.0,
            _ => 0.0,
        };
        let scores = BlockedScores::of_blocks(300, |first, block| {
            for (slot, value) in (first..).zip(block) {
                *value = score(slot);
            }
        });
        let values: Vec<f32> = (0..300).map(score).collect();
        assert_eq!(scores.values(), values);
        assert_eq!(
            [0, 128, 256].map(|first| scores.has_any(first)),
            [false, true, true]
        );
        assert_eq!(scores.max(), 29.7);
        // Some slots have no memory.
        let found = values.iter().copied().filter(|value| *value > 0.0);
        let zeros = std::iter::repeat_n(0.0, 200 - found.clone().count());
        let expected = ScoreStats::of(found.chain(zeros));
        assert_eq!(scores.stats_above_zero(200), expected);
    }
}
