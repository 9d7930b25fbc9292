//! Archived memories that wait for the summary above them.
//!
//! Where an entity may have only so many live memories, its archived ones cannot be imported
//! live first: they would not fit, or memories would be evicted for them. They are kept until
//! the live summary above them is read, and written together with it.

use std::collections::{HashMap, HashSet};

use memory::{ErrorKind, MemoryError, MemoryId, MemoryResult, MemorySystem};

use super::ItemOutcome;
use super::batch::{Key, PendingItem};
use super::location::Location;
use super::refusal::Refusal;

/// How many bytes of memories are kept until their summary is read.
const MAX_BYTES: usize = 64 << 20;

/// Archived memories by their summary.
#[derive(Debug, Default)]
pub(super) struct PendingSources {
    by_summary: HashMap<Key, Vec<PendingItem>>,
    bytes: usize,
}

impl PendingSources {
    /// Keeps a memory until its summary is read, unless too many are kept.
    pub(super) fn add(
        &mut self,
        summary: MemoryId,
        mut pending: PendingItem,
    ) -> Result<(), Refusal> {
        let bytes = self.bytes.saturating_add(kept_bytes(&pending));
        if bytes > MAX_BYTES {
            return Err(too_many(pending.location));
        }
        self.bytes = bytes;
        pending.item.memory.archived_by = Some(summary);
        let key = (pending.item.memory.entity_id.clone(), summary);
        self.by_summary.entry(key).or_default().push(pending);
        Ok(())
    }

    fn take(&mut self, summary: &Key) -> Vec<PendingItem> {
        let sources = self.by_summary.remove(summary).unwrap_or_default();
        let bytes: usize = sources.iter().map(kept_bytes).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        sources
    }

    /// Whether sources of this memory came before.
    pub(super) fn is_summary(&self, key: &Key) -> bool {
        self.by_summary.contains_key(key)
    }

    /// Takes all that is archived under a memory, at every level, and the memory: sources
    /// before their summary.
    pub(super) fn take_tree(&mut self, root: PendingItem) -> Vec<PendingItem> {
        let (mut next, mut tree) = (vec![root], Vec::new());
        while let Some(pending) = next.pop() {
            next.extend(self.take(&pending.key()));
            tree.push(pending);
        }
        tree.reverse();
        tree
    }

    /// Takes what is left: below memories whose summary did not come after them. These are the
    /// last of each list.
    pub(super) fn take_orphans(&mut self) -> Vec<Vec<PendingItem>> {
        let held = self.by_summary.values().flatten();
        let held: HashSet<Key> = held.map(PendingItem::key).collect();
        let missing: Vec<Key> = self.by_summary.keys().cloned().collect();
        let missing = missing.into_iter().filter(|key| !held.contains(key));
        let roots: Vec<PendingItem> = missing.flat_map(|key| self.take(&key)).collect();
        let mut trees: Vec<_> = roots.into_iter().map(|root| self.take_tree(root)).collect();
        // Summaries of each other, as a damaged database may have them.
        let in_cycles = self.by_summary.drain().flat_map(|(_, held)| held);
        trees.extend(in_cycles.map(|pending| vec![pending]));
        self.bytes = 0;
        trees
    }
}

/// About what a memory takes in RAM until its summary is read.
fn kept_bytes(pending: &PendingItem) -> usize {
    pending.bytes + size_of::<PendingItem>()
}

fn too_many(location: Location) -> Refusal {
    let mib = MAX_BYTES >> 20;
    let message = format!(
        "no summary was read for this archived memory yet, and the buffer of {mib} MiB for such \
         memories is full; import the file without max_memories_per_entity, and set it afterward"
    );
    Refusal::malformed(location, message)
}

/// An archived memory whose summary is missing.
pub(super) fn live(mut pending: PendingItem) -> PendingItem {
    pending.item.memory.archived_by = None;
    pending
}

/// Memories that are written together, sources before their summary, each id once. One whose
/// summary is not among them is live.
pub(super) struct Tree {
    members: Vec<PendingItem>,
    /// Those that were stored before.
    before: HashSet<MemoryId>,
    /// Those that are stored, with their summaries.
    stored: HashMap<MemoryId, Option<MemoryId>>,
    /// Those that are live, as their summary is missing or was refused.
    orphans: HashSet<MemoryId>,
    outcomes: Vec<ItemOutcome>,
}

/// What became of the members of a tree.
pub(super) struct WrittenTree {
    pub(super) outcomes: Vec<ItemOutcome>,
    /// How many archived ones are live, as their summary is missing or was refused.
    pub(super) orphans: usize,
}

impl Tree {
    pub(super) fn new(members: Vec<PendingItem>) -> Self {
        let ids: HashSet<MemoryId> = members.iter().map(|it| it.item.memory.id).collect();
        let mut orphans = HashSet::new();
        let members = members.into_iter().map(|pending| {
            let memory = &pending.item.memory;
            let is_orphan = memory.archived_by.is_some_and(|it| !ids.contains(&it));
            if !is_orphan {
                return pending;
            }
            orphans.insert(memory.id);
            live(pending)
        });
        Self {
            members: members.collect(),
            before: HashSet::new(),
            stored: HashMap::new(),
            orphans,
            outcomes: Vec::new(),
        }
    }

