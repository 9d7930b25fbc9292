//! What of a text may be a compound, in one reading of its bytes.

/// Which kinds of compounds a text may have.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is the condition of a reading of the text"
)]
pub(super) struct Signs {
    /// A separator between two letters or digits.
    pub(super) has_separated: bool,
    /// An apostrophe between two letters.
    pub(super) has_apostrophes: bool,
    /// A sign that names begin or end with.
    pub(super) has_names: bool,
    /// A sign between two digits that may group them.
    pub(super) has_groups: bool,
    /// A letter next to a digit, or a capital after a small letter.
    pub(super) has_parts: bool,
    pub(super) has_emoji: bool,
    /// The number of ASCII digits.
    pub(super) digits: usize,
}

const DIGIT: u8 = 1;
const SMALL: u8 = 2;
const CAPITAL: u8 = 4;
/// Not ASCII.
const OTHER: u8 = 8;
const SEPARATOR: u8 = 16;
const GROUPING: u8 = 32;
const NAME: u8 = 64;
/// Begins a character that may be an emoji.
const EMOJI: u8 = 128;

const LETTER: u8 = SMALL | CAPITAL | OTHER;

static KINDS: [u8; 256] = kinds();

const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let c = byte as u8;
        kinds[byte] = match c {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' => SMALL,
            b'A'..=b'Z' => CAPITAL,
            b'.' => SEPARATOR | GROUPING | NAME,
            b'_' => SEPARATOR | GROUPING,
            b'-' | b'/' | b':' | b'@' | b'&' => SEPARATOR,
            b',' | b'\'' | b' ' => GROUPING,
            b'#' | b'+' => NAME,
            0xe2 | 0xf0 => OTHER | EMOJI,
            0x80.. => OTHER,
            _ => 0,
        };
        byte += 1;
    }
    kinds
}

impl Signs {
    pub(super) fn of(text: &str) -> Self {
        let mut signs = Self::default();
        let (mut first, mut second) = (0, 0);
        for byte in text.bytes() {
            let third = KINDS[usize::from(byte)];
            let is_between = |kinds: u8| first & kinds != 0 && third & kinds != 0;
            if second & (SEPARATOR | GROUPING) != 0 {
                signs.has_separated |= second & SEPARATOR != 0 && is_between(LETTER | DIGIT);
                signs.has_groups |= second & GROUPING != 0 && is_between(DIGIT);
            }
            signs.has_parts |= second & SMALL != 0 && third & CAPITAL != 0
                || second & DIGIT != 0 && third & LETTER != 0
                || second & LETTER != 0 && third & DIGIT != 0;
            signs.has_names |= third & NAME != 0;
            signs.has_emoji |= third & EMOJI != 0;
            signs.digits += usize::from(third & DIGIT);
            signs.has_apostrophes |= byte == b'\'' && second & LETTER != 0;
            (first, second) = (second, third);
        }
        // An address of version 6 may begin with its separators.
        signs.has_separated |= text.contains("::");
        signs
    }
}
