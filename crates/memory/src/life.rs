//! A memory's life after it was retained: reflected on, consolidated, linked,
//! pruned, forgotten, restored.

use memory_core::{EntityId, Memory, MemoryId, MemoryResult};
#[cfg(doc)]
use memory_core::{ErrorKind, InvalidInput, MemoryConfig, MemoryError, limits};
use memory_engine::{
    ConsolidateRequest, ConsolidationReport, ReflectRequest, Reflection, RelatedMemory,
};

use crate::system::MemorySystem;

impl MemorySystem {
    /// Answers a question from what the entity remembers: recalls, quotes what
    /// was recalled in a prompt, and asks the language model, which
    /// [`language_model`](crate::MemorySystemBuilder::language_model) chose.
    /// Without one the answer is `None`, and the quoted memories speak for
    /// themselves: see [`Reflection::text`].
    ///
    /// **Memories are data.** Each stands in the prompt as a JSON object on a
    /// line of its own, between two lines that nothing stored can be: line
    /// breaks, control and invisible characters and whatever fences, tags and
    /// chat templates are made of are escaped. So a memory that says "ignore
    /// your instructions" is a quotation of somebody who said so. (No quoting
    /// keeps a model from being persuaded by what it reads; it keeps text from
    /// posing as anything but text.)
    ///
    /// **Bounds.** The memories take at most
    /// [`max_context_chars`](ReflectRequest::max_context_chars) characters;
    /// what does not fit is left out, the first is cut. Beside them stand the
    /// question and under 2,000 characters of task.
    ///
    /// No lock and no connection is held while the model thinks.
    ///
    /// # Errors
    /// As [`recall`](Self::recall); [`MemoryError::LanguageModel`] when it
    /// fails, or answers nothing.
    pub async fn reflect(
        &self,
        entity: impl Into<EntityId>,
        request: impl Into<ReflectRequest>,
    ) -> MemoryResult<Reflection> {
        self.engine().reflect(&entity.into(), &request.into()).await
    }

    /// Puts one summary in place of each group of near-duplicates, with the
    /// defaults of [`ConsolidateRequest`].
    ///
    /// # Errors
    /// As [`consolidate_with`](Self::consolidate_with).
    pub async fn consolidate(
        &self,
        entity: impl Into<EntityId>,
    ) -> MemoryResult<ConsolidationReport> {
        self.consolidate_with(entity, &ConsolidateRequest::new())
            .await
    }

    /// Puts one summary in place of each group of near-duplicates among all of
    /// the entity's live experiences and observations.
    ///
    /// A group is of one kind; each of its memories resembles the first at
    /// least as much as the request says, and no summary stands for more than
    /// 64. The language model writes the summary, where there is one (and it
    /// says anything), else it is put together of the sentences that tell most;
    /// it keeps the bounds of a memory. It is 10 % weightier than its
    /// weightiest source (up to 1) and fades at 0.8 of the slowest rate. Tags,
    /// metadata, involved entities, links, access counts and the span of time
    /// are carried over, the latest first where there is not room for all:
    /// the guide tells how.
    ///
    /// All is written in one transaction. **Nothing is lost**: the sources are
    /// archived, which is to say that they are found by id, in lists that ask
    /// for them, by [`related`](Self::related) and in exports, and
    /// [`undo_consolidation`](Self::undo_consolidation) brings them back as
    /// they were. What changes while summaries are written is read anew and
    /// never archived unseen.
    ///
    /// Reads the whole entity with its vectors past the tiers, and compares
    /// each memory with every group: O(memories · groups), on a thread of its
    /// own.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] for a request outside its bounds;
    /// [`MemoryError::Changed`] when others kept writing to the sources; the
    /// language model's, the embedder's and the store's own. Nothing is
    /// written then.
    pub async fn consolidate_with(
        &self,
        entity: impl Into<EntityId>,
        request: &ConsolidateRequest,
    ) -> MemoryResult<ConsolidationReport> {
        self.engine().consolidate(&entity.into(), request).await
    }

    /// Consolidates when it is worth it: when there are
    /// [`consolidation_threshold`](MemoryConfig::consolidation_threshold) live
    /// memories since the last time; `None` otherwise. To be called now and
    /// then, such as after a session: where it is not worth it, it costs one or
    /// two small statements.
    ///
    /// # Errors
    /// As [`consolidate_with`](Self::consolidate_with).
    pub async fn auto_consolidate_if_needed(
        &self,
        entity: impl Into<EntityId>,
    ) -> MemoryResult<Option<ConsolidationReport>> {
        self.engine()
            .auto_consolidate_if_needed(&entity.into())
            .await
    }

