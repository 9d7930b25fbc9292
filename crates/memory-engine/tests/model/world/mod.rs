//! Systems on one store, driven by random operations and checked against one model:
//! for every store and every cache. Shared with the tests of the facade and of the
//! shared cache.
#![allow(clippy::unwrap_used, clippy::panic)]

mod expiring;
mod faulty;
mod model;
mod operation;
mod setting;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{
    AccessCounting, AccessUpdate, CacheBackend, Clock, Consistency, EntityId, ErrorKind,
    LimitPolicy, ListRequest, ListScope, ManualClock, Memory, MemoryBatchItem, MemoryConfig,
    MemoryFilter, MemoryId, MemoryKind, MemoryPatch, MemoryResult, Store,
};
use memory_engine::{ConsolidateRequest, Engine, EngineBuilder, RecallRequest};
use memory_testkit::HashEmbedder;
use uuid::Uuid;

use expiring::Expiring;
use faulty::StoreFaults;
use model::{History, Observed, State};
use operation::BULK_IDS;
pub(crate) use operation::{Operation, step};
pub(crate) use setting::{SETTINGS, Setting};

/// Connects and disconnects the store's change events, where that is possible.
pub(crate) type Channel = Box<dyn Fn(bool)>;

struct System<B: CacheBackend> {
    engine: Engine,
    cache: Expiring<B>,
    consistency: Consistency,
}

pub(crate) struct World<B: CacheBackend> {
    systems: Vec<System<B>>,
    store: Arc<StoreFaults>,
    clock: Arc<ManualClock>,
    channel: Channel,
    /// Separates its entities from those of other worlds on the same store.
    name: String,
    history: Vec<History>,
}

impl<B: CacheBackend> World<B> {
    /// Systems on an empty store (or at least one without these entities).
    pub(crate) fn new(
        store: Arc<dyn Store>,
        channel: Channel,
        cache: impl Fn() -> B,
        setting: Setting,
    ) -> Self {
        Self::with_builders(store, channel, cache, setting, |_, builder| builder)
    }

    /// As [`new`](Self::new), with more parts of each system, by its number.
    pub(crate) fn with_builders(
        store: Arc<dyn Store>,
        channel: Channel,
        cache: impl Fn() -> B,
        setting: Setting,
        extend: impl Fn(usize, EngineBuilder) -> EngineBuilder,
    ) -> Self {
        let store = StoreFaults::new(store);
        let start = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
        let clock = Arc::new(ManualClock::new(start));
        let consistencies = setting.consistencies.iter().enumerate();
        let systems = consistencies.map(|(number, &consistency)| {
            let cache = Expiring::new(cache());
            let config = MemoryConfig {
                consistency: Some(consistency),
                entity_cache_max_bytes: setting.entity_cache_max_bytes,
                embedding_cache_capacity: setting.embedding_cache_capacity,
                access_counting: AccessCounting::Off,
                max_memories_per_entity: setting.max_memories,
                limit_policy: LimitPolicy::Prune,
                prune_min_keep: 0,
                ..MemoryConfig::default()
            };
            let builder = Engine::builder(cache.clone())
                .config(config)
                .clock(Arc::clone(&clock) as Arc<dyn Clock>);
            let engine = extend(number, builder)
                .build(
                    store.store(),
                    Arc::new(HashEmbedder::new().with_dimensions(64)),
                )
                .unwrap();
            System {
                engine,
                cache,
                consistency,
            }
        });
        Self {
            systems: systems.collect(),
            store,
            clock,
            channel,
            name: MemoryId::new().to_string(),
            history: vec![History::new(start), History::new(start)],
        }
    }

    pub(crate) async fn run(mut self, steps: Vec<(usize, Operation)>) {
        for (by, operation) in steps {
            let by = by % self.systems.len();
            self.step(by, operation).await;
        }
        self.read_everything().await;
    }

    /// Checks what every system returns of every entity.
    pub(crate) async fn read_everything(&mut self) {
        for entity in 0..2 {
            for by in 0..self.systems.len() {
                self.step(by, Operation::Recall { entity, content: 0 })
                    .await;
                self.step(by, Operation::GetMany { entity }).await;
                self.step(by, Operation::GetBulk { entity }).await;
            }
        }
    }

    /// Runs one operation through one of the systems, and checks what it returns.
    pub(crate) async fn step(&mut self, by: usize, operation: Operation) {
        match operation {
            Operation::InvalidateMemory { id } => {
                self.engine(by).invalidate_memory_cache(&memory_id(id));
            }
            Operation::InvalidateEntity { entity } => {
                let entity = self.entity(entity);
                self.engine(by).invalidate_entity_cache(&entity);
            }
            Operation::Clear => self.engine(by).clear_all_caches(),
            Operation::Expire => self.systems[by].cache.expire(),
            Operation::Tick { seconds } => self.clock.advance(TimeDelta::seconds(seconds.into())),
            Operation::ChangeEvents { connected } => {
                (self.channel)(connected);
                self.quiesce().await;
            }
            Operation::FailingRead(operation) => {
                self.store.fail_next_read.store(true, Ordering::SeqCst);
                self.execute(by, *operation).await;
            }
            Operation::LostResponse(operation) => {
                self.store.lose_next_response.store(true, Ordering::SeqCst);
                self.execute(by, *operation).await;
            }
            Operation::Cancelled(operation, polls) => {
                let before = self.clock.now();
                {
                    let mut call = pin!(self.call(by, &operation));
                    for _ in 0..polls {
                        let poll =
                            poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready()));
                        if poll.await {
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                }
                self.quiesce().await;
                assert_eq!(before, self.clock.now());
                self.observe_store(by).await;
            }
            operation => self.execute(by, operation).await,
        }
    }

