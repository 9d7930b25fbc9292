//! Embedding memories again: after a change of model, or where vectors are
//! missing.

use std::sync::Arc;

use memory_core::{Embedding, EntityId, Generation, ListRequest, ListScope, Memory, MemoryResult};

use crate::engine::{Engine, EngineInner};
use crate::snapshot::Delta;
use crate::tiers::CommittedWrite;

/// Memories read, embedded and written at once.
const PAGE: usize = 200;

/// Which memories to embed again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReembedRequest {
    /// Every memory, in place of those that lack vectors of the embedder's
    /// model.
    pub all: bool,
    /// Only counts the memories, and embeds and writes nothing.
    pub dry_run: bool,
}

impl From<&ReembedRequest> for ReembedRequest {
    fn from(request: &Self) -> Self {
        request.clone()
    }
}

impl ReembedRequest {
    /// Embeds the memories that have no vectors of the embedder's model, or
    /// fewer than their content has chunks.
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
}

/// What [`Engine::reembed`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReembedReport {
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
}

impl Engine {
    /// Embeds memories, live and archived, with the engine's embedder where
    /// they lack vectors of its model. Contents stay as they are.
    ///
    /// Reads and writes page by page, so a call that failed or was dropped may
    /// be repeated: it continues where vectors are still missing.
    pub async fn reembed(
        &self,
        entity: &EntityId,
        request: &ReembedRequest,
    ) -> MemoryResult<ReembedReport> {
        entity.validate()?;
        let mut report = ReembedReport::default();
        for scope in [ListScope::Live, ListScope::Archived] {
            let mut page_request = ListRequest::new(PAGE).scope(scope);
            loop {
                let page = self.inner.store.list(entity, &page_request).await?;
                report.checked += page.memories.len() as u64;
                let memories = self
                    .inner
                    .without_vectors(entity, page.memories, request)
                    .await?;
                let lacking = memories.len() as u64;
                report.lacking += lacking;
                if !request.dry_run {
                    let replaced = self
                        .inner
                        .replace_vectors(entity, memories, page.generation)
                        .await?;
                    report.reembedded += replaced;
                    report.changed += lacking - replaced;
                }
                match page.next {
                    Some(next) => page_request = page_request.after(next),
                    None => break,
                }
            }
        }
        Ok(report)
    }
}

impl EngineInner {
    /// Those of the memories that are to be embedded.
    async fn without_vectors(
        &self,
        entity: &EntityId,
        memories: Vec<Memory>,
        request: &ReembedRequest,
    ) -> MemoryResult<Vec<Memory>> {
        if request.all || memories.is_empty() {
            return Ok(memories);
        }
        let ids: Vec<_> = memories.iter().map(|memory| memory.id).collect();
        let fingerprint = &self.embedder.embedder.profile().fingerprint;
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
    /// Returns how many were written.
    async fn replace_vectors(
        &self,
        entity: &EntityId,
        memories: Vec<Memory>,
        read_at: Generation,
    ) -> MemoryResult<u64> {
        if memories.is_empty() {
            return Ok(0);
        }
        let contents: Vec<&str> = memories.iter().map(|memory| &*memory.content).collect();
        let embeddings = self.embedder.embed_contents(&contents).await?;
        let ids: Vec<_> = memories.iter().map(|memory| memory.id).collect();
        let embeddings: Vec<(_, Embedding)> = ids.iter().copied().zip(embeddings).collect();
        let targets = vec![(entity.clone(), ids)];
        let (store, owner) = (Arc::clone(&self.store), entity.clone());
        let write = async move {
            let replacing = store.replace_vectors(&owner, &embeddings, read_at);
            let outcome = replacing.await?;
            let count = outcome.replaced.len() as u64;
            let write = CommittedWrite {
                entity: owner,
                generation: outcome.generation,
                delta: Arc::new(Delta::unknown(outcome.replaced)),
                began: None,
            };
            Ok((count, vec![write]))
        };
        let committed = self.writer.commit(targets, Vec::new(), write).await?;
        Ok(committed.finish().await)
    }
}
