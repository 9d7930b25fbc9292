//! Texts that wait to be computed, whoever sent them, and the batches that are
//! made of them when a thread becomes free.
//!
//! A batch begins with the text that has waited longest, so nobody waits for
//! ever, and takes those of the same length in the order in which they came:
//! in any large number of texts there are some.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use memory_sentence_transformers::Tokens;

use crate::job::EmbedJob;

/// Lengths are rounded up to a multiple of this, and the texts of a batch have
/// the same length then.
///
/// A vector must not depend on the texts that it was computed with, not even
/// by its last bit: in 8 bits a last bit may become a step of the next
/// quantization, and then differences reach 4e-3. Two things would make it
/// depend. A softmax over more columns adds in another order, so a text always
/// has the same number of columns. And the kernels that multiply in 8 bits
/// take rows in twos, and a last row by itself in another way, so there is
/// never a last row. (Four leaves room for kernels that take more; it costs
/// 1.5 tokens of padding a text.)
const GRAIN: usize = 4;

/// A length as it is computed.
pub(crate) const fn padded(length: usize) -> usize {
    length.next_multiple_of(GRAIN)
}

/// One text and everyone who waits for its vector. Texts that have the same
/// tokens are one text.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) places: Vec<Place>,
}

/// Where a vector goes: to a job's text of this index.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) job: Arc<EmbedJob>,
    pub(crate) index: usize,
}

/// What a thread takes out of the pool.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The batch; empty if nobody waits any more.
    pub(crate) batch: Vec<Waiting>,
    /// Texts that nobody waits for. Dropping them may wake callers, so it is
    /// left to whoever holds no lock.
    pub(crate) abandoned: Vec<Waiting>,
}

/// The waiting texts of one lane.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// By padded length, the oldest first; never an empty one.
    shelves: BTreeMap<usize, VecDeque<Shelved>>,
    places: HashMap<Arc<Tokens>, Vec<Place>>,
    /// Tokens of all texts, with padding.
    tokens: usize,
    next_age: u64,
}

#[derive(Debug)]
struct Shelved {
    /// Counts texts upwards.
    age: u64,
    tokens: Arc<Tokens>,
}

impl Pool {
    /// Takes a text in; one that waits already is not taken in twice.
    pub(crate) fn add(&mut self, tokens: Arc<Tokens>, place: Place) {
        if let Some(places) = self.places.get_mut(&tokens) {
            places.push(place);
            return;
        }
        let age = self.next_age;
        self.next_age += 1;
        let length = padded(tokens.len());
        self.tokens += length;
        self.places.insert(Arc::clone(&tokens), vec![place]);
        let shelf = self.shelves.entry(length).or_default();
        shelf.push_back(Shelved { age, tokens });
    }

    /// Tokens of all waiting texts, with padding.
    pub(crate) const fn tokens(&self) -> usize {
        self.tokens
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.shelves.is_empty()
    }

    /// Takes out a batch of at most `budget` tokens, padding included; a text
    /// that is longer is a batch of its own. Empty only if all that wait have
    /// been abandoned.
    pub(crate) fn take(&mut self, budget: usize) -> Taken {
        let mut taken = Taken::default();
        while taken.batch.is_empty()
            && let Some(length) = self.shelf_of_the_oldest()
        {
            self.take_from(length, budget, &mut taken);
        }
        taken
    }

    fn shelf_of_the_oldest(&self) -> Option<usize> {
        let fronts = self
            .shelves
            .iter()
            .filter_map(|(length, shelf)| Some((shelf.front()?.age, *length)));
        fronts.min().map(|(_, length)| length)
    }

    fn take_from(&mut self, length: usize, budget: usize, taken: &mut Taken) {
        let Some(shelf) = self.shelves.get_mut(&length) else {
            return;
        };
        while taken.batch.is_empty() || (taken.batch.len() + 1) * length <= budget {
            let Some(Shelved { tokens, .. }) = shelf.pop_front() else {
                break;
            };
            self.tokens -= length;
            let places = self.places.remove(&tokens).unwrap_or_default();
            let is_abandoned = places.iter().all(|place| place.job.is_abandoned());
            let waiting = Waiting { tokens, places };
            if is_abandoned {
                taken.abandoned.push(waiting);
            } else {
                taken.batch.push(waiting);
            }
        }
        if shelf.is_empty() {
            self.shelves.remove(&length);
        }
    }
}

#[cfg(test)]
mod tests;
