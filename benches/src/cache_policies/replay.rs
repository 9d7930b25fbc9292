//! A workload on the real engine: SQLite in a file, the hashing embedder, a clock that
//! the workload sets.
//!
//! Texts embedded and questions repeated depend on nothing but the workload and the
//! cache. Statements and hits can differ a little, as the store makes pages of large
//! entities in the background. Access counts are not written, as that happens at the pace
//! of the real clock.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{
    AccessCounting, CacheBackend, CacheStats, Clock, EntityId, ListRequest, ManualClock,
    MemoryConfig, MemoryId, Reranker, Store,
};
use memory_engine::{Engine, RecallRequest};
use memory_moka::MokaBackend;
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::HashEmbedder;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::repetition::{Repetition, RepetitionCounts};
use super::workloads::{Operation, Workload};
use crate::cache_comparison::counting_store::{CallCounter, StoreCalls};
use crate::cache_comparison::recorder::Recorder;
use crate::cache_comparison::trace::Trace;
use crate::corpus::Corpus;

/// Dimensions of the vectors: those of the default model.
pub(super) const DIMENSIONS: usize = 384;

/// Memories in a page of a list.
const PAGE: usize = 100;

/// A database with the memories that a workload's entities have at the start.
#[derive(Debug)]
pub struct Database {
    folder: TempDir,
    workload: Workload,
}

/// How a replay differs from the defaults.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// Sizes of the tiers.
    pub config: MemoryConfig,
    /// The system's clock shows the beginning of a period of so many seconds, where it
    /// is not 0.
    pub clock_step: u32,
    /// Orders the first hits.
    pub reranker: Option<Arc<dyn Reranker>>,
}

/// The counts of a replay, and how long its parts took.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReplayCounts {
    /// Of the tiers.
    pub tiers: CacheStats,
    /// Calls of the store.
    pub calls: StoreCalls,
    /// Texts embedded.
    pub embedded: u64,
    /// Recalls, and what is asked again.
    pub repetition: RepetitionCounts,
    /// Time of the recalls that repeat a question on an unchanged entity.
    pub repeated_recalls: Duration,
    /// Time of all operations.
    pub elapsed: Duration,
}

impl Database {
    /// Makes a database for a workload.
    ///
    /// # Errors
    /// Those of the engine and of the disk.
    pub async fn create(workload: Workload) -> Result<Self, Box<dyn Error>> {
        let database = Self {
            folder: tempfile::tempdir()?,
            workload,
        };
        let store = open(&database.filled()).await?;
        let embedder = Arc::new(HashEmbedder::new().with_dimensions(DIMENSIONS));
        let engine = Engine::builder(MokaBackend).build(Arc::clone(&store), embedder)?;
        let mut corpus = Corpus::new();
        for (entity, memories) in database.workload.memories.iter().enumerate() {
            let items = corpus.memories(*memories).into_iter();
            let items = items.map(|mut item| {
                item.entity_id = name(entity);
                item
            });
            engine.retain_batch(items.collect()).await?;
        }
        store.close().await?;
        Ok(database)
    }

    /// The workload.
    #[must_use]
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Runs the workload on a copy of the database, with caches of this backend.
    ///
    /// # Errors
    /// Those of the engine and of the disk.
    pub async fn replay(
        &self,
        backend: impl CacheBackend,
        options: &ReplayOptions,
    ) -> Result<ReplayCounts, Box<dyn Error>> {
        self.run(backend, options, None).await
    }

    /// Records the accesses to the tiers, which hold everything.
    ///
    /// # Errors
    /// Those of the engine and of the disk.
    pub async fn record(&self) -> Result<Trace, Box<dyn Error>> {
        let recorder = Recorder::default();
        let options = ReplayOptions {
            config: unbounded(),
            ..ReplayOptions::default()
        };
        self.run(recorder.clone(), &options, Some(recorder.clone()))
            .await?;
        Ok(recorder.trace(self.workload.name))
    }

    async fn run(
        &self,
        backend: impl CacheBackend,
        options: &ReplayOptions,
        recorder: Option<Recorder>,
    ) -> Result<ReplayCounts, Box<dyn Error>> {
        let copy = self.copy()?;
        let (counter, store) = CallCounter::around(open(&copy).await?, Duration::ZERO);
        let embedder = HashEmbedder::new().with_dimensions(DIMENSIONS);
        let clock = Arc::new(ManualClock::new(start()));
        let config = MemoryConfig {
            access_counting: AccessCounting::Off,
            ..options.config.clone()
        };
        let mut builder = Engine::builder(backend)
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .config(config);
        if let Some(reranker) = &options.reranker {
            builder = builder.reranker(Arc::clone(reranker));
        }
        let engine = builder.build(Arc::clone(&store), Arc::new(embedder.clone()))?;
        let mut caller = Caller {
            engine,
            clock,
            now: start(),
            clock_step: options.clock_step,
            recorder,
            repetition: Repetition::new(self.workload.memories.len()),
            last: None,
            counts: ReplayCounts::default(),
        };
        let started = Instant::now();
        for operation in &self.workload.operations {
            caller.run(operation).await?;
        }
        let mut counts = caller.counts;
        counts.elapsed = started.elapsed();
        counts.tiers = caller.engine.cache_stats();
        counts.calls = counter.calls();
        counts.embedded = embedder.texts();
        counts.repetition = caller.repetition.counts();
        store.close().await?;
        Ok(counts)
    }

