//! The operations of a process, each recorded before and after.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use memory::{
    ErrorKind, ListRequest, Memory, MemoryError, MemoryId, MemoryResult, MemorySystem,
    RecallRequest,
};
use memory_testkit::HashEmbedder;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};

use super::content::{Class, MemoryNumber, embedder, entity_name};
use super::draws::Draws;
use super::event::{Answer, Change, Counts, Event, EventSink, Outcome, Problem, Query, Read, now};
use super::plan::{Kind, Plan};

/// How often a change is tried, and how long to wait in between: longer than it takes
/// to start a server.
const ATTEMPTS: u32 = 30;
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Requests of the parent that wait; older ones are dropped.
const MAX_REQUESTS: usize = 1_000;

/// Steps of maintenance for each consolidation and each pruning.
const STEPS_PER_TIDYING: usize = 20;

/// Memories of a page.
const PAGE: usize = 20;
/// Results of a recall: the memory whose text is asked for is among so many.
const RESULTS: usize = 10;
/// Memories that pruning leaves in any case.
const MIN_KEEP: u64 = 10;

/// What a process is asked to do by its parent, which hears of the changes of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub(super) enum Request {
    /// Forget this memory; no other process is asked to.
    Forget {
        /// Of which entity.
        entity: u32,
        /// Which.
        memory: MemoryNumber,
    },
    /// Read this memory, which another process has written or forgotten.
    Probe {
        /// Of which entity.
        entity: u32,
        /// Which.
        memory: MemoryNumber,
    },
}

/// Requests that wait.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<VecDeque<Request>>);

impl Requests {
    /// Adds a request, and drops the oldest of too many.
    pub(super) fn push(&self, request: Request) {
        let mut queue = self.queue();
        queue.push_back(request);
        if queue.len() > MAX_REQUESTS {
            queue.pop_front();
        }
    }

    fn pop(&self) -> Option<Request> {
        self.queue().pop_front()
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fault of the process itself, to see that the checks detect it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestFault {
    /// Some memories are acknowledged and not written.
    LoseWrites,
    /// Some memories are acknowledged as forgotten and stay.
    KeepForgotten,
    /// Reads are cached for longer than they claim.
    StaleReads,
}

impl TestFault {
    /// The fault of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "lose_writes" => Some(Self::LoseWrites),
            "keep_forgotten" => Some(Self::KeepForgotten),
            "stale_reads" => Some(Self::StaleReads),
            _ => None,
        }
    }
}

/// Which process this is.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Its number.
    pub process: u16,
    /// What it does.
    pub kind: Kind,
    /// The size of the load.
    pub plan: Plan,
    /// A fault of its own.
    pub test_fault: Option<TestFault>,
}

/// A process of the load.
pub(super) struct Worker<S> {
    options: WorkerOptions,
    memory: MemorySystem,
    embedder: HashEmbedder,
    sink: S,
    /// What the parent asks for.
    pub(super) requests: Requests,
    draws: Mutex<Draws>,
    next_operation: AtomicU64,
    is_stopping: AtomicBool,
}

impl<S: EventSink> Worker<S> {
    /// A process on an open system.
    pub(super) fn new(options: WorkerOptions, memory: MemorySystem, sink: S) -> Arc<Self> {
        let draws = Draws::new(options.process, options.plan.entities);
        Arc::new(Self {
            memory,
            embedder: embedder(),
            sink,
            requests: Requests::default(),
            draws: Mutex::new(draws),
            next_operation: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
            options,
        })
    }

    /// Works until [`stop`](Self::stop).
    ///
    /// # Errors
    /// If the sink takes no more events.
    pub(super) async fn run(self: &Arc<Self>) -> io::Result<()> {
        let (tasks, interval) = match self.options.kind {
            Kind::Retain => (2, Duration::from_millis(100)),
            Kind::Recall => (2, Duration::from_millis(40)),
            Kind::Maintenance => (2, Duration::from_millis(200)),
            Kind::Import => (1, Duration::from_secs(1)),
        };
        let tasks: Vec<_> = (0..tasks)
            .map(|_| tokio::spawn(Arc::clone(self).run_task(interval)))
            .collect();
        for task in tasks {
            task.await.map_err(io::Error::other)??;
        }
        Ok(())
    }

