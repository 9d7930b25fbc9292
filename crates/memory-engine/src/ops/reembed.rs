//! Embedding memories again: after a change of model, or where vectors are
//! missing.
//!
//! New vectors are added to those of other models, so that a reader with another
//! model finds what it found before. Only when no memory lacks them are the others
//! removed. What is done is in the store, and nothing else is kept: a run that was
//! cut off is continued by any other.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{
    Embedding, EntityId, Generation, ListPage, ListRequest, ListScope, Memory, MemoryId,
    MemoryResult, PageCursor, ReplaceVectorsOutcome,
};
use tokio::time::{Instant, sleep_until};

use crate::engine::{Engine, EngineInner};
use crate::snapshot::Delta;
use crate::tiers::CommittedWrite;
use crate::writer::VectorCleanup;

/// Memories read, embedded and written at once.
const PAGE: usize = 200;

/// How often the memories are read while others write some that lack vectors.
const MAX_PASSES: u32 = 3;

/// Which memories to embed again, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReembedRequest {
    /// Every memory, in place of those that lack vectors of the embedder's
    /// model.
    pub all: bool,
    /// Only counts the memories, and embeds and writes nothing.
    pub dry_run: bool,
    /// Keeps the vectors of other models, for processes that still use them.
    pub keep_others: bool,
    /// Embeds at most so many memories a second, so that other work has the
    /// processor and the database; `None` for as many as it can.
    pub max_per_second: Option<NonZeroU32>,
}

impl From<&ReembedRequest> for ReembedRequest {
    fn from(request: &Self) -> Self {
        request.clone()
    }
}

impl ReembedRequest {
    /// Embeds the memories that have no vectors of the embedder's model, or
    /// fewer than their content has chunks, and removes the vectors of other
    /// models when none lacks them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Embeds every memory, also those with as many vectors as needed.
    #[must_use]
    pub const fn all(mut self, all: bool) -> Self {
        self.all = all;
        self
    }

    /// Only counts the memories that would be embedded.
    #[must_use]
    pub const fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Keeps the vectors of other models: processes that use one of those find as
    /// much as before. A later request without it removes them.
    #[must_use]
    pub const fn keep_others(mut self, keep_others: bool) -> Self {
        self.keep_others = keep_others;
        self
    }

    /// Embeds at most this many memories a second, on average over each step.
    #[must_use]
    pub const fn max_per_second(mut self, memories: NonZeroU32) -> Self {
        self.max_per_second = Some(memories);
        self
    }
}

/// What a [`Reembedding`] did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReembedReport {
    /// Memories of the entity when it began, live and archived.
    pub total: u64,
    /// Memories read, live and archived.
    pub checked: u64,
    /// Memories to embed: those that lacked vectors, or every memory with
    /// [`ReembedRequest::all`].
    pub lacking: u64,
    /// Memories with new vectors.
    pub reembedded: u64,
    /// Memories that were written to meanwhile, and kept the vectors of that
    /// write.
    pub changed: u64,
    /// Memories whose vectors of other models were removed.
    pub cleared: u64,
    /// Whether every memory has vectors of the embedder's model. `false` until
    /// then, and at the end where another process keeps writing memories with
    /// another model, or where [`dry_run`](ReembedRequest::dry_run) found some that
    /// lack them.
    pub is_complete: bool,
}

impl Engine {
    /// Embeds memories, live and archived, with the engine's embedder where
    /// they lack vectors of its model. Contents stay as they are.
    pub async fn reembed(
        &self,
        entity: &EntityId,
        request: &ReembedRequest,
    ) -> MemoryResult<ReembedReport> {
        let mut reembedding = self.start_reembed(entity.clone(), request.clone());
        let mut last = ReembedReport::default();
        while let Some(report) = reembedding.next().await? {
            last = report;
        }
        Ok(last)
    }

    /// As [`reembed`](Self::reembed), step by step.
    pub fn start_reembed(&self, entity: EntityId, request: ReembedRequest) -> Reembedding {
        Reembedding {
            engine: self.clone(),
            entity,
            phase: Phase::Begin,
            report: ReembedReport::default(),
            resume_at: None,
            request,
        }
    }
}

/// Embedding an entity's memories again, a page at a time. It does nothing unless
/// [`next`](Self::next) is called; dropping it leaves what was done.
#[derive(Debug)]
#[must_use = "it does nothing unless `next` is called"]
pub struct Reembedding {
    engine: Engine,
    entity: EntityId,
    request: ReembedRequest,
    report: ReembedReport,
    phase: Phase,
    /// When the next page may be embedded.
    resume_at: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    Begin,
    Embed(Pass),
    RemoveOthers(Pages),
    End,
}

