//! Short sentences for a real model, all distinct and equal in every run.

const NAMES: [&str; 16] = [
    "Tam", "Mira", "Anna", "Jonas", "Lena", "Paul", "Rosa", "Felix", "Clara", "Hugo", "Nora",
    "Emil", "Ida", "Oskar", "Greta", "Theo",
];
const ACTIONS: [&str; 16] = [
    "sold", "bought", "repaired", "lost", "found", "painted", "borrowed", "returned", "washed",
    "measured", "carried", "stored", "counted", "cleaned", "ordered", "packed",
];
const THINGS: [&str; 16] = [
    "horses", "lamps", "barrels", "books", "chairs", "boats", "letters", "coats", "baskets",
    "tools", "bottles", "carpets", "clocks", "windows", "bicycles", "cameras",
];
const LOCATIONS: [&str; 16] = [
    "the market",
    "the harbor",
    "the old mill",
    "the station",
    "the library",
    "the school",
    "the bridge",
    "the garden",
    "the office",
    "the museum",
    "the bakery",
    "the airport",
    "the farm",
    "the beach",
    "the theater",
    "the hospital",
];

/// The most texts, after which they repeat.
const COUNT: u64 = 16 * 16 * 16 * 16 * 97;

/// Draws sentences such as "Tam sold 34 horses at the market."
#[derive(Debug, Default)]
pub struct ShortTexts {
    next: u64,
}

impl ShortTexts {
    /// The next sentence.
    pub fn text(&mut self) -> String {
        // An odd factor that is no multiple of 97 is a permutation: neighboring
        // texts differ in all parts.
        let mut rest = (self.next * 2_654_435_761) % COUNT;
        self.next += 1;
        let mut draw = |count: u64| {
            let value = rest % count;
            rest /= count;
            value
        };
        let number = draw(97) + 2;
        let mut pick = |list: &[&'static str; 16]| list[usize::try_from(draw(16)).unwrap_or(0)];
        let (name, action) = (pick(&NAMES), pick(&ACTIONS));
        let (thing, location) = (pick(&THINGS), pick(&LOCATIONS));
        format!("{name} {action} {number} {thing} at {location}.")
    }

    /// The next `count` sentences.
    pub fn texts(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.text()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn texts_are_distinct_and_equal_in_every_run() {
        let texts = ShortTexts::default().texts(50_000);
        assert_eq!(texts, ShortTexts::default().texts(50_000));
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 50_000);
        assert!(texts.iter().all(|text| text.len() < 60));
    }
}
