//! Runs one sequence against both and compares.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{
    AccessUpdate, EmbeddedMemory, Embedding, EntityId, Generation, InsertOptions, ListScope,
    MemoryFilter, MemoryId, MemoryPatch, RemoveOutcome, SearchRequest, SummaryGroup,
};

use super::op::{self, Op};
use super::reference::{Entity, Reference};
use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq, refused};
use crate::fixtures::{DIMENSIONS, at};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;
use crate::store::checks::changes::{apply, same_state, without_access};
use crate::store::checks::entities::listed;
use crate::store::checks::search_dense;
use crate::store::context::in_list_order;

/// A follower of an entity's changes, as an engine's snapshot is one.
#[derive(Default)]
struct Follower {
    generation: Generation,
    state: BTreeMap<MemoryId, EmbeddedMemory>,
}

/// Both sides, and a follower of each entity.
struct Machine<'a> {
    context: &'a CheckContext,
    model: Reference,
    followers: BTreeMap<EntityId, Follower>,
    /// The last consolidation that was called for.
    last: Option<Call>,
    /// How often many memories were inserted, and those of the last time.
    rounds: u32,
    many: BTreeMap<EntityId, Vec<MemoryId>>,
}

/// A consolidation: of whom, what, and read when.
type Call = (EntityId, Vec<SummaryGroup>, Generation);

pub(super) async fn run(context: &CheckContext, ops: &[Op]) -> CheckResult {
    let mut machine = Machine {
        context,
        model: Reference::default(),
        followers: BTreeMap::new(),
        last: None,
        rounds: 0,
        many: BTreeMap::new(),
    };
    for (step, op) in ops.iter().enumerate() {
        machine.step(op).await.at(format!("step {step}"))?;
    }
    machine.finish().await.at("at the end")
}

