//! Distinct terms in the order in which they were added.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// More terms than this are looked up in a map. To compare a few one by one is faster.
const MAX_COMPARED: usize = 32;

/// Distinct terms, each with its index.
pub(crate) struct Distinct<T> {
    terms: Vec<T>,
    /// The index of each, where they are many; else empty.
    indices: HashMap<T, usize>,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self {
            terms: Vec::new(),
            indices: HashMap::new(),
        }
    }
}

impl<T: Eq + Hash + Clone> Distinct<T> {
    /// Adds a term that is not there yet; returns whether it did.
    pub(crate) fn add<Q>(&mut self, term: &Q) -> bool
    where
        T: Borrow<Q>,
        Q: ToOwned<Owned = T> + Eq + Hash + ?Sized,
    {
        if self.position(term).is_some() {
            return false;
        }
        self.terms.push(term.to_owned());
        if !self.indices.is_empty() {
            self.indices.insert(term.to_owned(), self.terms.len() - 1);
        } else if self.terms.len() > MAX_COMPARED {
            self.indices = self.terms.iter().cloned().zip(0..).collect();
        }
        true
    }

    /// The index of a term.
    pub(crate) fn position<Q>(&self, term: &Q) -> Option<usize>
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if self.indices.is_empty() {
            self.terms.iter().position(|known| known.borrow() == term)
        } else {
            self.indices.get(term).copied()
        }
    }

    pub(crate) fn terms(&self) -> &[T] {
        &self.terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_added_once_however_many_there_are() {
        let mut distinct = Distinct::<String>::default();
        for _ in 0..2 {
            for number in 0..100 {
                let term = number.to_string();
                assert_eq!(
                    distinct.position(term.as_str()).is_none(),
                    distinct.add(term.as_str())
                );
                assert_eq!(distinct.position(term.as_str()), Some(number));
            }
        }
        assert_eq!(distinct.terms().len(), 100);
        assert_eq!(distinct.position("100"), None);
    }
}
