//! Maps the policy's two limits, entries and bytes, to moka's single capacity.

use memory_core::ByteSize;

/// The maximum of moka's 32-bit weights.
const MAX_UNITS: u64 = u32::MAX as u64;

/// Converts entries and bytes to moka's units of weight.
///
/// The capacity is `units = share · max_entries`. An entry of `b` bytes weighs
/// `max(share, ceil(b · units / max_bytes))`. Each entry weighs at least a
/// share, so at most `max_entries` fit; rounding is upward, so at most
/// `max_bytes` fit, and at most one unit per entry is wasted. `share` is as
/// large as 32-bit weights allow, which makes a unit small (1/64 byte for
/// 64 MiB, 4 bytes for 16 GiB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    max_bytes: u64,
    /// The units of one share; 0 if nothing can be cached.
    share: u64,
    /// The units of the whole capacity.
    units: u64,
}

impl Capacity {
    pub(crate) fn new(max_entries: u64, max_bytes: ByteSize) -> Self {
        // No memory could hold more than 2^32 entries.
        let shares = max_entries.min(MAX_UNITS);
        let share = MAX_UNITS.checked_div(shares).unwrap_or(0);
        Self {
            max_bytes: max_bytes.0,
            share,
            units: share * shares,
        }
    }

    /// The capacity to configure in moka.
    pub(crate) const fn units(self) -> u64 {
        self.units
    }

    /// Whether a value of `bytes` bytes fits into an empty cache.
    pub(crate) const fn can_hold(self, bytes: u64) -> bool {
        bytes <= self.max_bytes && self.units > 0
    }

    /// The weight of an entry of `bytes` bytes.
    pub(crate) fn units_of(self, bytes: u64) -> u32 {
        let product = u128::from(bytes) * u128::from(self.units);
        let by_bytes = product.div_ceil(u128::from(self.max_bytes.max(1)));
        let units = by_bytes.max(u128::from(self.share));
        // For what `can_hold` accepts this is at most `self.units`, which fits.
        u32::try_from(units).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many entries of `bytes` bytes fit.
    fn fitting(capacity: Capacity, bytes: u64) -> u64 {
        capacity.units() / u64::from(capacity.units_of(bytes))
    }

    #[test]
    fn exactly_max_entries_light_entries_fit() {
        for max_entries in [1, 3, 7, 1_000, 999_983, 10_000_000] {
            let capacity = Capacity::new(max_entries, ByteSize::mebibytes(64));
            assert_eq!(fitting(capacity, 0), max_entries);
            assert_eq!(fitting(capacity, 1), max_entries);
        }
    }

    #[test]
    fn at_most_max_bytes_fit_and_rounding_costs_one_entry_at_most() {
        for max_bytes in [100, 1_000, 1 << 26, 1 << 34, 1 << 50] {
            let capacity = Capacity::new(1 << 20, ByteSize(max_bytes));
            for parts in [1, 2, 3, 7, 99] {
                let bytes = max_bytes / parts;
                let fit = fitting(capacity, bytes);
                assert!(fit * bytes <= max_bytes, "{fit} of {bytes} in {max_bytes}");
                assert!(
                    fit + 1 >= max_bytes / bytes,
                    "{fit} of {bytes} in {max_bytes}"
                );
            }
            assert!(capacity.can_hold(max_bytes) && !capacity.can_hold(max_bytes + 1));
            assert_eq!(u64::from(capacity.units_of(max_bytes)), capacity.units());
        }
    }

    #[test]
    fn limits_of_zero_hold_nothing_and_unlimited_ones_do_not_overflow() {
        assert!(!Capacity::new(0, ByteSize(100)).can_hold(0));
        assert!(!Capacity::new(10, ByteSize(0)).can_hold(1));
        let weightless = Capacity::new(10, ByteSize(0));
        assert!(weightless.can_hold(0));
        assert_eq!(fitting(weightless, 0), 10);
        let unlimited = Capacity::new(u64::MAX, ByteSize(u64::MAX));
        assert!(unlimited.can_hold(u64::MAX));
        assert_eq!(fitting(unlimited, u64::MAX), 1);
        assert_eq!(fitting(unlimited, 1 << 20), u64::from(u32::MAX));
    }
}
