//! One budget in bytes, divided among the tiers: as the defaults do, as is best in
//! hindsight, and as ghost lists move it.
//!
//! Every tier evicts what was least recently used, so that only the division differs.
//! A tier's ghost list has what a little more capacity would still hold: what hits there
//! is what that capacity would have saved, and what hits among the last bytes of the
//! tier is what they save.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::stack_distance::LruStack;
use crate::cache_comparison::trace::{Op, Trace};

/// The tiers as [`Trace::tiers`] has them, the share of the bytes that the defaults give
/// to each (64, 224, 32, 8 and 8 of 336 MiB, in all three presets alike), and what a miss
/// costs.
const TIERS: [TierCost; 5] = [
    TierCost::new("memory", 64, 219.0, 0.0),
    // Snapshots: 332 ms for 10,000 memories of 1,491 bytes.
    TierCost::new("entity", 224, 300.0, 22.0),
    // Pages of lists: 6.3 ms for 1,000 memories of some 500 bytes.
    TierCost::new("entity 2", 32, 219.0, 12.0),
    // Vectors of questions, and of passages in a batch.
    TierCost::new("embedding", 8, 2_710.0, 0.0),
    TierCost::new("embedding 2", 8, 1_710.0, 0.0),
];

/// The cost of a miss, from docs/performance.md.
#[derive(Debug, Clone, Copy)]
struct TierCost {
    tier: &'static str,
    share: u64,
    micros: f64,
    nanos_per_byte: f64,
}

impl TierCost {
    const fn new(tier: &'static str, share: u64, micros: f64, nanos_per_byte: f64) -> Self {
        Self {
            tier,
            share,
            micros,
            nanos_per_byte,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a size below 2^52")]
    fn seconds(&self, bytes: u64) -> f64 {
        (self.micros + bytes as f64 * self.nanos_per_byte / 1_000.0) / 1e6
    }
}

/// The budget is moved in parts of this size, at most one in so many reads.
const PARTS: u64 = 64;
const READS_PER_MOVE: u32 = 500;

/// What more capacity would have saved must exceed what is given up by this factor:
/// without it, capacity moves to and fro between tiers that need it alike.
const MIN_ADVANTAGE: f64 = 1.25;

/// What each division saves of the work that there would be without any cache, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DivisionRow {
    /// The trace.
    pub trace: String,
    /// The budget, as a share of all bytes that the trace reads, 0 to 1.
    pub share: f64,
    /// The budget.
    pub bytes: u64,
    /// The division of the defaults.
    pub fixed: f64,
    /// The best division that stays the same, known in hindsight.
    pub best: f64,
    /// Ghost lists, from the division of the defaults on.
    pub ghosts: f64,
    /// Everything fits.
    pub unlimited: f64,
    /// Moves of capacity by ghost lists.
    pub moves: u64,
    /// Shares of the budget in the order of the tiers: of the best division, and of
    /// ghost lists at the end.
    pub best_division: Vec<f64>,
    /// See [`best_division`](Self::best_division).
    pub last_division: Vec<f64>,
}

impl DivisionRow {
    /// What ghost lists save more than the fixed division, of what that saves.
    #[must_use]
    pub fn gain(&self) -> f64 {
        self.ghosts / self.fixed - 1.0
    }

