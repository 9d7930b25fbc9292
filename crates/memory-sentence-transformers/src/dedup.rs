//! Deduplication of the texts of a call.

use std::collections::HashMap;

/// The distinct texts of a call, and the index of each of its texts among them.
#[derive(Debug)]
pub struct Dedup<'a> {
    /// The distinct texts, in the order of their first occurrence.
    pub texts: Vec<&'a str>,
    indices: Vec<usize>,
}

impl<'a> Dedup<'a> {
    /// Finds the distinct texts.
    #[must_use]
    pub fn new(all: &[&'a str]) -> Self {
        let mut texts = Vec::with_capacity(all.len());
        let mut seen = HashMap::with_capacity(all.len());
        let mut index_of = |text: &'a str| {
            *seen.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            })
        };
        let indices = all.iter().map(|text| index_of(text)).collect();
        Self { texts, indices }
    }

    /// Maps the results of the distinct texts to all texts of the call.
    #[must_use]
    pub fn scatter<T: Clone>(&self, results: Vec<T>) -> Vec<T> {
        if self.texts.len() == self.indices.len() {
            return results;
        }
        self.indices
            .iter()
            .map(|index| results[*index].clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_gets_its_result() {
        let dedup = Dedup::new(&["b", "a", "b", "", "a"]);
        assert_eq!(dedup.texts, ["b", "a", ""]);
        let results: Vec<String> = dedup.texts.iter().map(|text| format!("<{text}>")).collect();
        assert_eq!(dedup.scatter(results), ["<b>", "<a>", "<b>", "<>", "<a>"]);
    }
}