    /// Begins no more operations.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    async fn run_task(self: Arc<Self>, interval: Duration) -> io::Result<()> {
        let mut due = Instant::now();
        while !self.is_stopping.load(Ordering::Relaxed) {
            self.step().await?;
            due = (due + interval).max(Instant::now());
            sleep_until(due).await;
        }
        Ok(())
    }

    /// Records counters. The system counts those of its tiers; `counts` has the others.
    ///
    /// # Errors
    /// If the sink takes no more events.
    pub(super) fn record_counts(&self, counts: Counts) -> io::Result<()> {
        let stats = self.memory.cache_stats();
        let tier = |stats: memory::TierStats| (stats.hits, stats.misses);
        self.sink.record(Event::Counted(Counts {
            memory: tier(stats.memory),
            entity: tier(stats.entity),
            embedding: tier(stats.embedding),
            ..counts
        }))
    }

    /// One operation, and some reads of what it did.
    ///
    /// # Errors
    /// If the sink takes no more events.
    pub(super) async fn step(&self) -> io::Result<()> {
        let request = self.requests.pop();
        if let Some(Request::Probe { entity, memory }) = request {
            return self.read(entity, self.query(memory)).await;
        }
        match self.options.kind {
            Kind::Retain => self.retain(true).await,
            Kind::Import => self.retain(false).await,
            Kind::Recall => {
                let (entity, memory) = self.filled();
                self.read(entity, self.query(memory)).await
            }
            Kind::Maintenance => {
                if let Some(Request::Forget { entity, memory }) = request {
                    self.forget(entity, memory).await?;
                }
                self.tidy_up().await
            }
        }
    }

    /// Forgets a memory, and reads what is left of it.
    async fn forget(&self, entity: u32, memory: MemoryNumber) -> io::Result<()> {
        match self.change(Change::Forget { entity, memory }).await? {
            Outcome::Done { .. } => self.read(entity, self.query(memory)).await,
            _ => Ok(()),
        }
    }

    /// Prunes or consolidates an entity, now and then.
    async fn tidy_up(&self) -> io::Result<()> {
        let (entity, draw) = {
            let mut draws = self.draws();
            (draws.entity(), draws.rng.below(2 * STEPS_PER_TIDYING))
        };
        let change = match draw {
            0 => Change::Prune { entity },
            1 => Change::Consolidate { entity },
            _ => return Ok(()),
        };
        self.change(change).await.map(drop)
    }

    /// Retains memories, and reads one of them.
    async fn retain(&self, is_embedded: bool) -> io::Result<()> {
        let (entity, memories) = {
            let mut draws = self.draws();
            let memories = match is_embedded {
                true => draws.retained(self.options.process),
                false => draws.imported(self.options.process),
            };
            (draws.entity(), memories)
        };
        let first = memories.first().copied();
        let change = Change::Retain {
            entity,
            timestamp: Utc::now().timestamp_micros(),
            memories,
            is_embedded,
        };
        let retained = self.change(change).await?;
        match (retained, first) {
            (Outcome::Done { .. }, Some(first)) => self.read(entity, self.query(first)).await,
            _ => Ok(()),
        }
    }

    /// A way to read a memory.
    fn query(&self, memory: MemoryNumber) -> Query {
        match self.draws().rng.below(20) {
            0..10 => Query::Recall { memory },
            10..17 => Query::Get { memory },
            _ => Query::List,
        }
    }

    /// A memory from before the load.
    fn filled(&self) -> (u32, MemoryNumber) {
        let mut draws = self.draws();
        let entity = draws.entity();
        let each = self.options.plan.memories_per_entity;
        let index = draws.rng.below(usize::try_from(each).unwrap_or(1).max(1));
        let memory = self.options.plan.filled(entity).nth(index);
        (
            entity,
            memory.unwrap_or(MemoryNumber::new(0, 0, Class::Unique)),
        )
    }

    fn draws(&self) -> MutexGuard<'_, Draws> {
        self.draws.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change, and records it before and after.
    async fn change(&self, change: Change) -> io::Result<Outcome> {
        let operation = self.next_operation.fetch_add(1, Ordering::Relaxed);
        self.sink.record(Event::Began {
            operation,
            at: now(),
            change: change.clone(),
        })?;
        let outcome = self.attempt(operation, &change).await?;
        self.sink.record(Event::Ended {
            operation,
            at: now(),
            outcome: outcome.clone(),
        })?;
        Ok(outcome)
    }

    /// Tries a change until it is done. A retain that was refused is not tried again:
    /// its memories must never be found.
    async fn attempt(&self, operation: u64, change: &Change) -> io::Result<Outcome> {
        let mut is_unknown = false;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                sleep(RETRY_DELAY).await;
            }
            let error = match self.execute(operation, change).await {
                Ok(removed) => return Ok(Outcome::Done { removed }),
                Err(error) => error,
            };
            if let (Change::Forget { memory, .. }, true, ErrorKind::NotFound) =
                (change, is_unknown, error.kind())
            {
                let removed = vec![*memory];
                return Ok(Outcome::Done { removed });
            }
            self.sink.record(Event::AttemptFailed {
                operation,
                at: now(),
                problem: Problem::from(&error),
            })?;
            is_unknown |= error.kind() == ErrorKind::OutcomeUnknown;
            let is_repeated = match change {
                Change::Retain {
                    is_embedded: true, ..
                } => is_unknown,
                // Batches that were removed before the error are not known.
                Change::Prune { .. } => return Ok(Outcome::Unknown),
                _ => true,
            };
            if !is_repeated || !error.is_retryable() {
                break;
            }
        }
        Ok(match is_unknown {
            true => Outcome::Unknown,
            false => Outcome::Failed,
        })
    }

    async fn execute(&self, operation: u64, change: &Change) -> MemoryResult<Vec<MemoryNumber>> {
        match change {
            Change::Retain {
                entity,
                timestamp,
                memories,
                is_embedded,
            } => {
                if self.has_fault(TestFault::LoseWrites, operation) {
                    return Ok(Vec::new());
                }
                let timestamp = DateTime::from_timestamp_micros(*timestamp).unwrap_or_default();
                let items = memories.iter().map(|memory| match is_embedded {
                    true => memory.item(*entity, timestamp),
                    false => memory.item_with_vector(*entity, timestamp, &self.embedder),
                });
                let ids = self.memory.retain_batch(items).await?;
                check_ids(&ids, memories)?;
                Ok(Vec::new())
            }
            Change::Forget { entity, memory } => {
                if self.has_fault(TestFault::KeepForgotten, operation) {
                    return Ok(vec![*memory]);
                }
                let removed = self
                    .memory
                    .forget(entity_name(*entity), memory.id())
                    .await?;
                Ok(numbers(removed))
            }
            Change::Prune { entity } => {
                let entity = entity_name(*entity);
                let pruned = self.memory.prune_low_importance_memories(entity, MIN_KEEP);
                Ok(numbers(pruned.await?))
            }
            Change::Consolidate { entity } => {
                self.memory.consolidate(entity_name(*entity)).await?;
                Ok(Vec::new())
            }
        }
    }

    /// Whether this operation has this fault.
    fn has_fault(&self, fault: TestFault, operation: u64) -> bool {
        self.options.test_fault == Some(fault) && operation % 5 == 4
    }

    /// Reads, and records the answer.
    async fn read(&self, entity: u32, query: Query) -> io::Result<()> {
        let began = now();
        let answer = self.answer(entity, query).await;
        let ended = now();
        let read = Read {
            entity,
            query,
            began,
            ended,
            answer: answer.map_err(|error| Problem::from(&error)),
        };
        self.sink.record(Event::Read(read))
    }

    async fn answer(&self, entity: u32, query: Query) -> MemoryResult<Answer> {
        let name = entity_name(entity);
        match query {
            Query::Get { memory } => match self.memory.get_memory(name, memory.id()).await {
                Ok(memory) => Ok(answer_of([&*memory])),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Answer::default()),
                Err(error) => Err(error),
            },
            Query::Recall { memory } => {
                let request = RecallRequest::new(memory.text()).limit(RESULTS);
                let hits = self.memory.recall(name, request).await?;
                Ok(answer_of(hits.iter().map(|hit| &*hit.memory)))
            }
            Query::List => {
                let page = self.memory.list_memories(name, ListRequest::new(PAGE));
                let page = page.await?;
                let mut answer = answer_of(&page.memories);
                let last = page.next.map(|cursor| cursor.timestamp.timestamp_micros());
                answer.complete_after = last.unwrap_or(i64::MIN);
                Ok(answer)
            }
        }
    }
}

/// The memories of an answer.
fn answer_of<'a>(memories: impl IntoIterator<Item = &'a Memory>) -> Answer {
    let mut answer = Answer::default();
    for memory in memories {
        if let Some(number) = MemoryNumber::from_id(memory.id) {
            answer.wrong_texts += u32::from(memory.content != number.text());
            answer.memories.push(number);
        }
    }
    answer
}

fn numbers(ids: Vec<MemoryId>) -> Vec<MemoryNumber> {
    ids.into_iter().filter_map(MemoryNumber::from_id).collect()
}

/// The ids that retaining returns are those that it was given.
fn check_ids(ids: &[MemoryId], memories: &[MemoryNumber]) -> MemoryResult<()> {
    let expected = memories.iter().map(|memory| memory.id());
    match ids.iter().copied().eq(expected) {
        true => Ok(()),
        false => Err(MemoryError::store(
            ErrorKind::Other,
            "retain",
            "the ids are not those that were given",
        )),
    }
}
