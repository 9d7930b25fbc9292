//! A simulated agent workload on real conversations.
//!
//! Each speaker of a conversation is an agent with its own memories, and the
//! agents alternate. At each turn of its conversation an agent
//!
//! - retains what was said and recalls memories that match it;
//! - reads the best three by id;
//! - until the next turn, recalls one of its recurring questions ten times and
//!   reads the best two results by id;
//! - every tenth turn, raises the importance of the first result, and every
//!   fiftieth turn deletes the last one: both invalidate.
//!
//! Every twentieth turn the user asks one of the conversation's questions
//! twice, and the best five results are read by id.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{CacheBackend, Clock, EntityId, ManualClock, MemoryConfig, MemoryPatch, Store};
use memory_engine::{Engine, RecallHit, RecallRequest};
use memory_testkit::HashEmbedder;

use super::counting_store::{CallCounter, StoreCalls};
use super::recorder::Recorder;
use super::trace::Trace;
use crate::locomo::Conversation;

/// Recurring questions between two turns. A game character reads its memory
/// about every second and hears a sentence about every ten seconds.
const RECALLS_PER_TURN: usize = 10;

/// The recurring questions of every agent.
const RECURRING_QUESTIONS: [&str; 4] = [
    "what am I doing today",
    "what did we plan for the weekend",
    "how is the family",
    "what makes me happy",
];

/// How much of the conversations is run.
#[derive(Debug, Clone, Copy)]
pub struct WorkloadSize {
    /// The number of conversations, from the first.
    pub conversations: usize,
    /// The number of turns of each.
    pub turns: usize,
}

/// The number of operations by kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpCounts {
    /// Calls that write: retain, alter, delete.
    pub writes: u64,
    /// Recalls.
    pub recalls: u64,
    /// Memories read by id.
    pub gets: u64,
}

/// Records the workload's accesses to the tiers.
///
/// # Errors
/// Errors of the engine.
pub async fn record(
    conversations: &[Conversation],
    span: WorkloadSize,
) -> Result<Trace, Box<dyn Error>> {
    let recorder = Recorder::default();
    let (_, store) = CallCounter::with_store(Duration::ZERO);
    let mut workload = Workload::new(recorder.clone(), store)?;
    workload.recorder = Some(recorder.clone());
    workload.run(conversations, span).await?;
    Ok(recorder.trace("agent workload"))
}

/// Runs the workload on a cache and counts the store calls.
///
/// # Errors
/// Errors of the engine.
pub async fn count(
    backend: impl CacheBackend,
    conversations: &[Conversation],
    span: WorkloadSize,
) -> Result<(StoreCalls, OpCounts), Box<dyn Error>> {
    let (counter, store) = CallCounter::with_store(Duration::ZERO);
    let mut workload = Workload::new(backend, store)?;
    workload.run(conversations, span).await?;
    Ok((counter.calls(), workload.ops))
}

struct Workload {
    engine: Engine,
    clock: Arc<ManualClock>,
    /// Set while a trace is recorded.
    recorder: Option<Recorder>,
    ops: OpCounts,
}

impl Workload {
    fn new(backend: impl CacheBackend, store: Arc<dyn Store>) -> Result<Self, Box<dyn Error>> {
        let clock = Arc::new(ManualClock::new(chrono::DateTime::UNIX_EPOCH));
        let embedder = Arc::new(HashEmbedder::new());
        let engine = Engine::builder(backend)
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .config(MemoryConfig::high_traffic())
            .build(store, embedder)?;
        Ok(Self {
            engine,
            clock,
            recorder: None,
            ops: OpCounts::default(),
        })
    }

    async fn run(
        &mut self,
        conversations: &[Conversation],
        span: WorkloadSize,
    ) -> Result<(), Box<dyn Error>> {
        let selected = &conversations[..span.conversations.min(conversations.len())];
        for turn in 0..span.turns {
            for conversation in selected {
                let Some(item) = conversation.turns.get(turn) else {
                    continue;
                };
                self.clock.set(item.timestamp.unwrap_or_default());
                for agent in ["first", "second"] {
                    let entity = EntityId::new(format!("{}-{agent}", conversation.name));
                    self.turn(&entity, conversation, turn).await?;
                }
            }
        }
        Ok(())
    }

    async fn turn(
        &mut self,
        entity: &EntityId,
        conversation: &Conversation,
        turn: usize,
    ) -> Result<(), Box<dyn Error>> {
        let said = &conversation.turns[turn];
        self.begin_write();
        let mut item = said.clone();
        item.entity_id = entity.clone();
        self.engine.retain_batch(vec![item]).await?;
        let recalled = self.recall(entity, &said.content).await?;
        self.read(entity, &recalled, 3).await?;
        if let Some(first) = recalled.first().filter(|_| turn % 10 == 9) {
            self.begin_write();
            let patch = MemoryPatch::new().importance(0.9);
            self.engine
                .alter_memory(entity, &first.memory.id, &patch)
                .await?;
        }
        if let Some(last) = recalled.last().filter(|_| turn % 50 == 49) {
            self.begin_write();
            self.engine.delete_memory(entity, &last.memory.id).await?;
        }
        for tick in 0..RECALLS_PER_TURN {
            let question =
                RECURRING_QUESTIONS[(turn * RECALLS_PER_TURN + tick) % RECURRING_QUESTIONS.len()];
            let results = self.recall(entity, question).await?;
            self.read(entity, &results, 2).await?;
        }
        if turn % 20 == 19 && !conversation.questions.is_empty() {
            let question = &conversation.questions[turn / 20 % conversation.questions.len()];
            for _ in 0..2 {
                let results = self.recall(entity, &question.text).await?;
                self.read(entity, &results, 5).await?;
            }
        }
        Ok(())
    }

    async fn recall(
        &mut self,
        entity: &EntityId,
        text: &str,
    ) -> Result<Vec<RecallHit>, Box<dyn Error>> {
        self.begin_read();
        self.ops.recalls += 1;
        Ok(self
            .engine
            .recall(entity, &RecallRequest::new(text))
            .await?)
    }

    async fn read(
        &mut self,
        entity: &EntityId,
        recalled: &[RecallHit],
        best: usize,
    ) -> Result<(), Box<dyn Error>> {
        for hit in recalled.iter().take(best) {
            self.ops.gets += 1;
            self.engine.get_memory(entity, &hit.memory.id).await?;
        }
        Ok(())
    }

    fn begin_write(&mut self) {
        self.ops.writes += 1;
        if let Some(recorder) = &self.recorder {
            recorder.begin_write();
        }
    }

    fn begin_read(&self) {
        if let Some(recorder) = &self.recorder {
            recorder.begin_read();
        }
    }
}
