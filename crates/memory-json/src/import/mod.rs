//! Storing memories of any number, in batches, with an outcome for each.
//!
//! | module | contents |
//! |---|---|
//! | `batch` | batches that are embedded and written together |
//! | `archive` | summaries and the memories below them |
//! | `pending_sources` | the same where the number of live memories is limited |
//! | `location` | where in the input a memory is |
//! | `refusal` | memories that were not imported, and why |

mod archive;
mod batch;
mod location;
mod pending_sources;
mod refusal;

use std::collections::HashSet;
use std::num::NonZeroUsize;

use chrono::Utc;
use memory::{EntityId, MemoryBatchItem, MemoryId, MemoryResult, MemorySystem, RestoreItem};

use archive::Archive;
use batch::{Batch, BatchResult, InFlight, Key, PendingItem};
pub use location::Location;
use pending_sources::{PendingSources, Tree, live};
pub use refusal::{Refusal, RefusalKind};

use crate::line::parse_restored;

/// Memories that are embedded and written together by default.
pub const DEFAULT_BATCH: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// A memory to import.
#[derive(Debug)]
pub struct ImportItem {
    /// The memory, live, with its id.
    pub item: RestoreItem,
    /// The summary that replaced it, which comes later.
    pub archived_by: Option<MemoryId>,
    /// Whether the input had a link of it to itself, which was left out: exports of earlier
    /// versions can have one.
    pub is_without_own_link: bool,
    /// Its size in the input: a batch has at most 4 MiB.
    pub bytes: usize,
}

impl ImportItem {
    /// Parses a line. A line without an entity gets `entity`, one without an id that of
    /// `id_of`. A link of the memory to itself is left out.
    ///
    /// # Errors
    /// What is wrong, for people, without the line's content.
    pub fn from_line(
        text: &str,
        entity: Option<&EntityId>,
        id_of: impl FnOnce(&MemoryBatchItem) -> MemoryId,
    ) -> Result<Self, String> {
        let (parsed, is_without_own_link) = parse_restored(text, entity)?;
        let id = parsed.item.id.unwrap_or_else(|| id_of(&parsed.item));
        let archived_by = parsed.archived_by;
        if archived_by == Some(id) {
            return Err(
                "`archived_by` is the memory's own id; it must be that of another memory, or \
                 missing"
                    .to_owned(),
            );
        }
        let item = parsed.into_restore_item(id, Utc::now());
        Ok(Self {
            item: item.map_err(|error| error.to_string())?,
            archived_by,
            is_without_own_link,
            bytes: text.len(),
        })
    }
}

/// The outcome of a memory.
#[derive(Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    /// It is stored.
    Imported,
    /// The entity has it, with the same content.
    AlreadyThere,
    /// It is not stored.
    Refused(Refusal),
}

/// Imports memories in the order of the input. It holds at most three batches: one is
/// filled while the one before it is embedded and another is written. Where the system has
/// [`MemoryConfig::max_memories_per_entity`](memory::MemoryConfig::max_memories_per_entity), it
/// also holds archived memories until the live summary above them is added, up to 64 MiB of
/// them; further ones are refused.
///
/// A batch that was begun is completed by its own task, also when the importer is dropped.
/// Its methods are cancel-safe, apart from the memory that is being added, and archived ones
/// that are written with it or by [`finish`](Self::finish).
pub struct Importer {
    batch: Batch,
    in_flight: InFlight,
    archive: Archive,
    pending_sources: PendingSources,
    outcomes: Vec<ItemOutcome>,
    orphans: usize,
    own_links: usize,
}

impl Importer {
    /// Imports in batches of at most `batch` memories.
    #[must_use]
    pub fn new(batch: NonZeroUsize) -> Self {
        Self {
            batch: Batch::new(batch),
            in_flight: InFlight::new(),
            archive: Archive::default(),
            pending_sources: PendingSources::default(),
            outcomes: Vec::new(),
            orphans: 0,
            own_links: 0,
        }
    }

