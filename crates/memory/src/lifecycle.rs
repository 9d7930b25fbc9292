//! What happens to memories after they were retained: reflection,
//! consolidation, relations, pruning, forgetting, restoring.

use memory_core::{EntityId, MemoryId, MemoryResult};
#[cfg(doc)]
use memory_core::{InvalidInput, MemoryConfig, MemoryError, limits};
use memory_engine::{
    ConsolidateRequest, ConsolidationReport, ReembedReport, ReembedRequest, ReflectRequest,
    Reflection, RelatedMemory, RestoreItem,
};
use memory_metrics::{Operation, observe};

use crate::system::MemorySystem;

impl MemorySystem {
    /// Answers a question from what the entity remembers: recalls, quotes the
    /// hits in a prompt, and calls the
    /// [language model](crate::MemorySystemBuilder::language_model). Without one,
    /// [`Reflection::answer`] is `None` and [`Reflection::text`] is the quoted
    /// memories.
    ///
    /// **Memories are data.** Each is quoted as one JSON object on a line of its
    /// own, between two lines that no memory can contain. Line breaks, control
    /// and invisible characters, and the characters of fences, tags and chat
    /// templates are escaped, so a memory that says "ignore your instructions" is
    /// a quotation. (Quoting cannot keep a model from believing what it reads.)
    ///
    /// **Limits.** The memories take at most
    /// [`max_context_chars`](ReflectRequest::max_context_chars) characters. Those
    /// that do not fit are left out, except the first, which is shortened. Besides
    /// them the prompt contains the question and under 2,000 characters of
    /// instructions.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::Experience, "Tam sold me a lame horse.").await?;
    /// let reflection = memory.reflect("mira", "Can Tam be trusted?").await?;
    /// assert!(reflection.answer.is_none(), "no language model was set");
    /// assert!(reflection.text().contains("lame horse"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`recall`](Self::recall); [`InvalidInput::ContextTooShort`], which names the
    /// number that is needed, if no memory fits even when shortened;
    /// [`MemoryError::LanguageModel`] if the model fails or returns nothing.
    pub async fn reflect(
        &self,
        entity: impl Into<EntityId>,
        request: impl Into<ReflectRequest>,
    ) -> MemoryResult<Reflection> {
        observe(
            Operation::Reflect,
            self.engine().reflect(&entity.into(), &request.into()),
        )
        .await
    }

