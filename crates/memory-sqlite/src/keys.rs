//! The 64-bit keys of rows: an owner's number above, a number of its own below.

use std::ops::RangeInclusive;

/// How many rows an owner (an entity, an embedding space) can have.
const SHARE: i64 = 1 << 32;

/// The key of an owner's row of this number.
pub(crate) const fn key(owner: i64, number: i64) -> i64 {
    owner * SHARE + number
}

/// All the keys that an owner's rows may have.
pub(crate) const fn range(owner: i64) -> RangeInclusive<i64> {
    key(owner, 0)..=key(owner, SHARE - 1)
}

/// What to add to a key of one owner for the key of the same number of another.
pub(crate) const fn shift(from: i64, to: i64) -> i64 {
    (to - from) * SHARE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_ranges_touch_and_do_not_overlap() {
        assert_eq!(range(7).end() + 1, *range(8).start());
        assert!(range(7).contains(&key(7, 0)) && range(7).contains(&key(7, SHARE - 1)));
        assert_eq!(key(7, 5) + shift(7, 90), key(90, 5));
        // The largest owner that the schema allows still fits.
        assert_eq!(*range(i64::from(i32::MAX)).end(), i64::MAX);
    }
}
