//! What a process draws: entities by Zipf's law, and new memories.

use memory_testkit::SeededRng;

use super::content::{Class, MemoryNumber};
use crate::corpus::Zipf;

/// Memories of an import.
const IMPORT_BATCH: u32 = 100;

/// What is random, and the counter of memories.
pub(super) struct Draws {
    pub(super) rng: SeededRng,
    entities: Zipf,
    counter: u32,
}

impl Draws {
    /// The draws of this process, by popularity of so many entities.
    pub(super) fn new(process: u16, entities: u32) -> Self {
        let seed = u64::from(process);
        let entities = usize::try_from(entities).unwrap_or(usize::MAX);
        Self {
            rng: SeededRng::new(seed),
            entities: Zipf::with_seed(entities, 1.0, seed),
            counter: 0,
        }
    }

    pub(super) fn entity(&mut self) -> u32 {
        u32::try_from(self.entities.sample()).unwrap_or_default()
    }

    /// Memories of one call: one or two unique ones, sometimes a pair of twins or a
    /// faded one.
    pub(super) fn retained(&mut self, process: u16) -> Vec<MemoryNumber> {
        let (classes, step): (&[Class], u32) = match self.rng.below(10) {
            0..5 => (&[Class::Unique], 1),
            5..8 => (&[Class::Unique, Class::Unique], 1),
            8 => (&[Class::Faded], 1),
            // The first of a pair has an even number.
            _ => (&[Class::Twin, Class::Twin], 2),
        };
        self.counter = self.counter.next_multiple_of(step);
        classes
            .iter()
            .map(|class| self.next(process, *class))
            .collect()
    }

    pub(super) fn imported(&mut self, process: u16) -> Vec<MemoryNumber> {
        let class = |index| match index % 20 {
            0 => Class::Faded,
            _ => Class::Unique,
        };
        (1..=IMPORT_BATCH)
            .map(|index| self.next(process, class(index)))
            .collect()
    }

    fn next(&mut self, process: u16, class: Class) -> MemoryNumber {
        let number = MemoryNumber::new(process, self.counter, class);
        self.counter += 1;
        number
    }
}
