//! The requests of the load.

use std::collections::VecDeque;

use memory::{ErrorKind, MemoryBatchItem, MemoryId, MemoryKind, MemoryResult, MemorySystem};
use memory_testkit::SeededRng;

use super::cases::{MEMORIES_PER_ENTITY, QUESTIONS};
use super::database::{entity_name, memory_id};
use crate::corpus::{Corpus, Zipf};

/// Of 100 requests, how many recall; the others are below.
const RECALLS: usize = 50;
const GETS: usize = 20;
const RETAINS: usize = 15;
// The other 15 forget, so that the number of memories stays about equal.

/// The operations, in the order of the report.
pub(super) const OPERATIONS: [&str; 4] = ["recall", "get", "retain", "forget"];

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    entity: usize,
    operation: Operation,
}

#[derive(Debug)]
enum Operation {
    Recall { question: String },
    Get { id: MemoryId },
    Retain { text: String },
    Forget { id: MemoryId },
}

impl Request {
    /// The index into [`OPERATIONS`].
    pub(super) fn operation(&self) -> usize {
        match self.operation {
            Operation::Recall { .. } => 0,
            Operation::Get { .. } => 1,
            Operation::Retain { .. } => 2,
            Operation::Forget { .. } => 3,
        }
    }

    /// Executes the request. Returns the entity and the ID of a new memory.
    pub(super) async fn execute(
        self,
        memory: &MemorySystem,
    ) -> MemoryResult<Option<(usize, MemoryId)>> {
        let entity = entity_name(self.entity);
        let outcome = match self.operation {
            Operation::Recall { question } => memory.recall(entity, question).await.map(drop),
            Operation::Get { id } => memory.get_memory(entity, id).await.map(drop),
            Operation::Forget { id } => memory.forget(entity, id).await.map(drop),
            Operation::Retain { text } => {
                let item = MemoryBatchItem::new(entity, MemoryKind::Experience, text);
                let ids = memory.retain_batch([item]).await?;
                return Ok(ids.first().map(|id| (self.entity, *id)));
            }
        };
        match outcome {
            // Forgotten between the draw and the execution.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            outcome => outcome.map(|()| None),
        }
    }
}

/// Draws requests: entities and questions by Zipf's law.
#[derive(Debug)]
pub(super) struct Generator {
    rng: SeededRng,
    corpus: Corpus,
    entities: Zipf,
    questions: Zipf,
    question_texts: Vec<String>,
    /// For each entity, the IDs of its memories, oldest first.
    ids: Vec<VecDeque<MemoryId>>,
}

impl Generator {
    pub(super) fn new(entities: usize) -> MemoryResult<Self> {
        let mut corpus = Corpus::new();
        let ids = (0..entities)
            .map(|entity| {
                (0..MEMORIES_PER_ENTITY)
                    .map(|number| memory_id(entity, number))
                    .collect()
            })
            .collect::<MemoryResult<_>>()?;
        Ok(Self {
            rng: SeededRng::new(12),
            question_texts: (0..QUESTIONS).map(|_| corpus.question()).collect(),
            corpus,
            entities: Zipf::new(entities, 1.0),
            questions: Zipf::new(QUESTIONS, 1.0),
            ids,
        })
    }

    /// The next request.
    pub(super) fn next(&mut self) -> Request {
        let entity = usize::try_from(self.entities.sample()).unwrap_or_default();
        let kind = self.rng.below(100);
        let operation = if kind < RECALLS {
            let question = usize::try_from(self.questions.sample()).unwrap_or_default();
            Operation::Recall {
                question: self.question_texts[question].clone(),
            }
        } else if kind < RECALLS + GETS {
            let ids = &self.ids[entity];
            match ids.get(self.rng.below(ids.len().max(1))) {
                Some(id) => Operation::Get { id: *id },
                None => self.retain(),
            }
        } else if kind < RECALLS + GETS + RETAINS {
            self.retain()
        } else {
            match self.ids[entity].pop_front() {
                Some(id) => Operation::Forget { id },
                None => self.retain(),
            }
        };
        Request { entity, operation }
    }

    /// Remembers a memory that was retained.
    pub(super) fn add(&mut self, entity: usize, id: MemoryId) {
        self.ids[entity].push_back(id);
    }

    /// A text that was never embedded.
    fn retain(&mut self) -> Operation {
        Operation::Retain {
            text: self.corpus.memory().content,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_the_stated_one_and_entities_are_zipf_popular() {
        let mut generator = Generator::new(100).unwrap();
        let mut counts = [0usize; 4];
        let mut popular = 0;
        for _ in 0..10_000 {
            let request = generator.next();
            counts[request.operation()] += 1;
            popular += usize::from(request.entity == 0);
            if request.operation() == 2 {
                generator.add(request.entity, MemoryId::new());
            }
        }
        assert!((4_800..5_200).contains(&counts[0]), "{counts:?}");
        assert!((1_800..2_200).contains(&counts[1]), "{counts:?}");
        // The harmonic number of 100 is 5.19: 19 % of the requests.
        assert!((1_750..2_100).contains(&popular), "{popular}");
    }
}
