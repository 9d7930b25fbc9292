//! What callers ask of a memory system, equal in every run.

use memory_core::MemoryBatchItem;
use memory_testkit::SeededRng;

use crate::corpus::{Corpus, Zipf};

/// A call, or time that passes between two.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Retains memories of one entity.
    Retain {
        /// The number of the entity.
        entity: usize,
        /// The memories.
        items: Vec<MemoryBatchItem>,
    },
    /// Recalls.
    Recall {
        /// The number of the entity.
        entity: usize,
        /// The question.
        question: String,
    },
    /// Reads hits of the last recall by id.
    Read {
        /// How many, from the best.
        hits: usize,
    },
    /// Lists pages of an entity.
    List {
        /// The number of the entity.
        entity: usize,
        /// How many pages at most, from the first.
        pages: usize,
    },
    /// Time passes.
    Wait {
        /// Seconds.
        seconds: u32,
    },
}

/// The entities, and what is asked of them.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The name in reports.
    pub name: &'static str,
    /// How many memories each entity has at the start.
    pub memories: Vec<usize>,
    /// The calls, in order.
    pub operations: Vec<Operation>,
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Entities of the workloads with many.
    pub entities: usize,
    /// Visits to them. A visit is a conversation of [`TURNS_PER_VISIT`] turns.
    pub visits: usize,
    /// Memories at the start of each agent of the first workload.
    pub agent_memories: usize,
    /// Turns of each of these agents.
    pub agent_turns: usize,
}

impl Size {
    /// For figures.
    pub const FULL: Self = Self {
        entities: 400,
        visits: 3_000,
        agent_memories: 2_000,
        agent_turns: 400,
    };
    /// For a quick look.
    pub const SMALL: Self = Self {
        entities: 60,
        visits: 240,
        agent_memories: 300,
        agent_turns: 40,
    };
    /// For a smoke test.
    pub const TINY: Self = Self {
        entities: 12,
        visits: 20,
        agent_memories: 60,
        agent_turns: 6,
    };
}

/// Turns of a conversation with an entity.
pub const TURNS_PER_VISIT: usize = 5;

/// Memories of an entity of the workloads with many: from this, by a log-uniform
/// distribution, to [`MAX_MEMORIES`].
const MIN_MEMORIES: usize = 20;
const MAX_MEMORIES: usize = 500;

/// Questions that are asked of everyone, and of one entity in particular.
const COMMON_QUESTIONS: usize = 20;
const OWN_QUESTIONS: usize = 8;

/// Questions that an agent asks itself again and again, and how often between two
/// turns: a game character reads its memory about every second, and hears a sentence
/// about every ten seconds (as in `cache_comparison::agent_workload`).
const RECURRING_QUESTIONS: usize = 4;
const RECURRING_RECALLS: usize = 10;

/// Phases of the bursts, entities that each is about, and questions about it.
const BURSTS: usize = 20;
const BURST_ENTITIES: usize = 5;
const BURST_QUESTIONS: usize = 6;
/// Memories that one of them gets at once.
const BURST_MEMORIES: usize = 100;

/// The four workloads.
#[must_use]
pub fn all(size: Size) -> Vec<Workload> {
    vec![
        agents(size),
        many_entities(size),
        scanned(size),
        bursts(size),
    ]
}

/// Two agents in turn. At each turn an agent retains what was said, recalls what
/// matches it, reads the best three by id, and asks itself its recurring questions,
/// one each second. Every twentieth turn somebody lists the first page.
fn agents(size: Size) -> Workload {
    let mut draw = Draw::new(2);
    let recurring: Vec<String> = (0..RECURRING_QUESTIONS)
        .map(|_| draw.corpus.question())
        .collect();
    for turn in 0..size.agent_turns {
        for entity in 0..2 {
            draw.retain(entity, 1);
            let question = draw.corpus.question();
            draw.recall(entity, question, 3);
            for tick in 0..RECURRING_RECALLS {
                let question = &recurring[(turn + tick) % recurring.len()];
                draw.recall(entity, question.clone(), 2);
            }
            if turn % 20 == 19 {
                draw.push(Operation::List { entity, pages: 1 });
            }
        }
    }
    draw.into_workload("two agents", vec![size.agent_memories; 2])
}

/// Visits to many entities, by Zipf's law.
fn many_entities(size: Size) -> Workload {
    let mut draw = Draw::new(size.entities);
    for _ in 0..size.visits {
        draw.visit();
    }
    let memories = draw.sizes();
    draw.into_workload("many in turn", memories)
}

/// Visits; in their middle everything is listed once, and each entity is asked one
/// question.
fn scanned(size: Size) -> Workload {
    let mut draw = Draw::new(size.entities);
    for _ in 0..size.visits / 2 {
        draw.visit();
    }
    let question = draw.corpus.question();
    for entity in 0..size.entities {
        draw.push(Operation::List {
            entity,
            pages: usize::MAX,
        });
        draw.recall(entity, question.clone(), 2);
    }
    for _ in 0..size.visits / 2 {
        draw.visit();
    }
    let memories = draw.sizes();
    draw.into_workload("a scan", memories)
}