    /// Runs an operation to its end and checks what it returns against the model;
    /// then updates the model from the store.
    async fn execute(&mut self, by: usize, operation: Operation) {
        let outcome = self.call(by, &operation).await;
        self.store.clear();
        self.check(by, &operation, outcome).await;
        self.observe_store(by).await;
    }

    /// Lets writes end and change events arrive.
    async fn quiesce(&self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        while self.store.is_writing() {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    async fn call(&self, by: usize, operation: &Operation) -> MemoryResult<Outcome> {
        let engine = self.engine(by);
        let item = |entity: u8, content: u8| {
            MemoryBatchItem::new(self.entity(entity), MemoryKind::Experience, text(content))
        };
        match operation {
            Operation::Retain {
                entity,
                id,
                content,
            } => {
                let item = item(*entity, *content).with_id(memory_id(*id));
                engine.retain_batch(vec![item]).await?;
            }
            Operation::RetainBatch { entity, contents } => {
                let items = contents.iter().map(|content| item(*entity, *content));
                engine.retain_batch(items.collect()).await?;
            }
            Operation::RetainBulk {
                entity,
                second_half,
                count,
            } => {
                let first = u8::from(*second_half) * (BULK_IDS / 2);
                let items = (first..first + count).map(|number| {
                    let text = format!("bulk memory {number}");
                    MemoryBatchItem::new(self.entity(*entity), MemoryKind::Opinion, text)
                        .with_id(bulk_id(number))
                });
                engine.retain_batch(items.collect()).await?;
            }
            Operation::Alter {
                entity,
                id,
                content,
                importance,
                link,
            } => {
                let mut patch = MemoryPatch::new();
                patch.content = content.map(text);
                patch.importance = importance.map(|tenths| f32::from(tenths) / 10.0);
                if let Some(link) = link.filter(|link| link != id) {
                    patch = patch.relate(memory_id(link), "near");
                }
                let (entity, id) = (self.entity(*entity), memory_id(*id));
                engine.alter_memory(&entity, &id, &patch).await?;
            }
            Operation::Delete { entity, id } => {
                engine
                    .delete_memory(&self.entity(*entity), &memory_id(*id))
                    .await?;
            }
            Operation::Forget { entity, id } => {
                engine
                    .forget(&self.entity(*entity), &memory_id(*id))
                    .await?;
            }
            Operation::Consolidate { entity } => {
                let request = ConsolidateRequest::new()
                    .min_similarity(0.999)
                    .min_sources(2);
                engine.consolidate(&self.entity(*entity), &request).await?;
            }
            Operation::Undo { entity } => {
                let history = &self.history[usize::from(*entity)];
                let above = history.summaries();
                if let Some(summary) = above.first() {
                    engine
                        .undo_consolidation(&self.entity(*entity), summary)
                        .await?;
                }
            }
            Operation::Get { entity, id } => {
                let got = engine
                    .get_memory(&self.entity(*entity), &memory_id(*id))
                    .await;
                return match got {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(Outcome::One(None)),
                    got => got.map(|memory| Outcome::One(Some(Observed::of(&memory)))),
                };
            }
            Operation::GetMany { entity } => {
                let ids: Vec<MemoryId> = (0..6).map(memory_id).collect();
                return self.get_each(by, *entity, ids).await;
            }
            Operation::GetBulk { entity } => {
                let ids: Vec<MemoryId> = (0..BULK_IDS).map(bulk_id).collect();
                return self.get_each(by, *entity, ids).await;
            }
            Operation::Recall { entity, content } => {
                let request = RecallRequest::new(text(*content)).limit(1_000);
                let recalled = engine.recall(&self.entity(*entity), &request).await?;
                let memories = recalled.iter().map(|recalled| &*recalled.memory);
                return Ok(Outcome::All(state_of(memories)));
            }
            Operation::List { entity } => {
                let request = ListRequest::new(1_000);
                let page = engine
                    .list_memories(&self.entity(*entity), &request)
                    .await?;
                return Ok(Outcome::All(state_of(&page.memories)));
            }
            Operation::Count { entity } => {
                let everything = MemoryFilter::new();
                let count = engine
                    .count_memories(&self.entity(*entity), &everything)
                    .await?;
                return Ok(Outcome::Count(count));
            }
            Operation::Warm => {
                let accesses = [0, 1].map(|entity| {
                    AccessUpdate::new(self.entity(entity), memory_id(0), 1, self.clock.now())
                });
                self.store
                    .inner
                    .record_accesses(&accesses, Duration::ZERO)
                    .await
                    .unwrap();
                engine.warm(2).await?;
            }
            _ => {}
        }
        Ok(Outcome::Nothing)
    }

    async fn get_each(&self, by: usize, entity: u8, ids: Vec<MemoryId>) -> MemoryResult<Outcome> {
        let engine = self.engine(by);
        let got = engine.get_memories(&self.entity(entity), &ids).await?;
        let observed = got.iter().map(|memory| memory.as_deref().map(Observed::of));
        Ok(Outcome::Each(ids.into_iter().zip(observed).collect()))
    }

    /// Checks that a read returned what it may return.
    async fn check(&self, by: usize, operation: &Operation, outcome: MemoryResult<Outcome>) {
        let (Operation::Get { entity, .. }
        | Operation::GetMany { entity }
        | Operation::GetBulk { entity }
        | Operation::Recall { entity, .. }
        | Operation::List { entity }
        | Operation::Count { entity }) = operation
        else {
            return self.check_write(operation, outcome);
        };
        let outcome = match outcome {
            Err(error) => return assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            Ok(outcome) => outcome,
        };
        let history = &self.history[usize::from(*entity)];
        let (consistency, now) = (self.systems[by].consistency, self.clock.now());
        let may_be = |id: &MemoryId, observed: &Option<Observed>| {
            let mut allowed = history.allowed_of(id, by, consistency, now);
            assert!(
                allowed.any(|allowed| allowed == observed.as_ref()),
                "{operation:?} through {by} returned {observed:?} of {id}, of {history:#?}"
            );
        };
        match (operation, outcome) {
            (Operation::Get { id, .. }, Outcome::One(observed)) => {
                may_be(&memory_id(*id), &observed)
            }
            (_, Outcome::Each(observed)) => observed
                .iter()
                .for_each(|(id, observed)| may_be(id, observed)),
            (_, Outcome::All(state)) => {
                let allowed: Vec<State> = history.allowed_states(by, consistency, now).collect();
                assert!(
                    allowed.contains(&state),
                    "{operation:?} through {by}: {}",
                    allowed
                        .last()
                        .map_or_else(String::new, |last| differences(&state, last))
                );
            }
            (_, Outcome::Count(count)) => {
                let current = history.allowed_states(by, Consistency::Checked, now).last();
                assert_eq!(Some(count), current.map(|state| state.len() as u64));
            }
            other => panic!("unexpected outcome {other:?}"),
        }
    }

    /// Checks that a write succeeded or failed with an expected error.
    fn check_write(&self, operation: &Operation, done: MemoryResult<Outcome>) {
        if let Err(error) = done {
            let expected = [
                ErrorKind::NotFound,
                ErrorKind::Conflict,
                ErrorKind::Archived,
                ErrorKind::Changed,
                ErrorKind::Unavailable,
                ErrorKind::OutcomeUnknown,
                ErrorKind::InvalidInput,
                ErrorKind::LimitReached,
            ];
            assert!(expected.contains(&error.kind()), "{operation:?}: {error}");
        }
    }

    /// Copies the store's state into the model: whether a write changed the store
    /// correctly is checked by the conformance suite, here it is about what the
    /// tiers return of it.
    async fn observe_store(&mut self, by: usize) {
        let now = self.clock.now();
        for entity in 0..2u8 {
            let owner = self.entity(entity);
            let mut state = State::new();
            for scope in [ListScope::Live, ListScope::Archived] {
                let request = ListRequest::new(1_000).scope(scope);
                let page = self.store.inner.list(&owner, &request).await.unwrap();
                state.extend(state_of(&page.memories));
            }
            self.history[usize::from(entity)].write(by, now, state);
        }
    }

    /// One of the systems.
    pub(crate) fn engine(&self, by: usize) -> &Engine {
        &self.systems[by].engine
    }

    pub(crate) fn entity(&self, entity: u8) -> EntityId {
        EntityId::from(format!("{entity} {}", self.name))
    }
}

/// What an operation returned.
#[derive(Debug)]
enum Outcome {
    Nothing,
    One(Option<Observed>),
    Each(BTreeMap<MemoryId, Option<Observed>>),
    All(State),
    Count(u64),
}

/// The memories in which a returned state differs from the current one.
fn differences(returned: &State, current: &State) -> String {
    let ids = returned.keys().chain(current.keys());
    let differing: BTreeMap<_, _> = ids
        .filter(|id| returned.get(id) != current.get(id))
        .map(|id| (id, (returned.get(id), current.get(id))))
        .collect();
    format!("returned and current differ in {differing:#?}")
}

fn state_of<'a>(memories: impl IntoIterator<Item = &'a Memory>) -> State {
    let memories = memories.into_iter();
    memories
        .map(|memory| (memory.id, Observed::of(memory)))
        .collect()
}

/// The same ids for every entity: each entity's memory is its own.
fn memory_id(id: u8) -> MemoryId {
    Uuid::from_u128(u128::from(id) + 1).into()
}

fn bulk_id(number: u8) -> MemoryId {
    Uuid::from_u128(1_000 + u128::from(number)).into()
}

fn text(content: u8) -> String {
    format!("content number {content}")
}
