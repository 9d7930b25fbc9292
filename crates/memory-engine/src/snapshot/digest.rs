//! Digests of words and names, by which indexes know them.

/// 64 bits, in two numbers so that an entry of an index takes no more than it has to:
/// two of a million words have the same with a probability of 1 in 37 million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Digest([u32; 2]);

impl From<u64> for Digest {
    #[expect(clippy::cast_possible_truncation, reason = "its two halves")]
    fn from(digest: u64) -> Self {
        Self([(digest >> 32) as u32, digest as u32])
    }
}

impl From<Digest> for u64 {
    fn from(Digest([high, low]): Digest) -> Self {
        (Self::from(high) << 32) | Self::from(low)
    }
}
