//! Two systems on one store, driven by random verbs and held to one model:
//! for every store and every cache. Shared with the facade's tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod expiring;
mod flaky;
mod past;
mod verb;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{
    AccessCounting, CacheBackend, Clock, Consistency, EntityId, ErrorKind, ListRequest, ListScope,
    ManualClock, Memory, MemoryBatchItem, MemoryConfig, MemoryFilter, MemoryId, MemoryKind,
    MemoryPatch, MemoryResult, Store,
};
use memory_engine::{ConsolidateRequest, Engine, RecallRequest};
use memory_testkit::HashEmbedder;
use uuid::Uuid;

use expiring::Expiring;
use flaky::StoreFaults;
use past::{BOUND, Face, Past, State};
pub(crate) use verb::{Verb, step};

/// Who writes, and how the systems see each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// The second system's; where it is `None`, the first is alone and local.
    pub(crate) others: Option<[Consistency; 2]>,
    pub(crate) snapshot_max_memories: u64,
}

pub(crate) const BOUNDED: Consistency = Consistency::Bounded(BOUND);

/// Every setting that there is a promise for.
pub(crate) const SETTINGS: [Setting; 5] = {
    const fn of(others: Option<[Consistency; 2]>, snapshot_max_memories: u64) -> Setting {
        Setting {
            others,
            snapshot_max_memories,
        }
    }
    use Consistency::Checked;
    [
        of(None, 1_000),
        of(None, 3),
        of(Some([Checked, Checked]), 1_000),
        of(Some([Checked, BOUNDED]), 1_000),
        of(Some([BOUNDED, BOUNDED]), 5),
    ]
};

/// Breaks and mends the store's channel of news, where it can be broken.
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
    /// Entities of other worlds on the same store are not these.
    name: String,
    past: Vec<Past>,
}