    /// Adds a memory to the batch, and begins to write a full one; waits while two are
    /// being written. A summary whose sources came before it is stored together with its
    /// links to them.
    ///
    /// # Errors
    /// Why an earlier batch, or the summary, was not written, where that is no fault of a
    /// single memory.
    pub async fn add(
        &mut self,
        system: &MemorySystem,
        location: Location,
        memory: ImportItem,
    ) -> MemoryResult<()> {
        let ImportItem {
            item,
            archived_by,
            is_without_own_link,
            bytes,
        } = memory;
        self.own_links += usize::from(is_without_own_link);
        let pending = PendingItem::new(location, item, bytes);
        let key = pending.key();
        if let Some(summary) = archived_by
            && system.config().max_memories_per_entity.is_some()
        {
            if let Err(refusal) = self.pending_sources.add(summary, pending) {
                self.outcomes.push(ItemOutcome::Refused(refusal));
            }
            return Ok(());
        }
        if self.pending_sources.is_summary(&key) {
            let tree = self.pending_sources.take_tree(pending);
            return self.restore_tree(system, tree).await;
        }
        if self.archive.is_summary(&key) {
            // Its sources must be stored first.
            self.write_batches(system).await?;
            let sources = self.archive.take_sources(&key);
            self.add_source(&key, archived_by);
            // Without any, as all were refused, it is a memory like any other.
            if !sources.is_empty() {
                let PendingItem { location, item, .. } = pending;
                let restoring = self
                    .archive
                    .restore_summary(system, location, item, sources);
                let outcome = restoring.await?;
                self.outcomes.push(outcome);
                return Ok(());
            }
        }
        if self.in_flight.contains(&key) {
            // The outcome of this memory depends on that of the earlier one.
            self.write_batches(system).await?;
        }
        self.add_source(&key, archived_by);
        self.add_to_batch(system, pending).await
    }

    async fn add_to_batch(
        &mut self,
        system: &MemorySystem,
        pending: PendingItem,
    ) -> MemoryResult<()> {
        self.batch.add(pending);
        if self.batch.is_full() {
            self.start_batch(system).await?;
        }
        Ok(())
    }

    fn add_source(&mut self, source: &Key, summary: Option<MemoryId>) {
        if let Some(summary) = summary {
            self.archive.add_source(source.clone(), summary);
        }
    }

    /// Writes a summary and what is archived under it; repeated ids after that, as their
    /// outcome depends on it.
    async fn restore_tree(
        &mut self,
        system: &MemorySystem,
        tree: Vec<PendingItem>,
    ) -> MemoryResult<()> {
        // What came before is compared first.
        self.write_batches(system).await?;
        let mut ids = HashSet::new();
        let (members, repeated) = tree
            .into_iter()
            .partition(|pending| ids.insert(pending.key()));
        let written = Tree::new(members).write(system).await?;
        self.outcomes.extend(written.outcomes);
        self.orphans += written.orphans;
        let repeated: Vec<PendingItem> = repeated;
        for pending in repeated {
            self.add_to_batch(system, pending).await?;
        }
        Ok(())
    }

    /// Records that a line or item is no memory.
    pub fn refuse(&mut self, location: Location, reason: String) {
        let refusal = Refusal::malformed(location, reason);
        self.outcomes.push(ItemOutcome::Refused(refusal));
    }

    /// Waits until everything that was added is written or refused. Archived memories whose
    /// summary was not added are live then.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub async fn finish(&mut self, system: &MemorySystem) -> MemoryResult<()> {
        for mut tree in self.pending_sources.take_orphans() {
            match tree.pop() {
                Some(root) if tree.is_empty() => {
                    // Not counted, should it be refused.
                    self.add_source(&root.key(), root.item.memory.archived_by);
                    self.add_to_batch(system, live(root)).await?;
                }
                Some(root) => {
                    tree.push(root);
                    self.restore_tree(system, tree).await?;
                }
                None => {}
            }
        }
        self.write_batches(system).await
    }

    async fn write_batches(&mut self, system: &MemorySystem) -> MemoryResult<()> {
        if !self.batch.is_empty() {
            self.start_batch(system).await?;
        }
        while !self.in_flight.is_empty() {
            self.finish_oldest().await?;
        }
        Ok(())
    }

    /// Waits for batches that are being written, after a failure, so that their outcomes
    /// are known. The first failure was reported, so a further one is not.
    pub async fn drain(&mut self) {
        while !self.in_flight.is_empty() {
            let _ = self.finish_oldest().await;
        }
    }

    /// Takes the outcomes that became known since the last call, in no order.
    pub fn take_outcomes(&mut self) -> Vec<ItemOutcome> {
        std::mem::take(&mut self.outcomes)
    }

    /// The number of memories that are being written.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.in_flight.len()
    }

    /// The number of archived memories that are live, as their summary did not come after
    /// them or was refused.
    #[must_use]
    pub fn orphans(&self) -> usize {
        self.archive.orphans() + self.orphans
    }

    /// The number of links of memories to themselves that were left out.
    #[must_use]
    pub fn own_links(&self) -> usize {
        self.own_links
    }

    async fn start_batch(&mut self, system: &MemorySystem) -> MemoryResult<()> {
        if self.in_flight.is_full() {
            self.finish_oldest().await?;
        }
        self.in_flight.start(self.batch.take(), system);
        Ok(())
    }

    async fn finish_oldest(&mut self) -> MemoryResult<()> {
        let Some(BatchResult {
            outcomes,
            refused,
            result,
        }) = self.in_flight.finish_oldest().await?
        else {
            return Ok(());
        };
        self.archive.exclude(&refused);
        self.outcomes.extend(outcomes);
        result
    }
}