    /// Replaces each group of memories that say the same thing by one summary,
    /// with the defaults of [`ConsolidateRequest`].
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::Experience, "Tam sold me a lame horse.").await?;
    /// memory.retain("mira", MemoryKind::Experience, "tam sold me a lame horse").await?;
    /// let report = memory.consolidate("mira").await?;
    /// assert_eq!(report.summaries.len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`consolidate_with`](Self::consolidate_with).
    pub async fn consolidate(
        &self,
        entity: impl Into<EntityId>,
    ) -> MemoryResult<ConsolidationReport> {
        self.consolidate_with(entity, ConsolidateRequest::new())
            .await
    }

    /// Replaces each group of memories that say the same thing, among the entity's
    /// live experiences and observations, by one summary. The guide describes how
    /// groups are formed and what a summary inherits.
    ///
    /// Without a language model only memories that say the same thing are grouped
    /// (nothing differs but, for example, white space, the final period, or the case
    /// of a sentence's first letter), and the summary is the longest of them,
    /// verbatim; of several, the latest.
    ///
    /// With a language model, the memories of a group resemble its first one at
    /// least as much as the request says, and the model writes the summary; one
    /// that lacks a number, identifier, name or negation of its sources is not
    /// used. A group that the model refuses or fails on is skipped:
    /// [`ConsolidationReport::skipped`] gives the reason.
    ///
    /// Everything is written in one transaction. **Nothing is lost**: the sources
    /// are archived. They are still found by id, in lists that ask for them, by
    /// [`related`](Self::related) and in exports, and
    /// [`undo_consolidation`](Self::undo_consolidation) restores them exactly.
    /// Memories that change while summaries are written are read again and never
    /// archived unseen.
    ///
    /// Reads the whole entity with its vectors from the store and compares each
    /// memory with every group, O(memories · groups), on a blocking thread.
    ///
    #[doc = example!()]
    /// let report = memory.consolidate_with("mira", ConsolidateRequest::new()).await?;
    /// assert!(report.summaries.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] for a request out of range;
    /// [`MemoryError::Changed`] if others kept writing to the sources; errors of
    /// the embedder and the store. Nothing is written then.
    pub async fn consolidate_with(
        &self,
        entity: impl Into<EntityId>,
        request: impl Into<ConsolidateRequest>,
    ) -> MemoryResult<ConsolidationReport> {
        observe(
            Operation::Consolidate,
            self.engine().consolidate(&entity.into(), &request.into()),
        )
        .await
    }

    /// Consolidates if the entity has at least
    /// [`consolidation_threshold`](MemoryConfig::consolidation_threshold) live
    /// memories since the last time; `None` otherwise. Call it from time to time,
    /// such as after a session: if there is nothing to do it costs one or two
    /// small statements. After a consolidation in which the language model was
    /// unavailable, calls return `None` for five minutes; the next call then tries again.
    ///
    #[doc = example!()]
    /// assert!(memory.auto_consolidate_if_needed("mira").await?.is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`consolidate_with`](Self::consolidate_with).
    pub async fn auto_consolidate_if_needed(
        &self,
        entity: impl Into<EntityId>,
    ) -> MemoryResult<Option<ConsolidationReport>> {
        observe(
            Operation::AutoConsolidate,
            self.engine().auto_consolidate_if_needed(&entity.into()),
        )
        .await
    }

    /// Removes a summary and makes its sources live again, exactly as they were.
    /// Returns their ids.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::Experience, "Tam sold me a lame horse.").await?;
    /// memory.retain("mira", MemoryKind::Experience, "tam sold me a lame horse").await?;
    /// let report = memory.consolidate("mira").await?;
    /// let restored = memory.undo_consolidation("mira", report.summaries[0].id).await?;
    /// assert_eq!(restored.len(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NotFound`]; [`InvalidInput::NotASummary`] for a memory that
    /// is not a summary; [`MemoryError::Archived`] for a summary that is archived
    /// under another one, which must be undone first; errors of the store.
    pub async fn undo_consolidation(
        &self,
        entity: impl Into<EntityId>,
        summary: MemoryId,
    ) -> MemoryResult<Vec<MemoryId>> {
        observe(
            Operation::UndoConsolidation,
            self.engine().undo_consolidation(&entity.into(), &summary),
        )
        .await
    }

    /// Embeds memories, live and archived, with the embedder where they lack
    /// vectors of its model: after a change of model, or where a fault left some
    /// out. [`recall_report`](Self::recall_report) says how many lack them.
    /// Contents stay as they are; [`ReembedRequest::all`] embeds every memory, and
    /// [`ReembedRequest::dry_run`] only counts.
    ///
    /// **Vectors of other models stay until every memory has new ones**, and are
    /// removed then, unless [`ReembedRequest::keep_others`]: a process that uses
    /// another model finds what it found before. docs/models.md describes how to
    /// change the model of a system that is in use.
    ///
    /// It goes page by page, of 200 memories, so a call that failed or was dropped,
    /// or a process that was killed, loses nothing: the next call continues where
    /// vectors are still missing. Memories that are written meanwhile keep the
    /// vectors of that write, and are embedded as well where those are of another
    /// model. [`reembed_stream`](Self::reembed_stream) shows the progress.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// let report = memory.reembed("mira", ReembedRequest::new()).await?;
    /// assert_eq!((report.checked, report.reembedded), (1, 0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Unsupported`] if the store cannot replace vectors; errors
    /// of the embedder and the store. Pages before an error stay written.
    pub async fn reembed(
        &self,
        entity: impl Into<EntityId>,
        request: impl Into<ReembedRequest>,
    ) -> MemoryResult<ReembedReport> {
        observe(
            Operation::Reembed,
            self.engine().reembed(&entity.into(), &request.into()),
        )
        .await
    }

    /// Removes faded memories, those of the lowest current importance first,
    /// while more than `min_keep` are live. Returns the ids of all removed
    /// memories, including what was archived under a removed summary.
    ///
    /// A memory has faded when its current importance is under 0.1. A memory of
    /// the default importance, 0.5, that is never recalled gets there after
    /// ln 5 / λ days: an observation after 80, an experience or opinion after
    /// 161, a fact about the world after 322.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// assert!(memory.prune_low_importance_memories("mira", 10).await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Errors of the store. Memories are removed in batches of 500: batches
    /// before an error stay removed.
    pub async fn prune_low_importance_memories(
        &self,
        entity: impl Into<EntityId>,
        min_keep: u64,
    ) -> MemoryResult<Vec<MemoryId>> {
        observe(
            Operation::Prune,
            self.engine()
                .prune_low_importance_memories(&entity.into(), min_keep),
        )
        .await
    }

    /// Links one memory to another of the same entity, with a relation such as
    /// "caused by". An existing link gets the new relation. In a recall, linked
    /// memories raise each other's score.
    ///
    #[doc = example!()]
    /// let fire = memory.retain("mira", MemoryKind::Experience, "The mill burned down.").await?;
    /// let spark = memory.retain("mira", MemoryKind::Observation, "Sparks flew.").await?;
    /// memory.relate("mira", fire, spark, "caused by").await?;
    /// assert_eq!(memory.related("mira", fire).await?[0].relation, "caused by");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput::SelfRelation`]; [`MemoryError::InvalidInput`] for a
    /// relation over [`limits::MAX_ROLE_CHARS`] or more than
    /// [`limits::MAX_LINKS`] links; [`MemoryError::NotFound`] if either does not
    /// exist; [`MemoryError::Archived`] if `from` is archived; errors of the
    /// store.
    pub async fn relate(
        &self,
        entity: impl Into<EntityId>,
        from: MemoryId,
        to: MemoryId,
        relation: impl Into<String>,
    ) -> MemoryResult<()> {
        observe(
            Operation::Relate,
            self.engine()
                .relate(&entity.into(), &from, &to, &relation.into()),
        )
        .await
    }

    /// Removes the link from one memory to another, if there is one.
    ///
    #[doc = example!()]
    /// let fire = memory.retain("mira", MemoryKind::Experience, "The mill burned down.").await?;
    /// let spark = memory.retain("mira", MemoryKind::Observation, "Sparks flew.").await?;
    /// memory.relate("mira", fire, spark, "caused by").await?;
    /// memory.unrelate("mira", fire, spark).await?;
    /// assert!(memory.related("mira", fire).await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NotFound`] if `from` does not exist;
    /// [`MemoryError::Archived`] if it is archived; errors of the store.
    pub async fn unrelate(
        &self,
        entity: impl Into<EntityId>,
        from: MemoryId,
        to: MemoryId,
    ) -> MemoryResult<()> {
        observe(
            Operation::Unrelate,
            self.engine().unrelate(&entity.into(), &from, &to),
        )
        .await
    }

    /// The memories that a memory links to, archived ones included, then the live
    /// memories that link to it, newest first, at most [`limits::MAX_LIMIT`] of
    /// these: a list that
    /// [`relates_to`](crate::MemoryFilter::relates_to) it has all of them, page by page.
    ///
    #[doc = example!()]
    /// let id = memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// assert!(memory.related("mira", id).await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NotFound`]; errors of the store.
    pub async fn related(
        &self,
        entity: impl Into<EntityId>,
        id: MemoryId,
    ) -> MemoryResult<Vec<RelatedMemory>> {
        observe(
            Operation::Related,
            self.engine().related(&entity.into(), &id),
        )
        .await
    }

    /// Forgets a memory, leaving nothing of it. Returns the ids of all removed
    /// memories.
    ///
    /// Removed are its row and vectors; everything archived under it, if it is a
    /// summary; every summary above it, if it is archived, because those may
    /// contain what it said (their other sources are live again); links to any of
    /// these; and all cache entries. If the backend can, the bytes are
    /// overwritten: see its documentation.
    ///
    /// [`delete_memory`](Self::delete_memory) differs in one point: the sources
    /// of a deleted summary are live again.
    ///
    #[doc = example!()]
    /// let id = memory.retain("mira", MemoryKind::World, "The key is under the mat.").await?;
    /// assert_eq!(memory.forget("mira", id).await?, [id]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NotFound`]; errors of the store.
    pub async fn forget(
        &self,
        entity: impl Into<EntityId>,
        id: MemoryId,
    ) -> MemoryResult<Vec<MemoryId>> {
        observe(Operation::Forget, self.engine().forget(&entity.into(), &id)).await
    }

    /// Retains complete memories, as from an export: with their ids, timestamps,
    /// decay rates, access counts and links. They are embedded again, except for
    /// [`RestoreItem`]s with a vector.
    ///
    /// An archived memory whose summary comes later in the list, as in an export, is
    /// archived under it again. Of these only the summary counts for
    /// [`MemoryConfig::max_memories_per_entity`]. Such a list is written entity by entity and
    /// summary by summary, each right after its sources, in several transactions: until its
    /// summary is written, a source is live, and an entity can have more live memories than
    /// that, for which another process may refuse or evict others. The writes of an entity
    /// run to their end, also where the call is dropped; a repeated call completes one that
    /// failed. Any other list is written in one transaction. A memory that was
    /// archived under a summary which is not in the list is live afterward;
    /// [`restore_summary`](Self::restore_summary) archives it again.
    ///
    /// An existing memory with the same content is left as it is, live or archived.
    ///
    #[doc = example!()]
    /// let id = memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// let exported = (*memory.get_memory("mira", id).await?).clone();
    /// memory.forget("mira", id).await?;
    /// assert_eq!(memory.restore_memories([exported]).await?, [id]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`retain_batch`](Self::retain_batch); [`MemoryError::Changed`] for an existing
    /// source that is archived elsewhere, and [`MemoryError::Conflict`] for a summary that
    /// exists above other sources.
    pub async fn restore_memories(
        &self,
        memories: impl IntoIterator<Item = impl Into<RestoreItem>>,
    ) -> MemoryResult<Vec<MemoryId>> {
        let memories = memories.into_iter().map(Into::into).collect();
        observe(
            Operation::RestoreMemories,
            self.engine().restore_memories(memories),
        )
        .await
    }

    /// Restores a summary above its sources, which must exist and be live, in
    /// one transaction. Returns whether it was missing. Restore summaries of
    /// summaries from the bottom up.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::Experience, "Tam sold me a lame horse.").await?;
    /// memory.retain("mira", MemoryKind::Experience, "tam sold me a lame horse").await?;
    /// let report = memory.consolidate("mira").await?;
    /// let summary = (*memory.get_memory("mira", report.summaries[0].id).await?).clone();
    /// let sources = memory.undo_consolidation("mira", summary.id).await?;
    /// assert!(memory.restore_summary(summary, sources).await?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Changed`] for a source that does not exist or is archived
    /// elsewhere; [`MemoryError::Conflict`] for an id that is taken;
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where the summary exists, but not
    /// above all of the sources; [`MemoryError::InvalidInput`] for a memory beyond a limit, or no source;
    /// errors of the embedder and the store.
    pub async fn restore_summary(
        &self,
        summary: impl Into<RestoreItem>,
        sources: impl IntoIterator<Item = MemoryId>,
    ) -> MemoryResult<bool> {
        let (summary, sources) = (summary.into(), sources.into_iter().collect());
        observe(
            Operation::RestoreSummary,
            self.engine().restore_summary(summary, sources),
        )
        .await
    }
}
