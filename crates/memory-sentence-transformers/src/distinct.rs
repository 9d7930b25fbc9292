//! Texts that occur more than once in a call are computed once.

use std::collections::HashMap;

/// The distinct texts of a call, and where each of its texts is among them.
#[derive(Debug)]
pub struct Distinct<'a> {
    /// The texts, in the order of their first occurrence.
    pub texts: Vec<&'a str>,
    places: Vec<usize>,
}

impl<'a> Distinct<'a> {
    /// Finds the distinct texts, in the order of their first occurrence.
    #[must_use]
    pub fn of(all: &[&'a str]) -> Self {
        let mut texts = Vec::with_capacity(all.len());
        let mut seen = HashMap::with_capacity(all.len());
        let mut place_of = |text: &'a str| {
            *seen.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            })
        };
        let places = all.iter().map(|text| place_of(text)).collect();
        Self { texts, places }
    }

    /// Gives each text of the call what was computed for it.
    #[must_use]
    pub fn spread<T: Clone>(&self, computed: Vec<T>) -> Vec<T> {
        if self.texts.len() == self.places.len() {
            return computed;
        }
        self.places
            .iter()
            .map(|place| computed[*place].clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_gets_what_was_computed_for_it() {
        let distinct = Distinct::of(&["b", "a", "b", "", "a"]);
        assert_eq!(distinct.texts, ["b", "a", ""]);
        let computed: Vec<String> = distinct
            .texts
            .iter()
            .map(|text| format!("<{text}>"))
            .collect();
        assert_eq!(
            distinct.spread(computed),
            ["<b>", "<a>", "<b>", "<>", "<a>"]
        );
    }
}