/// Visits of which nine in ten are to a few entities that change from burst to
/// burst, with few questions about what happened; one of them retains many memories
/// at once.
fn bursts(size: Size) -> Workload {
    let mut draw = Draw::new(size.entities);
    for burst in 0..BURSTS {
        let questions: Vec<String> = (0..BURST_QUESTIONS)
            .map(|_| draw.corpus.question())
            .collect();
        let first = draw.rng.below(size.entities);
        let hot = |n: usize| (first + n * 7) % size.entities;
        draw.retain(hot(burst % BURST_ENTITIES), BURST_MEMORIES);
        for _ in 0..size.visits / BURSTS {
            if draw.rng.one_in(10) {
                draw.visit();
                continue;
            }
            let entity = hot(draw.rng.below(BURST_ENTITIES));
            for _ in 0..TURNS_PER_VISIT {
                let question = draw.rng.pick(&questions).clone();
                draw.recall(entity, question, 2);
            }
            draw.retain(entity, 1);
        }
    }
    let memories = draw.sizes();
    draw.into_workload("bursts", memories)
}

/// Draws operations.
struct Draw {
    entities: usize,
    corpus: Corpus,
    rng: SeededRng,
    popularity: Zipf,
    common: Vec<String>,
    common_popularity: Zipf,
    own: Vec<Vec<String>>,
    operations: Vec<Operation>,
}

impl Draw {
    fn new(entities: usize) -> Self {
        let mut corpus = Corpus::new();
        let mut questions =
            |count: usize| -> Vec<String> { (0..count).map(|_| corpus.question()).collect() };
        let common = questions(COMMON_QUESTIONS);
        let own = (0..entities).map(|_| questions(OWN_QUESTIONS)).collect();
        Self {
            entities,
            corpus,
            rng: SeededRng::new(0xca_c4e5),
            popularity: Zipf::with_seed(entities, 0.9, 1),
            common,
            common_popularity: Zipf::with_seed(COMMON_QUESTIONS, 0.9, 2),
            own,
            operations: Vec::new(),
        }
    }

    fn push(&mut self, operation: Operation) {
        self.operations.push(operation);
    }

    fn retain(&mut self, entity: usize, memories: usize) {
        let items = self.corpus.memories(memories);
        self.push(Operation::Retain { entity, items });
    }

    /// A recall, reads of its best hits, and a second of thought.
    fn recall(&mut self, entity: usize, question: String, hits: usize) {
        self.push(Operation::Recall { entity, question });
        self.push(Operation::Read { hits });
        self.push(Operation::Wait { seconds: 1 });
    }

    /// A conversation: at each turn a question (half of them common to all entities, a
    /// quarter the entity's own, a quarter new), at every other a memory.
    fn visit(&mut self) {
        let entity = index(self.popularity.sample()).min(self.entities - 1);
        for turn in 0..TURNS_PER_VISIT {
            let question = match self.rng.below(4) {
                0 => self.corpus.question(),
                1 => self.rng.pick(&self.own[entity]).clone(),
                _ => self.common[index(self.common_popularity.sample())].clone(),
            };
            self.recall(entity, question, 2);
            if turn % 2 == 1 {
                self.retain(entity, 1);
            }
        }
    }

    /// How many memories each entity has at the start, independent of its popularity.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a number between the two constants"
    )]
    fn sizes(&mut self) -> Vec<usize> {
        let span = (MAX_MEMORIES as f32 / MIN_MEMORIES as f32).ln();
        (0..self.entities)
            .map(|_| (MIN_MEMORIES as f32 * (span * self.rng.unit()).exp()) as usize)
            .collect()
    }

    fn into_workload(self, name: &'static str, memories: Vec<usize>) -> Workload {
        Workload {
            name,
            memories,
            operations: self.operations,
        }
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recalls(workload: &Workload) -> usize {
        let is_recall = |operation: &&Operation| matches!(operation, Operation::Recall { .. });
        workload.operations.iter().filter(is_recall).count()
    }

    #[test]
    fn workloads_have_the_described_form_and_are_equal_in_every_run() {
        let workloads = all(Size::SMALL);
        let [agents, many, scan, bursts] = workloads.as_slice() else {
            panic!("four workloads");
        };
        assert_eq!(recalls(agents), 2 * 40 * 11);
        assert_eq!(recalls(many), 240 * TURNS_PER_VISIT);
        assert_eq!(recalls(scan), 240 * TURNS_PER_VISIT + 60);
        assert_eq!(recalls(bursts), 240 * TURNS_PER_VISIT);
        let again = many_entities(Size::SMALL);
        assert_eq!(
            format!("{:?}", many.operations),
            format!("{:?}", again.operations)
        );
        let range = MIN_MEMORIES..=MAX_MEMORIES;
        assert!(many.memories.iter().all(|size| range.contains(size)));
    }

    #[test]
    fn a_scan_lists_every_entity_once() {
        let scan = scanned(Size::TINY);
        let listed: Vec<usize> = scan
            .operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::List { entity, pages } if *pages == usize::MAX => Some(*entity),
                _ => None,
            })
            .collect();
        assert_eq!(listed, (0..12).collect::<Vec<_>>());
    }
}
