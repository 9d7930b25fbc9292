//! Particles that Korean attaches to words.

/// Longest first where one ends another.
const PARTICLES: &[&str] = &[
    "에게서",
    "한테서",
    "으로써",
    "으로서",
    "이라고",
    "이라는",
    "에서는",
    "에서도",
    "에게는",
    "이랑",
    "에게",
    "에서",
    "께서",
    "한테",
    "하고",
    "부터",
    "까지",
    "으로",
    "이가",
    "이는",
    "이를",
    "님이",
    "님은",
    "보다",
    "처럼",
    "마다",
    "에는",
    "에도",
    "가",
    "이",
    "은",
    "는",
    "을",
    "를",
    "의",
    "에",
    "께",
    "와",
    "과",
    "랑",
    "도",
    "만",
    "로",
    "아",
    "야",
    "씨",
    "님",
];

/// What is left of a Korean word without one of the particles that it may end with,
/// for each of them: `민수가` contains the name `민수`.
pub(crate) fn without_particle(word: &str) -> impl Iterator<Item = &str> {
    let is_korean = word.chars().next_back().is_some_and(is_hangul);
    let particles = if is_korean { PARTICLES } else { &[] };
    let stems = particles.iter();
    stems
        .filter_map(move |particle| word.strip_suffix(particle))
        .filter(|stem| !stem.is_empty())
}

/// Whether a character is a Hangul syllable.
pub(crate) fn is_hangul(c: char) -> bool {
    matches!(c, '\u{ac00}'..='\u{d7a3}')
}