impl Machine<'_> {
    async fn step(&mut self, op: &Op) -> CheckResult {
        match op {
            Op::Insert(items) => {
                let batch: Vec<EmbeddedMemory> = items
                    .iter()
                    .map(|item| op::prepared(self.context, item))
                    .collect();
                self.insert(&batch, &InsertOptions::unlimited()).await
            }
            Op::Squeeze { items, max, evict } => {
                let items = items.iter().map(|item| op::prepared(self.context, item));
                let room = op::insert_options(self.context, *max, evict);
                self.insert(&items.collect::<Vec<_>>(), &room).await
            }
            Op::Consolidate {
                entity,
                groups,
                lag,
                apt,
            } => {
                let name = op::entity(self.context, *entity);
                let mut groups = op::consolidations(self.context, *entity, groups);
                let Entity {
                    generation, rows, ..
                } = self.model.entity(&name);
                let mut read_at = generation;
                if *apt {
                    let live = self.model.entity(&name).live().into_keys().collect();
                    let taken: Vec<MemoryId> = rows.into_keys().collect();
                    op::fix(&mut groups, live, &taken);
                } else {
                    read_at = Generation(generation.0.saturating_sub(u64::from(*lag)));
                }
                let call = (name, groups, read_at);
                let done = self.consolidate(&call).await;
                self.last = Some(call);
                done
            }
            Op::Again => match self.last.take() {
                Some(call) => {
                    let done = self.consolidate(&call).await;
                    self.last = Some(call);
                    done
                }
                None => Ok(()),
            },
            Op::Link {
                entity,
                id,
                relate,
                unrelate,
            } => {
                let entity = op::entity(self.context, *entity);
                let patch = op::links(relate, unrelate);
                self.update(&entity, op::id(*id), &patch, None).await
            }
            Op::Update { entity, id, seed } => {
                let entity = op::entity(self.context, *entity);
                let (patch, embedding) = op::patch(*seed);
                let id = op::id(*id);
                self.update(&entity, id, &patch, embedding.as_ref()).await
            }
            Op::Delete { entity, ids } => {
                let entity = op::entity(self.context, *entity);
                let ids: Vec<MemoryId> = ids.iter().map(|id| op::id(*id)).collect();
                self.delete(&entity, &ids).await
            }
            Op::AccessUpdate { entity, updates } => {
                let entity = op::entity(self.context, *entity);
                self.record_accesses(&entity, updates).await
            }
            Op::Read { entity, seed } => {
                let entity = op::entity(self.context, *entity);
                self.read(&entity, *seed).await
            }
            Op::Follow { entity } => self.follow(&op::entity(self.context, *entity)).await,
            Op::InsertMany { entity, count } => {
                let entity = op::entity(self.context, *entity);
                self.rounds += 1;
                let batch = op::many(&entity, self.rounds, *count);
                let ids = batch.iter().map(|item| item.memory.id).collect();
                let evicted = self.many.insert(entity.clone(), ids).unwrap_or_default();
                let options = InsertOptions::unlimited().evict(entity, evicted);
                self.insert(&batch, &options).await
            }
            Op::DeleteMany { entity } => {
                let entity = op::entity(self.context, *entity);
                let ids = self.many.remove(&entity).unwrap_or_default();
                self.delete(&entity, &ids).await
            }
        }
    }

    async fn insert(&mut self, batch: &[EmbeddedMemory], room: &InsertOptions) -> CheckResult {
        let result = self.context.store().insert_opts(batch, room).await;
        match self.model.insert(batch, room) {
            Ok(wanted) => {
                let mut outcome = result.at("insert")?;
                outcome.evicted.values_mut().for_each(sort);
                ensure_eq!(outcome, wanted, "outcome of insert");
            }
            Err(kinds) => refused(result, &kinds, "insert")?,
        }
        let entities: BTreeSet<&EntityId> = batch.iter().map(|it| &it.memory.entity_id).collect();
        for entity in entities {
            self.stats(entity).await?;
        }
        Ok(())
    }

    async fn consolidate(&mut self, (entity, groups, read_at): &Call) -> CheckResult {
        let store = self.context.store();
        let result = store.consolidate(entity, groups, *read_at).await;
        match self.model.consolidate(entity, groups, *read_at) {
            Ok(wanted) => {
                let generation = result.at("consolidate")?.generation;
                ensure_eq!(generation, wanted, "generation of consolidate");
            }
            Err(kinds) => refused(result, &kinds, "consolidate")?,
        }
        self.stats(entity).await
    }

    async fn update(
        &mut self,
        entity: &EntityId,
        id: MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> CheckResult {
        let before = self.model.entity(entity).live().remove(&id);
        if let Some(row) = before {
            let mut after = row.memory.clone();
            patch.apply(&mut after);
            if after == row.memory && embedding.is_none() {
                // Whether such a patch is a write, the contract leaves open.
                return Ok(());
            }
        }
        if *patch == MemoryPatch::new() {
            return Ok(());
        }
        let store = self.context.store();
        let result = store.update(entity, &id, patch, embedding).await;
        match self.model.update(entity, id, patch, embedding) {
            Ok(wanted) => {
                let outcome = result.at("update")?;
                ensure_eq!(outcome.memory, wanted.memory, "outcome of update");
                ensure!(outcome.changed, "an update says that it wrote nothing");
                let generation = self.model.entity(entity).generation;
                ensure_eq!(outcome.generation, generation, "generation of update");
            }
            Err(kind) => refused(result, &[kind], "update")?,
        }
        self.stats(entity).await
    }

    async fn delete(&mut self, entity: &EntityId, ids: &[MemoryId]) -> CheckResult {
        let outcome = self.context.store().delete(entity, ids).await;
        let mut outcome = outcome.at("delete")?;
        sort(&mut outcome);
        let wanted = self.model.delete(entity, ids);
        ensure_eq!(outcome, wanted, "outcome of delete");
        self.stats(entity).await
    }

    async fn record_accesses(&mut self, entity: &EntityId, updates: &[(u8, u8)]) -> CheckResult {
        let updates: Vec<AccessUpdate> = updates
            .iter()
            .map(|&(id, accesses)| {
                let last = at(i64::from(accesses) * 37 % 101);
                AccessUpdate::new(entity.clone(), op::id(id), accesses.into(), last)
            })
            .collect();
        self.context.record_accesses(&updates).await?;
        self.model.record_accesses(&updates);
        self.stats(entity).await
    }

    async fn stats(&self, entity: &EntityId) -> CheckResult {
        let wanted = self.model.entity(entity).stats();
        let stats = self.context.store().entity_stats(entity).await;
        ensure_eq!(stats.at("entity_stats")?, wanted, "statistics");
        Ok(())
    }

    /// Reads in every way, by a filter chosen at random.
    async fn read(&self, entity: &EntityId, seed: u8) -> CheckResult {
        let mut rng = SeededRng::new(u64::from(seed));
        let wanted = self.model.entity(entity);
        let store = self.context.store();
        let fetched = store.get(entity, &op::ids()).await.at("get")?;
        let rows = op::ids().into_iter().map(|id| wanted.rows.get(&id));
        let memories: Vec<_> = rows.map(|row| row.map(|row| row.memory.clone())).collect();
        ensure_eq!(fetched.memories, memories, "memories by get");
        ensure_eq!(fetched.generation, wanted.generation, "generation by get");

        let filter = op::any_filter(&mut rng);
        let items: Vec<EmbeddedMemory> = wanted.rows.values().cloned().collect();
        let scope = op::any_scope(&mut rng);
        let mut admitted = Vec::new();
        for scope in [scope, ListScope::Live] {
            admitted = in_list_order(&items, &filter);
            admitted.retain(|memory| scope.contains(memory.archived_by));
            let limit = page_size(1 + rng.below(4), admitted.len());
            let pages = self.context.listed_in(scope, entity, &filter, limit);
            ensure_eq!(pages.await?, admitted, "list of {scope:?} by {filter:?}");
        }
        let counted = store.count(entity, &filter).await.at("count")?;
        ensure_eq!(counted, admitted.len() as u64, "count by {filter:?}");
        self.search(entity, &wanted, filter, &mut rng).await
    }

    async fn search(
        &self,
        entity: &EntityId,
        wanted: &Entity,
        filter: MemoryFilter,
        rng: &mut SeededRng,
    ) -> CheckResult {
        let mut admitted: Vec<EmbeddedMemory> = wanted.live().into_values().collect();
        admitted.retain(|row| filter.matches(&row.memory));
        let (query, limit) = (rng.vector(DIMENSIONS), 1 + rng.below(4));
        let found = search_dense::search(self.context, entity, filter.clone(), limit, &query).await;
        let found = found?;
        search_dense::exact(self.context, &found, &admitted, &query, limit)
            .at("dense retriever")?;
        if !self.context.store().capabilities().lexical {
            return Ok(());
        }
        let word = op::word(rng);
        let request = SearchRequest {
            sample: 0,
            filter,
            limit,
            dense: None,
            lexical: Some(word.to_owned()),
        };
        let found = self.context.store().search(entity, &request).await;
        let found = found.at("search")?.candidates;
        let matching = |content: &str| content.split(' ').any(|held| held == word);
        let matches = admitted.iter().filter(|row| matching(&row.memory.content));
        let count = matches.count().min(limit);
        ensure_eq!(found.len(), count, "candidates for {word}");
        for candidate in found {
            let row = wanted.rows.get(&candidate.memory.id);
            ensure_eq!(
                row.map(|row| &row.memory),
                Some(&candidate.memory),
                "candidate"
            );
            ensure!(
                matching(&candidate.memory.content),
                "{word} does not stand in {:?}",
                candidate.memory.content
            );
        }
        Ok(())
    }

    /// Brings an entity's follower up to date and compares it.
    async fn follow(&mut self, entity: &EntityId) -> CheckResult {
        let follower = self.followers.entry(entity.clone()).or_default();
        let changes = self.context.changes(entity, follower.generation).await?;
        let wanted = self.model.entity(entity);
        ensure_eq!(
            changes.generation,
            wanted.generation,
            "generation of changes"
        );
        follower.generation = changes.generation;
        follower.state = apply(std::mem::take(&mut follower.state), changes)?;
        let (got, wanted) = (follower.state.clone(), wanted.live());
        same_state(
            &without_access(got),
            &without_access(wanted),
            self.context.tolerance(),
        )
        .at("follower")
    }

    /// Compares the whole state once more, access counts included.
    async fn finish(&mut self) -> CheckResult {
        for entity in op::entities(self.context) {
            self.read(&entity, 0).await?;
            self.follow(&entity).await?;
            let whole = self.context.changes(&entity, Generation::ZERO).await?;
            let whole = apply(BTreeMap::new(), whole)?;
            let wanted = self.model.entity(&entity).live();
            same_state(&whole, &wanted, self.context.tolerance()).at("whole state")?;
            let (all, items) = (MemoryFilter::new(), wanted.into_values());
            let wanted = in_list_order(&items.collect::<Vec<_>>(), &all);
            let limit = page_size(2, wanted.len());
            let listed = self.context.listed(&entity, &all, limit).await?;
            ensure_eq!(listed, wanted, "list");
        }
        let inhabited: Vec<EntityId> = listed(self.context, 2).await?;
        ensure_eq!(inhabited, self.model.inhabited(), "entities");
        Ok::<(), CheckFailure>(())
    }
}

/// A page size of `few`, or a larger one where the list is long.
const fn page_size(few: usize, listed: usize) -> usize {
    if listed < 90 { few } else { 97 }
}

/// Puts the lists of an outcome in the order of the ids.
fn sort(outcome: &mut RemoveOutcome) {
    outcome.removed.sort_unstable();
    outcome.restored.sort_unstable();
    outcome.unlinked.sort_unstable();
}
