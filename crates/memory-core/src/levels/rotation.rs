//! A rotation that mixes components: each by a random sign, and a Walsh–Hadamard transform
//! of parts.

use std::f32::consts::SQRT_2;
use std::iter;
use std::ops::{Add, Neg, Sub};

/// Components that are rotated together.
pub(super) const PART: usize = 128;

/// How many times as long what the sums of a part are as the part: √128.
pub(super) const fn part_length() -> f32 {
    8.0 * SQRT_2
}

/// Mixes the components of vectors of some length.
pub(super) struct Rotation {
    /// Which components change their sign before they are mixed: without that, the sums of
    /// equal components would be 0 but for one.
    flips: Vec<bool>,
}

impl Rotation {
    pub(super) fn new(dimensions: usize) -> Self {
        // SplitMix64 (Steele, Lea and Flood, 2014) from a fixed seed, a bit for each.
        let mut state = 0u64;
        let word = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let words = iter::repeat_with(word);
        let bits = words.flat_map(|word| (0..u64::BITS).map(move |bit| (word >> bit) & 1 == 1));
        let flips = bits.take(dimensions).collect();
        Self { flips }
    }

    /// Writes the rotated numbers, [`part_length`] times as long, to whole parts, of which
    /// the last is filled with 0. Sums of 128 codes have 16 bits, so that nothing is rounded.
    pub(super) fn apply<T: Number>(&self, numbers: impl Iterator<Item = T>, rotated: &mut [T]) {
        rotated.fill(T::default());
        for ((number, flip), rotated) in numbers.zip(&self.flips).zip(rotated.iter_mut()) {
            *rotated = if *flip { -number } else { number };
        }
        rotated.as_chunks_mut().0.iter_mut().for_each(mix);
    }
}

/// A code or a component.
pub(super) trait Number:
    Copy + Default + Add<Output = Self> + Sub<Output = Self> + Neg<Output = Self>
{
}

impl Number for i16 {}
impl Number for f32 {}

/// A Walsh–Hadamard transform of one part (Fino and Algazi, 1976), whose results are in
/// another order: each stage reads both halves, and writes sums and differences in turn, so
/// that many are computed at a time.
fn mix<T: Number>(part: &mut [T; PART]) {
    let mut mixed = [T::default(); PART];
    for _ in 0..PART.ilog2() {
        let (low, high) = part.split_at(PART / 2);
        for (pair, (a, b)) in mixed.as_chunks_mut().0.iter_mut().zip(low.iter().zip(high)) {
            *pair = [*a + *b, *a - *b];
        }
        *part = mixed;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A Walsh–Hadamard matrix times itself is the identity, times its size.
        #[test]
        fn a_rotation_keeps_dot_products(
            (a, b) in (any::<[i8; PART]>(), any::<[i8; PART]>()),
        ) {
            let dot = |a: &[i16; PART], b: &[i16; PART]| -> i64 {
                a.iter().zip(b).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum()
            };
            let [mut a, mut b] = [a, b].map(|it| it.map(|code| i16::from(code.max(-127))));
            let before = dot(&a, &b);
            mix(&mut a);
            mix(&mut b);
            prop_assert_eq!(dot(&a, &b), before * 128);
        }
    }
}