    /// Takes a summary away and makes its sources live again, exactly as they
    /// were. Answers their ids.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`]; [`InvalidInput::NoSources`] for a memory that
    /// stands for none; [`MemoryError::Archived`] for a summary that another
    /// stands for, which must be undone first; the store's own.
    pub async fn undo_consolidation(
        &self,
        entity: impl Into<EntityId>,
        summary: &MemoryId,
    ) -> MemoryResult<Vec<MemoryId>> {
        self.engine()
            .undo_consolidation(&entity.into(), summary)
            .await
    }

    /// Removes the memories that have faded, the faintest first, while more
    /// than `min_keep` are live. Answers the ids of all that is gone, which is
    /// what was archived under a summary that went, too.
    ///
    /// Faded is what has a current importance under 0.1. A memory of the
    /// default importance, 0.5, that is never recalled gets there in ln 5 / λ
    /// days: an observation after 80, an experience or opinion after 161, a
    /// fact about the world after 322.
    ///
    /// # Errors
    /// The store's own. Memories go in batches of 500: those removed before an
    /// error stay removed.
    pub async fn prune_low_importance_memories(
        &self,
        entity: impl Into<EntityId>,
        min_keep: u64,
    ) -> MemoryResult<Vec<MemoryId>> {
        self.engine()
            .prune_low_importance_memories(&entity.into(), min_keep)
            .await
    }

    /// Links one memory to another of the same entity, and says how ("caused
    /// by"); a link that is there gets the new relation. Recall lets linked
    /// memories lend each other part of their score.
    ///
    /// # Errors
    /// [`InvalidInput::SelfRelation`]; [`MemoryError::InvalidInput`] for a
    /// relation over [`limits::MAX_ROLE_CHARS`] or more than
    /// [`limits::MAX_LINKS`] links; [`MemoryError::NotFound`] where either is
    /// not there; [`MemoryError::Archived`] where `from` is; the store's own.
    pub async fn relate(
        &self,
        entity: impl Into<EntityId>,
        from: &MemoryId,
        to: &MemoryId,
        relation: impl Into<String>,
    ) -> MemoryResult<()> {
        self.engine()
            .relate(&entity.into(), from, to, &relation.into())
            .await
    }

    /// Drops the link from one memory to another; where there is none, nothing
    /// happens.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`] where `from` is not there;
    /// [`MemoryError::Archived`] where it is archived; the store's own.
    pub async fn unrelate(
        &self,
        entity: impl Into<EntityId>,
        from: &MemoryId,
        to: &MemoryId,
    ) -> MemoryResult<()> {
        self.engine().unrelate(&entity.into(), from, to).await
    }

    /// What a memory links to, archived ones included, then the live memories
    /// that link to it, newest first, at most [`limits::MAX_LIMIT`] of these.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`]; the store's own.
    pub async fn related(
        &self,
        entity: impl Into<EntityId>,
        id: &MemoryId,
    ) -> MemoryResult<Vec<RelatedMemory>> {
        self.engine().related(&entity.into(), id).await
    }

    /// Forgets a memory: nothing of it stays, in whatever it went into.
    /// Answers the ids of all that is gone.
    ///
    /// Gone are its row and vectors; everything archived under it, where it is
    /// a summary; every summary above it, where it is archived, as those may
    /// tell what it told (their other sources are live again); links to any of
    /// these; and every trace in the tiers. Where the backend can, the bytes
    /// are overwritten: see its documentation.
    ///
    /// [`delete_memory`](Self::delete_memory) differs in one thing: what is
    /// archived under a summary is live again.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`]; the store's own.
    pub async fn forget(
        &self,
        entity: impl Into<EntityId>,
        id: &MemoryId,
    ) -> MemoryResult<Vec<MemoryId>> {
        self.engine().forget(&entity.into(), id).await
    }

    /// Retains memories whole, as they were exported: with their ids, times,
    /// decay rates, access counts and links. They are embedded anew, and all
    /// of them are live then, also those that were archived:
    /// [`restore_summary`](Self::restore_summary) archives them again.
    ///
    /// A memory that is there already, with the same content, is left alone.
    ///
    /// # Errors
    /// As [`retain_batch`](Self::retain_batch).
    pub async fn restore_memories(&self, memories: Vec<Memory>) -> MemoryResult<Vec<MemoryId>> {
        self.engine().restore_memories(memories).await
    }

    /// Puts a summary back above its sources, which must be there and live, in
    /// one transaction; answers whether it was missing. Summaries of summaries
    /// are put back from the bottom up.
    ///
    /// # Errors
    /// [`MemoryError::Changed`] for a source that is not there or is archived
    /// elsewhere; [`MemoryError::Conflict`] for an id that is taken;
    /// [`MemoryError::InvalidInput`] for a memory outside its bounds, or no
    /// source; the embedder's and the store's own.
    pub async fn restore_summary(
        &self,
        summary: Memory,
        sources: Vec<MemoryId>,
    ) -> MemoryResult<bool> {
        self.engine().restore_summary(summary, sources).await
    }
}