    /// The same of the best division.
    #[must_use]
    pub fn gain_of_best(&self) -> f64 {
        self.best / self.fixed - 1.0
    }
}

/// Compares the divisions of a budget of this share of all bytes that the trace reads.
///
/// # Errors
/// For a trace of other tiers than the engine's.
pub fn compare(trace: &Trace, share: f64) -> Result<DivisionRow, String> {
    if !trace.tiers.iter().eq(TIERS.iter().map(|tier| tier.tier)) {
        return Err(format!("the trace has other tiers: {:?}", trace.tiers));
    }
    let footprint: u64 = trace.footprints().iter().map(|tier| tier.bytes).sum();
    let part = (scaled(footprint, share) / PARTS).max(1);
    let budget = part * PARTS;
    let curves = Curves::measure(trace, part);
    let shares: u64 = TIERS.iter().map(|tier| tier.share).sum();
    let defaults = TIERS.map(|tier| budget * tier.share / shares);
    let best = curves.best_division();
    let mut fixed = Simulation::new(trace, defaults, part);
    fixed.run(trace, None);
    let mut static_best = Simulation::new(trace, best.map(|parts| parts * part), part);
    static_best.run(trace, None);
    let mut ghosts = Simulation::new(trace, defaults, part);
    ghosts.run(trace, Some(READS_PER_MOVE));
    let of_budget = |capacity: u64| ratio(capacity, budget);
    Ok(DivisionRow {
        trace: trace.name.clone(),
        share,
        bytes: budget,
        fixed: fixed.saved / fixed.whole,
        best: static_best.saved / fixed.whole,
        ghosts: ghosts.saved / fixed.whole,
        unlimited: curves.unlimited() / fixed.whole,
        moves: ghosts.moves,
        best_division: best.iter().map(|parts| of_budget(parts * part)).collect(),
        last_division: ghosts
            .tiers
            .iter()
            .map(|tier| of_budget(tier.capacity))
            .collect(),
    })
}

/// What each tier saves with so many parts of the budget.
struct Curves {
    /// For each tier, the seconds saved with 0 to [`PARTS`] parts, and with any number.
    saved: Vec<Vec<f64>>,
}

impl Curves {
    fn measure(trace: &Trace, part: u64) -> Self {
        let parts = index(PARTS);
        let mut saved = vec![vec![0.0; parts + 2]; TIERS.len()];
        let mut stacks: Vec<LruStack> = TIERS
            .iter()
            .map(|_| LruStack::new(trace.ops.len()))
            .collect();
        for (tier, op) in &trace.ops {
            let stack = &mut stacks[*tier];
            if let Op::Read { key, bytes } = *op
                && let Some(distance) = stack.distance(key)
            {
                let needed = index(distance.div_ceil(part)).min(parts + 1);
                saved[*tier][needed] += TIERS[*tier].seconds(bytes);
            }
            apply(stack, *op);
        }
        for curve in &mut saved {
            for parts in 1..curve.len() {
                curve[parts] += curve[parts - 1];
            }
        }
        Self { saved }
    }

    fn unlimited(&self) -> f64 {
        self.saved.iter().filter_map(|curve| curve.last()).sum()
    }

    /// The parts for each tier that save the most together.
    fn best_division(&self) -> [u64; TIERS.len()] {
        let parts = index(PARTS);
        // For each number of parts, the most that the tiers so far save, and how.
        let mut best = vec![(0.0, [0; TIERS.len()]); parts + 1];
        for (tier, curve) in self.saved.iter().enumerate() {
            let mut next = best.clone();
            for (all, choice) in next.iter_mut().enumerate() {
                for own in 1..=all {
                    let (others, mut division) = best[all - own];
                    if others + curve[own] > choice.0 {
                        division[tier] = own as u64;
                        *choice = (others + curve[own], division);
                    }
                }
            }
            best = next;
        }
        best.pop()
            .map_or([0; TIERS.len()], |(_, division)| division)
    }
}

/// One tier while a trace runs.
struct Tier {
    stack: LruStack,
    capacity: u64,
    /// What was evicted when the capacity changed, although the stack has it within the
    /// capacity of now.
    evicted: HashSet<u64>,
    /// Seconds that another part would have saved lately, and that the last part saved.
    gain: f64,
    loss: f64,
}

impl Tier {
    fn set_capacity(&mut self, capacity: u64) {
        let gone: Vec<u64> = self.stack.beyond(capacity.min(self.capacity)).collect();
        self.evicted.extend(gone);
        self.capacity = capacity;
    }
}

struct Simulation {
    tiers: Vec<Tier>,
    part: u64,
    saved: f64,
    whole: f64,
    moves: u64,
}

impl Simulation {
    fn new(trace: &Trace, capacities: [u64; TIERS.len()], part: u64) -> Self {
        let tier = |capacity| Tier {
            stack: LruStack::new(trace.ops.len()),
            capacity,
            evicted: HashSet::new(),
            gain: 0.0,
            loss: 0.0,
        };
        Self {
            tiers: capacities.into_iter().map(tier).collect(),
            part,
            saved: 0.0,
            whole: 0.0,
            moves: 0,
        }
    }

    fn run(&mut self, trace: &Trace, reads_per_move: Option<u32>) {
        let mut reads = 0;
        for (tier, op) in &trace.ops {
            if let Op::Read { key, bytes } = *op {
                self.read(*tier, key, TIERS[*tier].seconds(bytes));
                reads += 1;
                if reads_per_move.is_some_and(|period| reads % period == 0) {
                    self.move_capacity();
                }
            }
            let tier = &mut self.tiers[*tier];
            if !matches!(op, Op::Refresh { .. }) {
                let (Op::Read { key, .. }
                | Op::Write { key, .. }
                | Op::Refresh { key, .. }
                | Op::Remove { key }) = *op;
                tier.evicted.remove(&key);
            }
            apply(&mut tier.stack, *op);
        }
    }