/// One reading of all memories.
#[derive(Debug)]
struct Pass {
    number: u32,
    pages: Pages,
    /// The entity's generation at the first page, and the highest seen since.
    generations: Option<(Generation, Generation)>,
    /// Writes of this pass; each raises the generation by one.
    writes: u64,
    /// Memories without all vectors of the embedder's model; with
    /// [`all`](ReembedRequest::all) those that were embedded, whatever they had.
    lacking: u64,
}

impl Pass {
    const fn new(number: u32) -> Self {
        Self {
            number,
            pages: Pages::new(),
            generations: None,
            writes: 0,
            lacking: 0,
        }
    }

    fn saw(&mut self, generation: Generation) {
        let (first, last) = self.generations.unwrap_or((generation, generation));
        self.generations = Some((first, last.max(generation)));
    }

    /// Whether nobody else wrote to the entity during this pass.
    fn was_alone(&self) -> bool {
        self.generations
            .is_none_or(|(first, last)| last.0 == first.0.saturating_add(self.writes))
    }
}

/// The position in a list of live, then of archived memories.
#[derive(Debug)]
struct Pages {
    scope: ListScope,
    after: Option<PageCursor>,
}

impl Pages {
    const fn new() -> Self {
        Self {
            scope: ListScope::Live,
            after: None,
        }
    }

    fn request(&self, limit: usize) -> ListRequest {
        let request = ListRequest::new(limit).scope(self.scope);
        match self.after {
            Some(after) => request.after(after),
            None => request,
        }
    }

    /// Goes on after a page; `false` if it was the last.
    fn advance(&mut self, next: Option<PageCursor>) -> bool {
        self.after = next;
        if next.is_none() && self.scope == ListScope::Archived {
            return false;
        }
        if next.is_none() {
            self.scope = ListScope::Archived;
        }
        true
    }
}

impl Reembedding {
    /// Does one step, up to 200 memories, and returns what was done so far; `None`
    /// at the end. A step that failed or was dropped is done again by the next
    /// call.
    ///
    /// # Errors
    /// [`MemoryError::Unsupported`](memory_core::MemoryError::Unsupported) if the
    /// store cannot replace vectors; errors of the embedder and the store.
    pub async fn next(&mut self) -> MemoryResult<Option<ReembedReport>> {
        match &self.phase {
            Phase::Begin => {
                self.entity.validate()?;
                let stats = self.engine.inner.store.entity_stats(&self.entity).await?;
                self.report.total = stats.memory_count.saturating_add(stats.archived_count);
                self.phase = Phase::Embed(Pass::new(1));
                self.embed_page().await?;
            }
            Phase::Embed(_) => self.embed_page().await?,
            Phase::RemoveOthers(_) => self.remove_others().await?,
            Phase::End => return Ok(None),
        }
        Ok(Some(self.report))
    }

    async fn embed_page(&mut self) -> MemoryResult<()> {
        let Phase::Embed(pass) = &mut self.phase else {
            return Ok(());
        };
        if let Some(resume_at) = self.resume_at {
            sleep_until(resume_at).await;
        }
        let rate = self.request.max_per_second;
        let limit = rate.map_or(PAGE, |rate| PAGE.min(to_usize(rate.get())));
        let (inner, began) = (&self.engine.inner, Instant::now());
        let list = pass.pages.request(limit);
        let ListPage {
            memories,
            generation,
            next,
            ..
        } = inner.store.list(&self.entity, &list).await?;
        let checked = memories.len() as u64;
        let all = self.request.all && pass.number == 1;
        let lacking = match all {
            true => memories,
            false => inner.without_vectors(&self.entity, memories).await?,
        };
        let lacking_count = lacking.len() as u64;
        let without_vectors = match all && self.request.dry_run {
            // Those that have vectors would be embedded, and lack none.
            true => {
                let checked = inner.without_vectors(&self.entity, lacking.clone());
                checked.await?.len() as u64
            }
            false => lacking_count,
        };
        pass.saw(generation);
        if !self.request.dry_run && !lacking.is_empty() {
            let replaced = inner.replace_vectors(&self.entity, lacking, generation);
            let outcome = replaced.await?;
            // Nothing is awaited from here on: a step that is dropped before is done
            // again, and what it wrote is not lacking any more.
            let replaced = outcome.replaced.len() as u64;
            if replaced > 0 {
                pass.writes += 1;
                pass.saw(outcome.generation);
            }
            self.report.reembedded += replaced;
            self.report.changed += lacking_count - replaced;
            self.resume_at = rate.map(|rate| {
                let seconds = Duration::from_secs(lacking_count);
                began + seconds / rate.get()
            });
        }
        pass.lacking += without_vectors;
        self.report.lacking += lacking_count;
        if pass.number == 1 {
            self.report.checked += checked;
        }
        if !pass.pages.advance(next) {
            self.end_pass();
        }
        Ok(())
    }

