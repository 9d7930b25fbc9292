//! Sets of short words that are fixed in the program.

/// Length of the longest word, in bytes.
const MAX_BYTES: usize = 15;

/// Words, each as a number, in a hash table with this number of slots, a power of two: every
/// word of a text is looked for, and comparing texts takes several times as long.
pub(crate) struct ShortWords<const SLOTS: usize>([u128; SLOTS]);

/// What is in a slot without a word: the number of the empty word.
const EMPTY: u128 = 0;

impl<const SLOTS: usize> ShortWords<SLOTS> {
    /// Of at most half as many words as there are slots.
    pub(crate) const fn new(words: &[&str]) -> Self {
        assert!(SLOTS.is_power_of_two() && words.len() * 2 <= SLOTS);
        let mut slots = [EMPTY; SLOTS];
        let mut index = 0;
        while index < words.len() {
            let number = number_of(words[index].as_bytes());
            let mut slot = first_slot::<SLOTS>(number);
            while slots[slot] != EMPTY {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = number;
            index += 1;
        }
        Self(slots)
    }

    pub(crate) fn contains(&self, word: &str) -> bool {
        if word.is_empty() || word.len() > MAX_BYTES {
            return false;
        }
        let number = number_of(word.as_bytes());
        let mut slot = first_slot::<SLOTS>(number);
        while self.0[slot] != EMPTY {
            if self.0[slot] == number {
                return true;
            }
            slot = (slot + 1) % SLOTS;
        }
        false
    }
}

/// Where a number is looked for first: its bits mixed by a multiplication (Fibonacci hashing,
/// Knuth, The Art of Computer Programming 6.4, by 2^64 divided by the golden ratio).
#[expect(
    clippy::cast_possible_truncation,
    reason = "both halves, and a few bits"
)]
const fn first_slot<const SLOTS: usize>(number: u128) -> usize {
    let folded = (number >> u64::BITS) as u64 ^ number as u64;
    let mixed = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> u32::BITS) as usize % SLOTS
}

/// The bytes of a word, and its length in the last one. Panics where a word is too long, which a
/// constant does when it is compiled.
const fn number_of(word: &[u8]) -> u128 {
    assert!(word.len() <= MAX_BYTES);
    let mut bytes = [0; MAX_BYTES + 1];
    let (start, _) = bytes.split_at_mut(word.len());
    start.copy_from_slice(word);
    #[expect(clippy::cast_possible_truncation, reason = "at most 15")]
    let length = word.len() as u8;
    bytes[MAX_BYTES] = length;
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_its_words_and_no_others() {
        const WORDS: ShortWords<16> =
            ShortWords::new(&["the", "a", "никогда", "abcdefghijklmno", "an"]);
        for word in ["the", "a", "никогда", "abcdefghijklmno", "an"] {
            assert!(WORDS.contains(word), "{word}");
        }
        for word in [
            "",
            "th",
            "a\0",
            "then",
            "никогд",
            "abcdefghijklmnop",
            "abcdefghijklmn",
        ] {
            assert!(!WORDS.contains(word), "{word}");
        }
    }
}