    /// Writes what is not stored. What would cause a refusal is left out: the sources of such
    /// a summary are live then.
    pub(super) async fn write(mut self, system: &MemorySystem) -> MemoryResult<WrittenTree> {
        self.compare_stored(system).await?;
        self.before = self.stored.keys().copied().collect();
        while !self.members.is_empty() {
            let items: Vec<_> = self.members.iter().map(|it| it.item.clone()).collect();
            let Err(error) = system.restore_memories(items).await else {
                break;
            };
            if matches!(
                error.kind(),
                ErrorKind::Conflict | ErrorKind::Changed | ErrorKind::LimitReached
            ) {
                // Others may have written some, and summaries may be written before the error.
                self.compare_stored(system).await?;
            }
            let rejected = self.rejected(&error);
            if rejected.is_empty() {
                return Err(error);
            }
            self.refuse(&rejected, |pending| {
                let refusal = Refusal::from_error(pending.location.clone(), &error);
                ItemOutcome::Refused(refusal)
            });
        }
        let members = self.members.iter().map(|pending| pending.item.memory.id);
        let is_archived = |id: &MemoryId| self.stored.get(id).is_some_and(Option::is_some);
        let orphans = members.clone();
        let orphans = orphans.filter(|id| self.orphans.contains(id) && !is_archived(id));
        let orphans = orphans.count();
        let written = members.map(|id| match self.before.contains(&id) {
            true => ItemOutcome::AlreadyThere,
            false => ItemOutcome::Imported,
        });
        self.outcomes.extend(written);
        let outcomes = self.outcomes;
        Ok(WrittenTree { outcomes, orphans })
    }

    /// Reads which members are stored, and refuses those whose id belongs to other content.
    async fn compare_stored(&mut self, system: &MemorySystem) -> MemoryResult<()> {
        let Some((entity, _)) = self.members.first().map(PendingItem::key) else {
            return Ok(());
        };
        let ids: Vec<MemoryId> = self.members.iter().map(|it| it.item.memory.id).collect();
        let existing = system.get_memories(&entity, ids).await?;
        let existing = || existing.iter().flatten();
        let contents: HashMap<MemoryId, &str> = existing()
            .map(|memory| (memory.id, memory.content.as_str()))
            .collect();
        self.stored = existing().map(|it| (it.id, it.archived_by)).collect();
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

    /// The first summary that is stored and not above all of its sources.
    fn incomplete_summary(&self) -> Option<MemoryId> {
        self.members.iter().find_map(|pending| {
            let memory = &pending.item.memory;
            let summary = memory.archived_by?;
            let is_below = self.stored.get(&memory.id) == Some(&Some(summary));
            (self.stored.contains_key(&summary) && !is_below).then_some(summary)
        })
    }

    /// The members that caused a refusal, where the error tells: the one that it names, the
    /// summary of a source that changed, the one that is stored without a source, or the last
    /// live ones that do not fit, with what is archived under them. What is stored makes no
    /// room.
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
            MemoryError::LimitReached { count, max, .. } => {
                let excess = usize::try_from(count.saturating_sub(*max)).unwrap_or(usize::MAX);
                let mut left = excess.max(1);
                let mut rejected = HashSet::new();
                let new = memories().rev();
                for memory in new.filter(|memory| !self.stored.contains_key(&memory.id)) {
                    let is_rejected = match memory.archived_by {
                        Some(summary) => rejected.contains(&summary),
                        None if left > 0 => {
                            left -= 1;
                            true
                        }
                        None => false,
                    };
                    if is_rejected {
                        rejected.insert(memory.id);
                    }
                }
                rejected
            }
            error if error.kind() == ErrorKind::Conflict => {
                self.incomplete_summary().into_iter().collect()
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
                true => {
                    self.orphans.insert(pending.item.memory.id);
                    live(pending)
                }
                false => pending,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use memory::{EntityId, MemoryBatchItem, MemoryKind};

    use super::*;

    fn pending(line: usize, bytes: usize) -> PendingItem {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, "Rain.");
        let memory = item.into_memory(chrono::Utc::now()).unwrap();
        PendingItem::new(Location::Line(line), memory.into(), bytes)
    }

    #[test]
    fn what_waits_for_its_summary_has_a_limit() {
        let mut sources = PendingSources::default();
        let summary = MemoryId::new();
        let megabyte = 1 << 20;
        let mut kept = 0;
        let refusal = loop {
            match sources.add(summary, pending(kept + 1, megabyte)) {
                Ok(()) => kept += 1,
                Err(refusal) => break refusal,
            }
        };
        assert_eq!(kept, 63, "of a little more than a megabyte each");
        assert_eq!(refusal.location, Location::Line(64));
        let message = &refusal.message;
        assert!(
            message.contains("without max_memories_per_entity"),
            "{message}"
        );
        // When the summary comes, there is room again.
        let key = (EntityId::from("mira"), summary);
        assert_eq!(sources.take(&key).len(), 63);
        assert_eq!(sources.bytes, 0);
        assert!(sources.add(summary, pending(65, megabyte)).is_ok());
        assert_eq!(sources.take_orphans().len(), 1);
        assert_eq!(sources.bytes, 0);
    }
}
