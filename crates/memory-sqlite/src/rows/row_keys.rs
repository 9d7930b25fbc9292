//! The 64-bit keys of rows: the owner's number in the upper half, the row's own
//! number in the lower half.

/// How many rows an owner (an entity, an embedding space) can have.
pub(crate) const ROWS_PER_OWNER: i64 = 1 << 32;

/// The keys under which one memory of a batch is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowKeys {
    /// The memory's index in the batch.
    pub(crate) item: usize,
    pub(crate) entity_key: i64,
    pub(crate) memory_key: i64,
    pub(crate) embedding_key: i64,
    pub(crate) version: i64,
    /// Whether its id may have a tombstone.
    pub(crate) may_have_tombstone: bool,
}

/// The key of an owner's row with this number.
pub(crate) const fn key(owner: i64, number: i64) -> i64 {
    owner * ROWS_PER_OWNER + number
}

/// The difference between the keys of two owners' rows with the same number.
pub(crate) const fn shift(from: i64, to: i64) -> i64 {
    (to - from) * ROWS_PER_OWNER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_owners_are_adjacent_and_disjoint() {
        assert_eq!(key(7, ROWS_PER_OWNER - 1) + 1, key(8, 0));
        assert_eq!(key(7, 5) + shift(7, 90), key(90, 5));
        // The largest owner that the schema allows still fits.
        assert_eq!(key(i64::from(i32::MAX), ROWS_PER_OWNER - 1), i64::MAX);
    }
}
