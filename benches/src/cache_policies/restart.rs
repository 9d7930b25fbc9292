//! The first questions after a start, with snapshots that were loaded before and without.

use std::collections::HashSet;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{AccessCounting, EntityId, MemoryConfig, Store};
use memory_engine::{Engine, RecallRequest};
use memory_moka::MokaBackend;
use memory_testkit::HashEmbedder;
use serde::{Deserialize, Serialize};

use super::replay::{DIMENSIONS, Database, name, open};
use super::workloads::Operation;
use crate::cache_comparison::counting_store::CallCounter;
use crate::corpus::Corpus;

/// Entities that are loaded after the start, and asked one question each.
pub const WARM_ENTITIES: usize = 100;

/// Recalls after the start: those of about a minute, after which what was not read is
/// dropped.
const RECALLS: usize = 60;

/// How often each is measured, in turn; the fastest counts.
const ROUNDS: usize = 3;

/// A restart in the middle of a workload.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RestartRow {
    /// The workload.
    pub workload: String,
    /// Snapshots loaded before the first question.
    pub warmed: usize,
    /// How many of these entities are asked in the recalls that follow.
    pub asked: usize,
    /// How long loading took.
    pub warming: Duration,
    /// One new question to each of the entities that were used last.
    pub latest: [FirstQuestions; 2],
    /// The recalls that follow in the workload.
    pub following: [FirstQuestions; 2],
}

/// What the first questions took: without loads before them, and with.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct FirstQuestions {
    /// How many.
    pub recalls: u64,
    /// Snapshots loaded for them.
    pub loads: u64,
    /// Reads of the store.
    pub reads: u64,
    /// Their time.
    pub elapsed: Duration,
    /// The time of the slowest.
    pub slowest: Duration,
}

impl Database {
    /// Runs the first half of the workload, opens the database again, and asks.
    ///
    /// # Errors
    /// Those of the engine and of the disk.
    pub async fn restart(&self) -> Result<RestartRow, Box<dyn Error>> {
        let copy = self.copy()?;
        let operations = &self.workload().operations;
        let (before, after) = operations.split_at(operations.len() / 2);
        run(before, &copy).await?;
        let store = open(&copy).await?;
        let mut corpus = Corpus::new();
        let latest = store.recently_accessed_entities(WARM_ENTITIES).await?;
        store.close().await?;
        let following: Vec<(EntityId, String)> = after
            .iter()
            .filter_map(|operation| match operation {
                Operation::Recall { entity, question } => Some((name(*entity), question.clone())),
                _ => None,
            })
            .take(RECALLS)
            .collect();
        let followed: HashSet<&EntityId> = following.iter().map(|(entity, _)| entity).collect();
        let mut row = RestartRow {
            workload: self.workload().name.to_owned(),
            asked: latest.iter().filter(|it| followed.contains(it)).count(),
            ..RestartRow::default()
        };
        let latest: Vec<(EntityId, String)> = latest
            .into_iter()
            .map(|entity| (entity, corpus.question()))
            .collect();
        for _ in 0..ROUNDS {
            for (is_warm, n) in [(false, 0), (true, 1)] {
                let counts = row.start(&copy, is_warm, &latest).await?;
                row.latest[n].keep_faster(counts);
                let counts = row.start(&copy, is_warm, &following).await?;
                row.following[n].keep_faster(counts);
            }
        }
        Ok(row)
    }
}

impl RestartRow {
    /// Starts, loads with `is_warm`, and asks.
    async fn start(
        &mut self,
        database: &Path,
        is_warm: bool,
        questions: &[(EntityId, String)],
    ) -> Result<FirstQuestions, Box<dyn Error>> {
        let (counter, store) = CallCounter::around(open(database).await?, Duration::ZERO);
        // So that every round begins with the same accesses.
        let engine = engine(&store, AccessCounting::Off)?;
        if is_warm {
            let started = Instant::now();
            self.warmed = engine.warm(WARM_ENTITIES).await?;
            self.warming = started.elapsed();
        }
        let (loads, reads) = (engine.cache_stats().entity.loads, counter.calls().reads);
        let mut counts = FirstQuestions::default();
        for (entity, question) in questions {
            let request = RecallRequest::new(question.as_str());
            let started = Instant::now();
            engine.recall(entity, &request).await?;
            let took = started.elapsed();
            counts.recalls += 1;
            counts.elapsed += took;
            counts.slowest = counts.slowest.max(took);
        }
        counts.loads = engine.cache_stats().entity.loads - loads;
        counts.reads = counter.calls().reads - reads;
        engine.close().await?;
        Ok(counts)
    }
}

impl FirstQuestions {
    fn keep_faster(&mut self, other: Self) {
        if self.recalls == 0 || other.elapsed < self.elapsed {
            *self = other;
        }
    }
}

/// Runs operations, with the access counts that they cause.
async fn run(operations: &[Operation], database: &Path) -> Result<(), Box<dyn Error>> {
    let engine = engine(&open(database).await?, AccessCounting::Background)?;
    for operation in operations {
        match operation {
            Operation::Retain { entity, items } => {
                let items = items.iter().cloned().map(|mut item| {
                    item.entity_id = name(*entity);
                    item
                });
                engine.retain_batch(items.collect()).await?;
            }
            Operation::Recall { entity, question } => {
                let request = RecallRequest::new(question.as_str());
                engine.recall(&name(*entity), &request).await?;
            }
            _ => {}
        }
    }
    // Access counts are written.
    engine.close().await?;
    Ok(())
}

fn engine(
    store: &Arc<dyn Store>,
    access_counting: AccessCounting,
) -> Result<Engine, Box<dyn Error>> {
    let embedder = HashEmbedder::new().with_dimensions(DIMENSIONS);
    let engine = Engine::builder(MokaBackend)
        .config(MemoryConfig {
            access_counting,
            ..MemoryConfig::default()
        })
        .build(Arc::clone(store), Arc::new(embedder))?;
    Ok(engine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache_policies::workloads::{Size, all};

    #[tokio::test]
    async fn what_was_loaded_before_is_not_loaded_for_a_question() {
        let many = all(Size::TINY).remove(1);
        let entities: HashSet<usize> = many
            .operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::Recall { entity, .. } => Some(*entity),
                _ => None,
            })
            .collect();
        let database = Database::create(many).await.unwrap();
        let row = database.restart().await.unwrap();
        assert!((1..=entities.len()).contains(&row.warmed), "{row:?}");
        let [cold, warm] = row.latest;
        assert_eq!(cold.recalls, warm.recalls);
        assert!(cold.loads > 0, "{row:?}");
        assert_eq!(warm.loads, 0, "{row:?}");
        assert!(warm.reads < cold.reads, "{row:?}");
    }
}
