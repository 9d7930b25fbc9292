//! Particles that Korean attaches to words.

/// Those after nouns and names, with the forms of the copula; the longest come first.
#[rustfmt::skip]
const PARTICLES: [&str; 111] = [
    "이었습니다",
    "이었어요", "였습니다", "에게서는", "한테서는", "으로써는", "으로서는",
    "에게서", "한테서", "으로써", "으로서", "이라고", "이라는", "이라도", "이라서", "이라면", "에서는", "에서도",
    "에서의", "에서만", "에게는", "에게도", "에게만", "한테는", "한테도", "께서는", "께서도", "으로는", "으로도",
    "으로의", "까지는", "까지도", "까지만", "부터는", "에다가", "입니다", "입니까", "이에요", "이지만", "이니까",
    "이었다", "였어요",
    "이랑", "에게", "에서", "께서", "한테", "하고", "부터", "까지", "으로", "이가", "이는", "이를", "님이", "님은",
    "보다", "처럼", "마다", "에는", "에도", "에만", "에의", "로는", "로도", "로의", "로서", "로써", "와는", "와도",
    "와의", "과는", "과도", "과의", "라도", "라고", "라는", "만은", "만이", "만을", "조차", "마저", "밖에", "대로",
    "이나", "이며", "이고", "이야", "이다", "예요", "였다", "인데",
    "가", "이", "은", "는", "을", "를", "의", "에", "께", "와", "과", "랑", "도", "만", "로", "아", "야", "씨", "님",
];

/// What may be left before a particle that is no part of the word: the plural, and what
/// follows a name out of respect.
const ENDINGS: [&str; 4] = ["선생님", "들", "씨", "님"];

/// What is left of a Korean word without one of the particles that it may end with,
/// for each of them: `민수가` contains the name `민수`.
pub(crate) fn without_particle(word: &str) -> impl Iterator<Item = &str> {
    let is_korean = word.chars().next_back().is_some_and(is_hangul);
    let particles: &[&str] = if is_korean { &PARTICLES } else { &[] };
    without_one_of(word, particles)
}

/// The stem of a verb in the past, or with one of the most frequent endings of the
/// present: 먹 of 먹었어요, 먹었다 and 먹어요. One whose vowel the past changes keeps that:
/// 갔 of 갔다 and 갔어요.
pub(crate) fn verb_stem(word: &str) -> Option<&str> {
    #[rustfmt::skip]
    const AFTER_PAST: [&str; 15] = [
        "다", "어", "어요", "습니다", "습니까", "는데", "지만", "으면", "으니까", "던", "고", "네요", "지요", "다고", "을까",
    ];
    const PRESENT: [&str; 7] = ["습니다", "습니까", "어요", "아요", "는다", "네요", "어서"];
    let mut past = word.char_indices().filter(|(_, c)| ends_in_double_s(*c));
    let past = past.next_back().and_then(|(start, c)| {
        let end = start + c.len_utf8();
        let has_suffix = matches!(c, '었' | '았') && start > 0;
        AFTER_PAST
            .contains(&&word[end..])
            .then_some(&word[..if has_suffix { start } else { end }])
    });
    let present = || PRESENT.iter().find_map(|it| word.strip_suffix(it));
    past.or_else(present).filter(|stem| !stem.is_empty())
}

/// Whether a syllable ends in ㅆ, the consonant of the past.
fn ends_in_double_s(c: char) -> bool {
    is_hangul(c) && (u32::from(c) - 0xac00) % 28 == 20
}

/// What is left of a Korean word, or of one without its particle, without an ending that
/// is no part of it: `친구` of `친구들`.
pub(crate) fn without_ending(word: &str) -> impl Iterator<Item = &str> {
    without_one_of(word, &ENDINGS)
}

fn without_one_of<'a>(word: &'a str, endings: &'static [&str]) -> impl Iterator<Item = &'a str> {
    let stems = endings
        .iter()
        .filter_map(|ending| word.strip_suffix(ending));
    stems.filter(|stem| !stem.is_empty())
}

/// Whether a character is a Hangul syllable.
pub(crate) fn is_hangul(c: char) -> bool {
    matches!(c, '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_particles_come_first() {
        let lengths: Vec<usize> = PARTICLES.iter().map(|it| it.len()).collect();
        assert!(lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
    }

    #[test]
    fn a_plural_is_removed_after_the_particle() {
        let noun = without_particle("친구들에게").next().unwrap();
        assert_eq!(noun, "친구들");
        assert_eq!(without_ending(noun).collect::<Vec<_>>(), ["친구"]);
        assert_eq!(without_particle("들").count(), 0);
    }

    #[test]
    fn forms_of_a_verb_have_one_stem() {
        for (words, stem) in [
            (["먹었어요", "먹었다", "먹어요", "먹습니다"], "먹"),
            (["갔어요", "갔다", "갔습니다", "갔는데"], "갔"),
        ] {
            assert_eq!(words.map(verb_stem), [Some(stem); 4]);
        }
        for word in ["바다", "한국어", "학교에", "했"] {
            assert_eq!(verb_stem(word), None, "{word}");
        }
    }
}