impl<B: CacheBackend> World<B> {
    /// Systems on an empty store (or at least one without these entities).
    pub(crate) fn new(
        store: Arc<dyn Store>,
        channel: Channel,
        cache: impl Fn() -> B,
        setting: Setting,
    ) -> Self {
        let store = StoreFaults::new(store);
        let start = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
        let clock = Arc::new(ManualClock::new(start));
        let consistencies = match setting.others {
            None => vec![Consistency::Local],
            Some(both) => both.to_vec(),
        };
        let systems = consistencies.into_iter().map(|consistency| {
            let cache = Expiring::new(cache());
            let config = MemoryConfig {
                consistency,
                snapshot_max_memories: setting.snapshot_max_memories,
                access_counting: AccessCounting::Off,
                ..MemoryConfig::default()
            };
            let engine = Engine::builder(cache.clone())
                .config(config)
                .clock(Arc::clone(&clock) as Arc<dyn Clock>)
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
            past: vec![Past::new(start), Past::new(start)],
        }
    }

    pub(crate) async fn run(mut self, steps: Vec<(usize, Verb)>) {
        for (by, verb) in steps {
            let by = by % self.systems.len();
            self.step(by, verb).await;
        }
        for entity in 0..2 {
            for by in 0..self.systems.len() {
                self.step(by, Verb::Recall { entity, content: 0 }).await;
                self.step(by, Verb::GetMany { entity }).await;
            }
        }
    }

    async fn step(&mut self, by: usize, verb: Verb) {
        match verb {
            Verb::InvalidateMemory { id } => {
                self.systems[by]
                    .engine
                    .invalidate_memory_cache(&memory_id(id));
            }
            Verb::InvalidateEntity { entity } => {
                let entity = self.entity(entity);
                self.systems[by].engine.invalidate_entity_cache(&entity);
            }
            Verb::Clear => self.systems[by].engine.clear_all_caches(),
            Verb::Expire => self.systems[by].cache.expire(),
            Verb::Tick { seconds } => self.clock.advance(TimeDelta::seconds(seconds.into())),
            Verb::News { lost } => {
                (self.channel)(lost);
                self.rest().await;
            }
            Verb::FailingRead(verb) => {
                self.store.fail_next_read.store(true, Ordering::SeqCst);
                self.carry_out(by, *verb).await;
            }
            Verb::LostAnswer(verb) => {
                self.store.lose_next_answer.store(true, Ordering::SeqCst);
                self.carry_out(by, *verb).await;
            }
            Verb::Cancelled(verb, polls) => {
                let before = self.clock.now();
                {
                    let mut call = pin!(self.call(by, &verb));
                    for _ in 0..polls {
                        let poll =
                            poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready()));
                        if poll.await {
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                }
                self.rest().await;
                assert_eq!(before, self.clock.now());
                self.look_again(by).await;
            }
            verb => self.carry_out(by, verb).await,
        }
    }

    /// Runs a verb to its end, holds what it shows to the model, and the model
    /// to the store.
    async fn carry_out(&mut self, by: usize, verb: Verb) {
        let shown = self.call(by, &verb).await;
        self.store.behave();
        self.check(by, &verb, shown).await;
        self.look_again(by).await;
    }

    /// Lets writes end and news arrive.
    async fn rest(&self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        while self.store.is_writing() {
            tokio::time::sleep(std::time::Duration::from_micros(200)).await;
        }
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    async fn call(&self, by: usize, verb: &Verb) -> MemoryResult<Shown> {
        let engine = &self.systems[by].engine;
        let item = |entity: u8, content: u8| {
            MemoryBatchItem::new(self.entity(entity), MemoryKind::Experience, text(content))
        };
        match verb {
            Verb::Retain {
                entity,
                id,
                content,
            } => {
                let item = item(*entity, *content).with_id(memory_id(*id));
                engine.retain_batch(vec![item]).await?;
            }
            Verb::RetainBatch { entity, contents } => {
                let items = contents.iter().map(|content| item(*entity, *content));
                engine.retain_batch(items.collect()).await?;
            }
            Verb::Alter {
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
                    patch = patch.relate(memory_id(link), "beside");
                }
                let (entity, id) = (self.entity(*entity), memory_id(*id));
                engine.alter_memory(&entity, &id, &patch).await?;
            }
            Verb::Delete { entity, id } => {
                engine
                    .delete_memory(&self.entity(*entity), &memory_id(*id))
                    .await?;
            }
            Verb::Forget { entity, id } => {
                engine
                    .forget(&self.entity(*entity), &memory_id(*id))
                    .await?;
            }
            Verb::Consolidate { entity } => {
                let request = ConsolidateRequest::new()
                    .min_similarity(0.999)
                    .min_sources(2);
                engine.consolidate(&self.entity(*entity), &request).await?;
            }
            Verb::Undo { entity } => {
                let past = &self.past[usize::from(*entity)];
                let above = past.summaries();
                if let Some(summary) = above.first() {
                    engine
                        .undo_consolidation(&self.entity(*entity), summary)
                        .await?;
                }
            }
            Verb::Get { entity, id } => {
                let got = engine
                    .get_memory(&self.entity(*entity), &memory_id(*id))
                    .await;
                return match got {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(Shown::One(None)),
                    got => got.map(|memory| Shown::One(Some(Face::of(&memory)))),
                };
            }
            Verb::GetMany { entity } => {
                let ids: Vec<MemoryId> = (0..6).map(memory_id).collect();
                let got = engine.get_memories(&self.entity(*entity), &ids).await?;
                let faces = got.iter().map(|memory| memory.as_deref().map(Face::of));
                return Ok(Shown::Each(ids.into_iter().zip(faces).collect()));
            }
            Verb::Recall { entity, content } => {
                let request = RecallRequest::new(text(*content)).limit(1_000);
                let recalled = engine.recall(&self.entity(*entity), &request).await?;
                let memories = recalled.iter().map(|recalled| &*recalled.memory);
                return Ok(Shown::All(state_of(memories)));
            }
            Verb::List { entity } => {
                let request = ListRequest::new(1_000);
                let page = engine
                    .list_memories(&self.entity(*entity), &request)
                    .await?;
                return Ok(Shown::Current(state_of(&page.memories)));
            }
            Verb::Count { entity } => {
                let everything = MemoryFilter::new();
                let count = engine
                    .count_memories(&self.entity(*entity), &everything)
                    .await?;
                return Ok(Shown::Count(count));
            }
            _ => {}
        }
        Ok(Shown::Nothing)
    }

    /// Whether what a read showed is what it may show.
    async fn check(&self, by: usize, verb: &Verb, shown: MemoryResult<Shown>) {
        let (Verb::Get { entity, .. }
        | Verb::GetMany { entity }
        | Verb::Recall { entity, .. }
        | Verb::List { entity }
        | Verb::Count { entity }) = verb
        else {
            return self.check_write(verb, shown);
        };
        let shown = match shown {
            Err(error) => return assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            Ok(shown) => shown,
        };
        let past = &self.past[usize::from(*entity)];
        let (consistency, now) = (self.systems[by].consistency, self.clock.now());
        let may_be = |id: &MemoryId, face: &Option<Face>| {
            let mut allowed = past.shown_of(id, by, consistency, now);
            assert!(
                allowed.any(|allowed| allowed == face.as_ref()),
                "{verb:?} through {by} shows {face:?} of {id}, of {past:#?}"
            );
        };
        match (verb, shown) {
            (Verb::Get { id, .. }, Shown::One(face)) => may_be(&memory_id(*id), &face),
            (_, Shown::Each(faces)) => faces.iter().for_each(|(id, face)| may_be(id, face)),
            (_, Shown::All(state)) => {
                let mut allowed = past.shown(by, consistency, now);
                assert!(
                    allowed.any(|allowed| allowed == state),
                    "{verb:?} through {by} shows {state:#?} of {past:#?}"
                );
            }
            (_, Shown::Current(state)) => {
                let current = past.shown(by, Consistency::Checked, now).last();
                assert_eq!(Some(state), current);
            }
            (_, Shown::Count(count)) => {
                let current = past.shown(by, Consistency::Checked, now).last();
                assert_eq!(Some(count), current.map(|state| state.len() as u64));
            }
            other => panic!("no answer to {other:?}"),
        }
    }

    /// A write either was done or says why it was not.
    fn check_write(&self, verb: &Verb, done: MemoryResult<Shown>) {
        if let Err(error) = done {
            let expected = [
                ErrorKind::NotFound,
                ErrorKind::Conflict,
                ErrorKind::Archived,
                ErrorKind::Changed,
                ErrorKind::Unavailable,
                ErrorKind::OutcomeUnknown,
                ErrorKind::InvalidInput,
            ];
            assert!(expected.contains(&error.kind()), "{verb:?}: {error}");
        }
    }

    /// Enters what the store holds now into the model: what a write does to a
    /// store is for the conformance suite to judge, here it is about what is
    /// shown of it.
    async fn look_again(&mut self, by: usize) {
        let now = self.clock.now();
        for entity in 0..2u8 {
            let owner = self.entity(entity);
            let mut state = State::new();
            for scope in [ListScope::Live, ListScope::Archived] {
                let request = ListRequest::new(1_000).scope(scope);
                let page = self.store.inner.list(&owner, &request).await.unwrap();
                state.extend(state_of(&page.memories));
            }
            self.past[usize::from(entity)].write(by, now, state);
        }
    }

    fn entity(&self, entity: u8) -> EntityId {
        EntityId::from(format!("{entity} {}", self.name))
    }
}

/// What a verb showed.
#[derive(Debug)]
enum Shown {
    Nothing,
    One(Option<Face>),
    Each(BTreeMap<MemoryId, Option<Face>>),
    All(State),
    Current(State),
    Count(u64),
}

fn state_of<'a>(memories: impl IntoIterator<Item = &'a Memory>) -> State {
    let memories = memories.into_iter();
    memories
        .map(|memory| (memory.id, Face::of(memory)))
        .collect()
}

/// The same ids for every entity: each entity's memory is its own.
fn memory_id(id: u8) -> MemoryId {
    Uuid::from_u128(u128::from(id) + 1).into()
}

fn text(content: u8) -> String {
    format!("content number {content}")
}
