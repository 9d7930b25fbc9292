//! Archived memories that wait for the summary above them.
//!
//! Where an entity may have only so many live memories, its archived ones cannot be imported
//! live first: they would not fit, or memories would be evicted for them. They are kept until
//! the live summary above them is read, and written together with it.

use std::collections::{HashMap, HashSet};

use memory::{MemoryError, MemoryId, MemoryResult, MemorySystem};

use super::ItemOutcome;
use super::batch::{Key, PendingItem};
use super::refusal::Refusal;

/// Archived memories by their summary.
#[derive(Debug, Default)]
pub(super) struct HeldMemories(HashMap<Key, Vec<PendingItem>>);

impl HeldMemories {
    /// Keeps a memory until its summary is read.
    pub(super) fn hold(&mut self, summary: MemoryId, mut pending: PendingItem) {
        pending.item.memory.archived_by = Some(summary);
        let key = (pending.item.memory.entity_id.clone(), summary);
        self.0.entry(key).or_default().push(pending);
    }

    /// Whether sources of this memory came before.
    pub(super) fn is_summary(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }

    /// Takes all that is archived under a memory, at every level, and the memory: sources
    /// before their summary.
    pub(super) fn take_tree(&mut self, root: PendingItem) -> Vec<PendingItem> {
        let (mut next, mut tree) = (vec![root], Vec::new());
        while let Some(pending) = next.pop() {
            next.extend(self.0.remove(&pending.key()).unwrap_or_default());
            tree.push(pending);
        }
        tree.reverse();
        tree
    }

    /// Takes what is left: below memories whose summary did not come after them, which are
    /// live.
    pub(super) fn take_orphans(&mut self) -> Vec<Vec<PendingItem>> {
        let held: HashSet<Key> = self.0.values().flatten().map(PendingItem::key).collect();
        let missing: Vec<Key> = self.0.keys().cloned().collect();
        let missing = missing.into_iter().filter(|key| !held.contains(key));
        let roots: Vec<PendingItem> = missing
            .flat_map(|key| self.0.remove(&key).unwrap_or_default())
            .collect();
        let mut trees: Vec<_> = roots
            .into_iter()
            .map(|root| self.take_tree(live(root)))
            .collect();
        // Summaries of each other, as a damaged database may have them.
        let in_cycles = self.0.drain().flat_map(|(_, held)| held);
        trees.extend(in_cycles.map(|pending| vec![live(pending)]));
        trees
    }
}

fn live(mut pending: PendingItem) -> PendingItem {
    pending.item.memory.archived_by = None;
    pending
}

/// Memories that are written together, sources before their summary, each id once.
pub(super) struct Tree {
    members: Vec<PendingItem>,
    /// Those that were stored before.
    stored: HashSet<MemoryId>,
    outcomes: Vec<ItemOutcome>,
}

impl Tree {
    pub(super) fn new(members: Vec<PendingItem>) -> Self {
        Self {
            members,
            stored: HashSet::new(),
            outcomes: Vec::new(),
        }
    }

    /// Writes what is not stored. What would cause a refusal is left out: the sources of such
    /// a summary are live then.
    pub(super) async fn write(mut self, system: &MemorySystem) -> MemoryResult<Vec<ItemOutcome>> {
        self.compare_stored(system).await?;
        while !self.members.is_empty() {
            let items: Vec<_> = self.members.iter().map(|it| it.item.clone()).collect();
            match system.restore_memories(items).await {
                Ok(_) => break,
                Err(error) => {
                    let rejected = self.rejected(&error);
                    if rejected.is_empty() {
                        return Err(error);
                    }
                    self.refuse(&rejected, |pending| {
                        let refusal = Refusal::from_error(pending.location.clone(), &error);
                        ItemOutcome::Refused(refusal)
                    });
                }
            }
        }
        let written = self.members.iter().map(|pending| {
            match self.stored.contains(&pending.item.memory.id) {
                true => ItemOutcome::AlreadyThere,
                false => ItemOutcome::Imported,
            }
        });
        self.outcomes.extend(written);
        Ok(self.outcomes)
    }

    /// Refuses the members whose id belongs to other content.
    async fn compare_stored(&mut self, system: &MemorySystem) -> MemoryResult<()> {
        let Some((entity, _)) = self.members.first().map(PendingItem::key) else {
            return Ok(());
        };
        let ids: Vec<MemoryId> = self.members.iter().map(|it| it.item.memory.id).collect();
        let existing = system.get_memories(&entity, ids).await?;
        let contents: HashMap<MemoryId, &str> = existing
            .iter()
            .flatten()
            .map(|memory| (memory.id, memory.content.as_str()))
            .collect();
        self.stored = contents.keys().copied().collect();
        let compare = |pending: &PendingItem| {
            let content = contents.get(&pending.item.memory.id)?;
            Some(pending.compare_existing(content, "a memory"))
        };
        let conflicts: HashSet<MemoryId> = self
            .members
            .iter()
            .filter(|it| matches!(compare(it), Some(ItemOutcome::Refused(_))))
            .map(|it| it.item.memory.id)
            .collect();
        self.refuse(&conflicts, |pending| {
            compare(pending).unwrap_or(ItemOutcome::AlreadyThere)
        });
        Ok(())
    }

    /// The members that caused a refusal, where the error tells: the one that it names, the
    /// summary of a source that changed, or the last live one that does not fit, with what is
    /// archived under it.
    fn rejected(&self, error: &MemoryError) -> HashSet<MemoryId> {
        let memories = || self.members.iter().map(|pending| &pending.item.memory);
        let named = |id: &MemoryId| memories().find(|memory| memory.id == *id);
        match error {
            MemoryError::InvalidInput { item, .. } => {
                let index = item.unwrap_or(usize::MAX);
                memories()
                    .nth(index)
                    .map(|memory| memory.id)
                    .into_iter()
                    .collect()
            }
            MemoryError::Conflict { id, .. } => {
                named(id).map(|memory| memory.id).into_iter().collect()
            }
            MemoryError::Changed { id, .. } => named(id)
                .map(|memory| memory.archived_by.unwrap_or(memory.id))
                .into_iter()
                .collect(),
            MemoryError::LimitReached { .. } => {
                let mut rejected = HashSet::new();
                for memory in memories().rev() {
                    let is_below = match memory.archived_by {
                        Some(summary) => rejected.contains(&summary),
                        None => rejected.is_empty(),
                    };
                    if is_below {
                        rejected.insert(memory.id);
                    }
                }
                rejected
            }
            _ => HashSet::new(),
        }
    }

    fn refuse(
        &mut self,
        rejected: &HashSet<MemoryId>,
        outcome: impl Fn(&PendingItem) -> ItemOutcome,
    ) {
        let members = std::mem::take(&mut self.members);
        for pending in members {
            if rejected.contains(&pending.item.memory.id) {
                self.outcomes.push(outcome(&pending));
                continue;
            }
            let summary = pending.item.memory.archived_by;
            let is_orphan = summary.is_some_and(|summary| rejected.contains(&summary));
            self.members.push(match is_orphan {
                true => live(pending),
                false => pending,
            });
        }
    }
}