    fn read(&mut self, tier: usize, key: u64, seconds: f64) {
        self.whole += seconds;
        let part = self.part;
        let tier = &mut self.tiers[tier];
        let Some(distance) = tier.stack.distance(key) else {
            return;
        };
        let is_hit = distance <= tier.capacity && !tier.evicted.contains(&key);
        if is_hit {
            self.saved += seconds;
            if distance > tier.capacity.saturating_sub(part) {
                tier.loss += seconds;
            }
        } else if distance <= tier.capacity + part {
            tier.gain += seconds;
        }
    }

    /// Moves a part from the tier whose last part saves the least to the one that
    /// another would save the most, if it is worth it.
    fn move_capacity(&mut self) {
        let part = self.part;
        let by = |value: fn(&Tier) -> f64| {
            move |a: &(usize, &Tier), b: &(usize, &Tier)| value(a.1).total_cmp(&value(b.1))
        };
        let tiers = || self.tiers.iter().enumerate();
        let to = tiers().max_by(by(|tier| tier.gain));
        let to = to.map(|(n, tier)| (n, tier.gain));
        // Each keeps a part, so that what its last one saves is known.
        let from = tiers()
            .filter(|(n, tier)| tier.capacity >= 2 * part && Some(*n) != to.map(|(to, _)| to))
            .min_by(by(|tier| tier.loss))
            .map(|(n, tier)| (n, tier.loss));
        if let (Some((to, gain)), Some((from, loss))) = (to, from)
            && gain > loss * MIN_ADVANTAGE
        {
            let grown = self.tiers[to].capacity + part;
            let shrunk = self.tiers[from].capacity - part;
            self.tiers[to].set_capacity(grown);
            self.tiers[from].set_capacity(shrunk);
            self.moves += 1;
        }
        for tier in &mut self.tiers {
            tier.gain /= 2.0;
            tier.loss /= 2.0;
        }
    }
}

fn apply(stack: &mut LruStack, op: Op) {
    match op {
        Op::Read { key, bytes } | Op::Write { key, bytes } => stack.touch(key, bytes),
        Op::Refresh { key, bytes } => stack.resize(key, bytes),
        Op::Remove { key } => stack.remove(key),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a size, to about a byte"
)]
fn scaled(bytes: u64, share: f64) -> u64 {
    (bytes as f64 * share) as u64
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for a table")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use memory_testkit::SeededRng;

    use super::*;

    /// Reads of two tiers, of which only the questions need more than the defaults give.
    fn lopsided() -> Trace {
        let mut rng = SeededRng::new(3);
        let mut ops = Vec::new();
        for n in 0..60_000u64 {
            let key = rng.below(400) as u64;
            ops.push((3, Op::Read { key, bytes: 1_000 }));
            ops.push((
                0,
                Op::Read {
                    key: n,
                    bytes: 1_000,
                },
            ));
        }
        Trace {
            name: "lopsided".to_owned(),
            tiers: TIERS.iter().map(|tier| tier.tier.to_owned()).collect(),
            ops,
        }
    }

    #[test]
    fn ghost_lists_find_the_tier_that_needs_capacity() {
        let row = compare(&lopsided(), 0.01).unwrap();
        // 600 KB, of which the defaults give 14 to the 400 KB of questions.
        assert!(row.fixed < 0.1 * row.best, "{row:?}");
        assert!(row.ghosts > 0.7 * row.best, "{row:?}");
        assert!((row.best - row.unlimited).abs() < 1e-9, "{row:?}");
        assert!(row.last_division[3] > 0.6, "{row:?}");
    }

    #[test]
    fn no_division_is_better_than_the_best() {
        for share in [0.002, 0.01, 0.05] {
            let row = compare(&lopsided(), share).unwrap();
            assert!(row.fixed <= row.best + 1e-9, "{row:?}");
            assert!(row.best <= row.unlimited + 1e-9, "{row:?}");
            let whole: f64 = row.last_division.iter().sum();
            assert!((whole - 1.0).abs() < 0.01, "the budget stays: {row:?}");
        }
    }

    #[test]
    fn other_tiers_are_refused() {
        let trace = Trace::of_one_tier("one", Vec::new());
        assert!(compare(&trace, 0.1).is_err());
    }
}