    /// Goes on after the last page of a pass.
    fn end_pass(&mut self) {
        let Phase::Embed(pass) = &self.phase else {
            return;
        };
        self.report.is_complete = pass.lacking == 0 || (!self.request.dry_run && pass.was_alone());
        self.phase = if self.request.dry_run {
            Phase::End
        } else if !self.report.is_complete {
            match pass.number {
                MAX_PASSES.. => Phase::End,
                number => Phase::Embed(Pass::new(number + 1)),
            }
        } else if self.request.keep_others {
            Phase::End
        } else {
            Phase::RemoveOthers(Pages::new())
        };
    }

    async fn remove_others(&mut self) -> MemoryResult<()> {
        let Phase::RemoveOthers(pages) = &mut self.phase else {
            return Ok(());
        };
        let store = &self.engine.inner.store;
        let fingerprint = self.engine.inner.embedder.fingerprint();
        let is_first = pages.after.is_none() && pages.scope == ListScope::Live;
        if is_first {
            let models = store.count_by_model(&self.entity).await?;
            if models.keys().all(|model| model == fingerprint) {
                self.phase = Phase::End;
                return Ok(());
            }
        }
        let page = store.list(&self.entity, &pages.request(PAGE)).await?;
        let ids: Vec<MemoryId> = page.memories.iter().map(|memory| memory.id).collect();
        if !ids.is_empty() {
            let removed = store.remove_other_vectors(&self.entity, &ids, fingerprint);
            self.report.cleared += removed.await?;
        }
        if !pages.advance(page.next) {
            // Memories that another process wrote with another model since the last
            // pass kept their vectors.
            let models = store.count_by_model(&self.entity).await?;
            self.report.is_complete = models.keys().all(|model| model == fingerprint);
            self.phase = Phase::End;
        }
        Ok(())
    }
}

/// A limit of a page; beyond the largest one it makes no difference.
fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl EngineInner {
    /// Those of the memories that lack vectors of the embedder's model.
    async fn without_vectors(
        &self,
        entity: &EntityId,
        memories: Vec<Memory>,
    ) -> MemoryResult<Vec<Memory>> {
        if memories.is_empty() {
            return Ok(memories);
        }
        let ids: Vec<_> = memories.iter().map(|memory| memory.id).collect();
        let fingerprint = self.embedder.fingerprint();
        let counts = self.store.vector_counts(entity, &ids, fingerprint).await?;
        // Of those without any vector it is known; the others' chunks are counted.
        let embedded = memories
            .iter()
            .zip(&counts)
            .filter(|(_, count)| **count > 0);
        let contents: Vec<&str> = embedded.map(|(memory, _)| &*memory.content).collect();
        let mut needed = self.embedder.chunk_counts(&contents).await?.into_iter();
        let is_lacking = |count: usize| count == 0 || needed.next().is_some_and(|it| count < it);
        let lacking: Vec<bool> = counts.into_iter().map(is_lacking).collect();
        let pairs = memories.into_iter().zip(lacking);
        Ok(pairs
            .filter_map(|(memory, lacks)| lacks.then_some(memory))
            .collect())
    }

    /// Embeds these memories, as read at `read_at`, and writes their vectors.
    async fn replace_vectors(
        &self,
        entity: &EntityId,
        memories: Vec<Memory>,
        read_at: Generation,
    ) -> MemoryResult<ReplaceVectorsOutcome> {
        let contents: Vec<&str> = memories.iter().map(|memory| &*memory.content).collect();
        let embeddings = self.embedder.embed_contents(&contents).await?;
        let ids: Vec<_> = memories.iter().map(|memory| memory.id).collect();
        let embeddings: Vec<(_, Embedding)> = ids.iter().copied().zip(embeddings).collect();
        let targets = vec![(entity.clone(), ids)];
        let (store, owner) = (Arc::clone(&self.store), entity.clone());
        let embedder = self.embedder.clone();
        let write = async move {
            let replacing = store.replace_vectors(&owner, &embeddings, read_at);
            let outcome = replacing.await?;
            // The others were altered or forgotten since they were read. That write dropped
            // their vectors from the tier before they were put there.
            let replaced: HashSet<MemoryId> = outcome.replaced.iter().copied().collect();
            let changed = memories
                .into_iter()
                .filter(|memory| !replaced.contains(&memory.id));
            let stale: Vec<String> = changed.map(|memory| memory.content).collect();
            let cleanup = VectorCleanup::start(vec![embedder], stale);
            let delta = Delta::unknown(outcome.replaced.clone());
            let write = CommittedWrite::new(owner, outcome.generation, delta);
            Ok(((outcome, cleanup), vec![write]))
        };
        let committed = self.writer.commit(targets, Vec::new(), write).await?;
        let (outcome, cleanup) = committed.finish().await;
        cleanup.finish().await;
        Ok(outcome)
    }
}
