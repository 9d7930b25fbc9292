//! An agent's life, lived on real conversations.
//!
//! Every speaker of a conversation is an agent with memories of its own, and
//! the agents take turns. At each turn of its conversation an agent
//!
//! - retains what was said, and recalls what that calls to mind;
//! - cites the best three: reads them by id;
//! - goes on living until the next turn: ten times it asks itself one of
//!   its standing questions, and reads the best two answers by id;
//! - every tenth turn it thinks more of what came to mind first, and every
//!   fiftieth it forgets what came last: both invalidate.
//!
//! Every twentieth turn the user asks one of the conversation's questions,
//! twice, and the best five answers are read by id.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{CacheBackend, Clock, EntityId, ManualClock, MemoryConfig, MemoryPatch};
use memory_engine::{Engine, RecallHit, RecallRequest};
use memory_testkit::HashEmbedder;

use super::recorder::Recorder;
use super::store::{Calls, CountingStore};
use super::trace::Trace;
use crate::locomo::Conversation;

/// Standing questions between two turns. A game character looks at its memory
/// every second or so and hears a sentence every ten.
const TICKS: usize = 10;

/// What an agent asks itself, of everybody it knows.
const STANDING: [&str; 4] = [
    "what am I doing today",
    "what did we plan for the weekend",
    "how is the family",
    "what makes me happy",
];

/// How much of the conversations is lived.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// How many of the conversations, from the first.
    pub conversations: usize,
    /// How many turns of each.
    pub turns: usize,
}

/// What the agents did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deeds {
    /// Calls that wrote: retain, alter, delete.
    pub writes: u64,
    /// Recalls.
    pub recalls: u64,
    /// Memories read by id.
    pub gets: u64,
}

/// Records a life's accesses to the tiers.
///
/// # Errors
/// What the engine fails with.
pub async fn record(conversations: &[Conversation], span: Span) -> Result<Trace, Box<dyn Error>> {
    let recorder = Recorder::default();
    let store = Arc::new(CountingStore::new(Duration::ZERO));
    let mut life = Life::begin(recorder.clone(), store)?;
    life.recorder = Some(recorder.clone());
    life.live(conversations, span).await?;
    Ok(recorder.trace("an agent's life"))
}

/// Lives the same life on a cache, and counts what the store is asked.
///
/// # Errors
/// What the engine fails with.
pub async fn count(
    backend: impl CacheBackend,
    conversations: &[Conversation],
    span: Span,
) -> Result<(Calls, Deeds), Box<dyn Error>> {
    let store = Arc::new(CountingStore::new(Duration::ZERO));
    let mut life = Life::begin(backend, Arc::clone(&store))?;
    life.live(conversations, span).await?;
    Ok((store.calls(), life.deeds))
}

struct Life {
    engine: Engine,
    clock: Arc<ManualClock>,
    /// Told when the engine writes, where a trace is recorded.
    recorder: Option<Recorder>,
    deeds: Deeds,
}

impl Life {
    fn begin(
        backend: impl CacheBackend,
        store: Arc<CountingStore>,
    ) -> Result<Self, Box<dyn Error>> {
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
            deeds: Deeds::default(),
        })
    }

    async fn live(
        &mut self,
        conversations: &[Conversation],
        span: Span,
    ) -> Result<(), Box<dyn Error>> {
        let lived = &conversations[..span.conversations.min(conversations.len())];
        for turn in 0..span.turns {
            for conversation in lived {
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
        let heard = &conversation.turns[turn];
        self.writes();
        let mut item = heard.clone();
        item.entity_id = entity.clone();
        self.engine.retain_batch(vec![item]).await?;
        let called = self.recall(entity, &heard.content).await?;
        self.read(entity, &called, 3).await?;
        if let Some(first) = called.first().filter(|_| turn % 10 == 9) {
            self.writes();
            let patch = MemoryPatch::new().importance(0.9);
            self.engine
                .alter_memory(entity, &first.memory.id, &patch)
                .await?;
        }
        if let Some(last) = called.last().filter(|_| turn % 50 == 49) {
            self.writes();
            self.engine.delete_memory(entity, &last.memory.id).await?;
        }
        for tick in 0..TICKS {
            let asked = STANDING[(turn * TICKS + tick) % STANDING.len()];
            let answers = self.recall(entity, asked).await?;
            self.read(entity, &answers, 2).await?;
        }
        if turn % 20 == 19 && !conversation.questions.is_empty() {
            let question = &conversation.questions[turn / 20 % conversation.questions.len()];
            for _ in 0..2 {
                let answers = self.recall(entity, &question.text).await?;
                self.read(entity, &answers, 5).await?;
            }
        }
        Ok(())
    }

    async fn recall(
        &mut self,
        entity: &EntityId,
        text: &str,
    ) -> Result<Vec<RecallHit>, Box<dyn Error>> {
        self.reads();
        self.deeds.recalls += 1;
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
        for found in recalled.iter().take(best) {
            self.deeds.gets += 1;
            self.engine.get_memory(entity, &found.memory.id).await?;
        }
        Ok(())
    }

    fn writes(&mut self) {
        self.deeds.writes += 1;
        if let Some(recorder) = &self.recorder {
            recorder.writes();
        }
    }

    fn reads(&self) {
        if let Some(recorder) = &self.recorder {
            recorder.reads();
        }
    }
}