    /// A fresh copy, in place of the one before.
    pub(super) fn copy(&self) -> Result<PathBuf, Box<dyn Error>> {
        let copy = self.folder.path().join("copy.db");
        for ending in ["", "-wal", "-shm"] {
            // There is none before the first run.
            let _ = std::fs::remove_file(format!("{}{ending}", copy.display()));
        }
        std::fs::copy(self.filled(), &copy)?;
        Ok(copy)
    }

    fn filled(&self) -> PathBuf {
        self.folder.path().join("filled.db")
    }
}

pub(super) async fn open(path: &Path) -> Result<Arc<dyn Store>, Box<dyn Error>> {
    Ok(Arc::new(
        SqliteStore::open_with(SqliteOptions::new(path)).await?,
    ))
}

/// Tiers that no workload fills, whose entries do not expire.
fn unbounded() -> MemoryConfig {
    let day = Duration::from_secs(86_400);
    MemoryConfig {
        entity_cache_max_bytes: MemoryConfig::MAX_BYTES,
        ..MemoryConfig::default()
            .with_cache_ttl(day)
            .with_cache_tti(day)
    }
}

pub(super) fn name(entity: usize) -> EntityId {
    EntityId::new(format!("entity-{entity}"))
}

/// Later than all memories of the corpus, a minute each.
fn start() -> DateTime<Utc> {
    // 2025-01-01.
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_735_689_600)
}

struct Caller {
    engine: Engine,
    clock: Arc<ManualClock>,
    now: DateTime<Utc>,
    clock_step: u32,
    /// Set while a trace is recorded.
    recorder: Option<Recorder>,
    repetition: Repetition,
    /// The hits of the last recall.
    last: Option<(EntityId, Vec<MemoryId>)>,
    counts: ReplayCounts,
}

impl Caller {
    async fn run(&mut self, operation: &Operation) -> Result<(), Box<dyn Error>> {
        match operation {
            Operation::Retain { entity, items } => {
                self.recorder.iter().for_each(Recorder::begin_write);
                let items = items.iter().cloned().map(|mut item| {
                    item.entity_id = name(*entity);
                    item
                });
                self.engine.retain_batch(items.collect()).await?;
                self.repetition.record_write(*entity);
            }
            Operation::Recall { entity, question } => {
                self.recorder.iter().for_each(Recorder::begin_read);
                let id = name(*entity);
                let request = RecallRequest::new(question.as_str());
                let started = Instant::now();
                let hits = self.engine.recall(&id, &request).await?;
                let took = started.elapsed();
                let ids = hits.iter().map(|hit| hit.memory.id).collect();
                if self.repetition.record_recall(*entity, question, hits) {
                    self.counts.repeated_recalls += took;
                }
                self.last = Some((id, ids));
            }
            Operation::Read { hits } => {
                self.recorder.iter().for_each(Recorder::begin_read);
                let (entity, ids) = self.last.as_ref().ok_or("a read before any recall")?;
                for id in ids.iter().take(*hits) {
                    self.engine.get_memory(entity, id).await?;
                }
            }
            Operation::List { entity, pages } => {
                self.recorder.iter().for_each(Recorder::begin_read);
                let mut request = ListRequest::new(PAGE);
                for _ in 0..*pages {
                    let page = self.engine.list_memories(&name(*entity), &request).await?;
                    request.after = page.next;
                    if request.after.is_none() {
                        break;
                    }
                }
            }
            Operation::Wait { seconds } => {
                self.now += TimeDelta::seconds(i64::from(*seconds));
                let step = i64::from(self.clock_step.max(1));
                let within = self.now.timestamp().rem_euclid(step);
                self.clock.set(self.now - TimeDelta::seconds(within));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use memory_testkit::MapBackend;

    use super::*;
    use crate::cache_policies::workloads::{Size, all};

    #[tokio::test]
    async fn a_replay_counts_the_same_in_every_run() {
        let many = all(Size::TINY).remove(1);
        let database = Database::create(many).await.unwrap();
        let options = ReplayOptions::default();
        let first = database.replay(MapBackend, &options).await.unwrap();
        let second = database.replay(MapBackend, &options).await.unwrap();
        assert_eq!(first.embedded, second.embedded);
        let recalls = |counts: &ReplayCounts| {
            let repetition = counts.repetition;
            (repetition.recalls, repetition.repeated)
        };
        assert_eq!(recalls(&first), recalls(&second));
        assert!(first.repetition.recalls > first.repetition.repeated);
        assert!(first.tiers.entity.hits > 0 && first.calls.reads > 0);
    }

    #[tokio::test]
    async fn a_recorded_trace_has_the_accesses_of_every_tier() {
        let agents = all(Size::TINY).remove(0);
        let database = Database::create(agents).await.unwrap();
        let trace = database.record().await.unwrap();
        assert_eq!(
            trace.tiers,
            ["memory", "entity", "entity 2", "embedding", "embedding 2"]
        );
        for tier in [0, 1, 3, 4] {
            let name = &trace.tiers[tier];
            assert!(trace.ops.iter().any(|(of, _)| *of == tier), "{name}");
        }
    }
}
