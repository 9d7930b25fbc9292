//! Two bounds in one: moka knows a single capacity, the policy has two.

use memory_core::ByteSize;

/// The most that moka's 32-bit weights can express.
const MAX_UNITS: u64 = u32::MAX as u64;

/// Translates entries and bytes into moka's units.
///
/// The whole capacity is `max_entries` equal shares. An entry takes as many
/// units as its part of `max_bytes` is of the whole, rounded up, and one share
/// at least. So no more entries fit than there are shares, and no more bytes
/// than `max_bytes`: rounding up can only leave room unused, one unit an entry
/// at most. Shares are made as large as 32 bits allow, which makes a unit
/// small (a 64th of a byte under 64 MiB, four bytes under 16 GiB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    max_bytes: u64,
    /// Units of one share; 0 where nothing may be held.
    share: u64,
    /// Units of all.
    units: u64,
}

impl Capacity {
    pub(crate) fn new(max_entries: u64, max_bytes: ByteSize) -> Self {
        // Beyond 2^32 entries the bound could not be reached in any memory.
        let shares = max_entries.min(MAX_UNITS);
        let share = MAX_UNITS.checked_div(shares).unwrap_or(0);
        Self {
            max_bytes: max_bytes.0,
            share,
            units: share * shares,
        }
    }

    /// The capacity to give to moka.
    pub(crate) const fn units(self) -> u64 {
        self.units
    }

    /// Whether a value of so many bytes may be held at all.
    pub(crate) const fn matches(self, bytes: u64) -> bool {
        bytes <= self.max_bytes && self.units > 0
    }

    /// The units that an entry of so many bytes takes.
    pub(crate) fn units_of(self, bytes: u64) -> u32 {
        let product = u128::from(bytes) * u128::from(self.units);
        let by_bytes = product.div_ceil(u128::from(self.max_bytes.max(1)));
        let units = by_bytes.max(u128::from(self.share));
        // What `admits` lets in takes no more than all units, which fit.
        u32::try_from(units).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many entries of so many bytes fit.
    fn fitting(capacity: Capacity, bytes: u64) -> u64 {
        capacity.units() / u64::from(capacity.units_of(bytes))
    }

    #[test]
    fn as_many_entries_fit_as_there_are_shares() {
        for max_entries in [1, 3, 7, 1_000, 999_983, 10_000_000] {
            let capacity = Capacity::new(max_entries, ByteSize::mebibytes(64));
            assert_eq!(fitting(capacity, 0), max_entries);
            assert_eq!(fitting(capacity, 1), max_entries);
        }
    }

    #[test]
    fn no_more_bytes_fit_than_allowed_and_rounding_costs_an_entry_at_most() {
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
            assert!(capacity.matches(max_bytes) && !capacity.matches(max_bytes + 1));
            assert_eq!(u64::from(capacity.units_of(max_bytes)), capacity.units());
        }
    }

    #[test]
    fn bounds_of_zero_hold_nothing_and_endless_ones_overflow_nothing() {
        assert!(!Capacity::new(0, ByteSize(100)).matches(0));
        assert!(!Capacity::new(10, ByteSize(0)).matches(1));
        let weightless = Capacity::new(10, ByteSize(0));
        assert!(weightless.matches(0));
        assert_eq!(fitting(weightless, 0), 10);
        let endless = Capacity::new(u64::MAX, ByteSize(u64::MAX));
        assert!(endless.matches(u64::MAX));
        assert_eq!(fitting(endless, u64::MAX), 1);
        assert_eq!(fitting(endless, 1 << 20), u64::from(u32::MAX));
    }
}
