//! Administration: statistics, entities, caches, backups, closing.

use std::collections::BTreeMap;
use std::path::Path;

use memory_core::{
    BackupOptions, CacheStats, Consistency, EntityId, EntityStats, Fingerprint, Generation,
    MaintenanceReport, MaintenanceRequest, MemoryConfig, MemoryId, MemoryResult,
};
#[cfg(doc)]
use memory_core::{ErrorKind, MemoryError};
use memory_metrics::{Operation, observe, observe_sync};

use crate::system::MemorySystem;

impl MemorySystem {
    /// How often the entity was written to, and how many memories it has.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// assert_eq!(memory.entity_stats("mira").await?.memory_count, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn entity_stats(&self, entity: impl Into<EntityId>) -> MemoryResult<EntityStats> {
        observe(
            Operation::EntityStats,
            self.engine().entity_stats(&entity.into()),
        )
        .await
    }

    /// How often the entity was written to, as recent as the configured consistency
    /// requires. With [`Consistency::Checked`], what is read after this call is that state of
    /// the entity or a newer one, so it serves as a version of answers. With
    /// [`Consistency::Bounded`] and [`Consistency::Local`] it does not, where others write to
    /// the database: each cached answer has an age of its own, so that one which is read
    /// after this call may be older.
    ///
    /// It asks the store with one statement, or with none where the entity's snapshot is
    /// cached and known to be current.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// let before = memory.entity_generation("mira").await?;
    /// memory.retain("mira", MemoryKind::World, "Horses are cheap.").await?;
    /// assert!(memory.entity_generation("mira").await? > before);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] for a name outside the limits; errors of the store.
    pub async fn entity_generation(&self, entity: impl Into<EntityId>) -> MemoryResult<Generation> {
        observe(
            Operation::EntityStats,
            self.engine().entity_generation(&entity.into()),
        )
        .await
    }

    /// How many memories, live and archived, have vectors of each model. While an
    /// entity is [embedded again](Self::reembed), a memory may have vectors of two
    /// models and counts under both. Reads an index of all of the entity's vectors.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// let models = memory.count_by_model("mira").await?;
    /// assert_eq!(models.into_values().collect::<Vec<_>>(), [1]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Unsupported`] if the store does not count; errors of the store.
    pub async fn count_by_model(
        &self,
        entity: impl Into<EntityId>,
    ) -> MemoryResult<BTreeMap<Fingerprint, u64>> {
        observe(
            Operation::CountByModel,
            self.engine().count_by_model(&entity.into()),
        )
        .await
    }

    /// Lists up to `limit` entities that have memories, in the order of their
    /// names, after `after`. For administrators; it reads no memory.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// memory.retain("tam", MemoryKind::World, "Horses are cheap.").await?;
    /// let first = memory.list_entities(None, 1).await?;
    /// let rest = memory.list_entities(first.last(), 10).await?;
    /// assert_eq!(rest, ["tam".into()]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] for a limit out of range; errors of the
    /// store.
    pub async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        observe(
            Operation::ListEntities,
            self.engine().list_entities(after, limit),
        )
        .await
    }

    /// Checks that the embedder works: it embeds one word, with a real call of the model,
    /// whatever the embedding tier holds. For health checks; a hosted model bills the
    /// call, so bound how often it is made.
    ///
    #[doc = example!()]
    /// memory.check_embedder().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Embedder`]: [`ErrorKind::Corrupt`] for an embedder that returns
    /// something other than a vector of its dimensions.
    pub async fn check_embedder(&self) -> MemoryResult<()> {
        observe(Operation::CheckEmbedder, self.engine().check_embedder()).await
    }

    /// The configuration that the system was built with.
    ///
    #[doc = example!()]
    /// assert_eq!(memory.config().max_memories_per_entity, None);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn config(&self) -> &MemoryConfig {
        self.engine().config()
    }

    /// How soon a read sees what others wrote: as configured, else
    /// [`Checked`](Consistency::Checked) where others can write to the store, and
    /// [`Local`](Consistency::Local) where they cannot.
    ///
    #[doc = example!()]
    /// assert_eq!(memory.consistency(), memory::Consistency::Local);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn consistency(&self) -> Consistency {
        self.engine().consistency()
    }

    /// Counters of the three tiers since the system was opened.
    ///
    #[doc = example!()]
    /// let id = memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// memory.get_memory("mira", id).await?;
    /// memory.get_memory("mira", id).await?;
    /// assert!(memory.cache_stats().memory.hits >= 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.engine().cache_stats()
    }

    /// Empties all three tiers. Never needed for correctness.
    ///
    #[doc = example!()]
    /// memory.clear_all_caches();
    /// # Ok(()) }
    /// ```
    pub fn clear_all_caches(&self) {
        observe_sync(Operation::ClearAllCaches, || {
            self.engine().clear_all_caches()
        });
    }

    /// Removes one memory from the memory tier, such as after a change of the
    /// database by hand.
    ///
    #[doc = example!()]
    /// let id = memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// memory.invalidate_memory_cache(id);
    /// # Ok(()) }
    /// ```
    pub fn invalidate_memory_cache(&self, id: MemoryId) {
        observe_sync(Operation::InvalidateMemoryCache, || {
            self.engine().invalidate_memory_cache(&id)
        });
    }

    /// Removes an entity's snapshot from the entity tier, such as after a change
    /// of the database by hand.
    ///
    #[doc = example!()]
    /// memory.invalidate_entity_cache("mira");
    /// # Ok(()) }
    /// ```
    pub fn invalidate_entity_cache(&self, entity: impl Into<EntityId>) {
        observe_sync(Operation::InvalidateEntityCache, || {
            self.engine().invalidate_entity_cache(&entity.into())
        });
    }

    /// Copies the whole database to a new file, while it is in use: a consistent
    /// state, complete when this returns, readable by its owner only. Opening
    /// the copy is restoring it. An existing file is refused; see
    /// [`backup_with`](Self::backup_with).
    ///
    #[doc = example!()]
    /// # let folder = std::env::temp_dir().join(format!("memory-backup-{}", MemoryId::new()));
    /// # std::fs::create_dir(&folder).expect("a folder for the backup");
    /// memory.backup(folder.join("agent-backup.db")).await?;
    /// # std::fs::remove_dir_all(&folder).expect("the backup is removed");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a target that exists or belongs to the
    /// database, [`ErrorKind::Missing`] for a missing folder,
    /// [`ErrorKind::Unsupported`] for PostgreSQL, which has `pg_dump`; those of
    /// the disk.
    pub async fn backup(&self, target: impl AsRef<Path>) -> MemoryResult<()> {
        self.backup_with(target, &BackupOptions::new()).await
    }

    /// As [`backup`](Self::backup), with options.
    ///
    #[doc = example!()]
    /// # let folder = std::env::temp_dir().join(format!("memory-backup-{}", MemoryId::new()));
    /// # std::fs::create_dir(&folder).expect("a folder for the backup");
    /// use memory::store::BackupOptions;
    /// let options = BackupOptions::new().overwrite(true);
    /// memory.backup_with(folder.join("nightly.db"), &options).await?;
    /// # std::fs::remove_dir_all(&folder).expect("the backup is removed");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`backup`](Self::backup).
    pub async fn backup_with(
        &self,
        target: impl AsRef<Path>,
        options: &BackupOptions,
    ) -> MemoryResult<()> {
        observe(
            Operation::Backup,
            self.engine().backup(target.as_ref(), options),
        )
        .await
    }

    /// Chooses, builds and drops the approximate indexes of very large entities, and how
    /// widely each is searched: for a periodic job, nightly or after large imports.
    /// PostgreSQL has such indexes; docs/operations.md describes when to run it.
    ///
    /// For each entity it measures which index finds the target share of the nearest
    /// vectors fastest, with stored vectors as questions, and keeps none where exact
    /// search is as fast. The report says what it did and what that gained, and with
    /// [`MaintenanceRequest::dry_run`] what it would do.
    ///
    /// Building takes minutes for each 100,000 vectors, while others read and write. A
    /// dropped future or an ended process leaves an incomplete index, which no search
    /// uses and the next run drops.
    ///
    #[doc = example!()]
    /// use memory::{ErrorKind, MaintenanceRequest};
    /// let request = MaintenanceRequest::new().dry_run(true);
    /// match memory.maintain_indexes(&request).await {
    ///     Ok(report) => println!("{} indexes are kept", report.indexes.len()),
    ///     // SQLite has none.
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for SQLite, through a transaction pooler and under
    /// row-level security; [`ErrorKind::InvalidInput`] for a target recall out of range;
    /// [`ErrorKind::Unavailable`] while another process runs it; errors of the store.
    pub async fn maintain_indexes(
        &self,
        request: &MaintenanceRequest,
    ) -> MemoryResult<MaintenanceReport> {
        observe(
            Operation::MaintainIndexes,
            self.engine().maintain_indexes(request),
        )
        .await
    }

    /// Finishes work in progress, flushes pending access counts and closes the
    /// store. Later calls fail with [`ErrorKind::Closed`]. Dropping the last
    /// handle closes the store too, but does not wait and loses the pending
    /// counts.
    ///
    #[doc = example!()]
    /// memory.close().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn close(&self) -> MemoryResult<()> {
        observe(Operation::Close, self.engine().close()).await
    }
}
