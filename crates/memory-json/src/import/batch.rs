//! Batches of lines that are embedded and written together, with an outcome for
//! each line.
//!
//! A batch is stored completely or not at all, so lines that would cause a
//! refusal are removed first. If the store still refuses (another process wrote
//! in between), the line that it names is removed and the others are retried. Where an
//! entity is full, the last of its lines are removed.
//!
//! A line whose id a line before it has is written after that one: whether it is there
//! already depends on whether the earlier line was stored.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;

use memory::{EntityId, ErrorKind, MemoryError, MemoryId, MemoryResult, MemorySystem, RestoreItem};
use tokio::task::JoinHandle;

use super::ItemOutcome;
use super::location::Location;
use super::refusal::Refusal;
use crate::reader::MAX_LINE_BYTES;

/// The size of a batch in bytes of lines, whatever their number.
const MAX_BATCH_BYTES: usize = MAX_LINE_BYTES;

/// A memory of an entity.
pub(super) type Key = (EntityId, MemoryId);

/// A memory to be written, and where it was read.
#[derive(Debug, Clone)]
pub(super) struct PendingItem {
    pub(super) location: Location,
    pub(super) item: RestoreItem,
    /// Its size in the input.
    pub(super) bytes: usize,
}

impl PendingItem {
    pub(super) fn new(location: Location, item: RestoreItem, bytes: usize) -> Self {
        Self {
            location,
            item,
            bytes,
        }
    }

    pub(super) fn key(&self) -> Key {
        (self.item.memory.entity_id.clone(), self.item.memory.id)
    }

    /// The outcome where the id already belongs to a memory with this content.
    pub(super) fn compare_existing(&self, content: &str, owner: &str) -> ItemOutcome {
        if self.item.memory.content == content {
            return ItemOutcome::AlreadyThere;
        }
        ItemOutcome::Refused(Refusal::conflict(
            self.location.clone(),
            format!(
                "id {} already belongs to {owner} with other content",
                self.item.memory.id
            ),
        ))
    }
}

/// The outcome of a batch.
#[derive(Debug)]
pub(super) struct BatchResult {
    /// One for each line whose outcome is known, in no order.
    pub(super) outcomes: Vec<ItemOutcome>,
    /// The memories that were refused.
    pub(super) refused: Vec<Key>,
    /// Why the other lines were not written, if they were not.
    pub(super) result: MemoryResult<()>,
}

#[derive(Debug)]
pub(super) struct Batch {
    max_len: NonZeroUsize,
    pending: Vec<PendingItem>,
    keys: HashSet<Key>,
    bytes: usize,
}

impl Batch {
    pub(super) fn new(max_len: NonZeroUsize) -> Self {
        Self {
            max_len,
            pending: Vec::new(),
            keys: HashSet::new(),
            bytes: 0,
        }
    }

    /// Adds a line.
    pub(super) fn add(&mut self, pending: PendingItem) {
        self.keys.insert(pending.key());
        self.bytes += pending.bytes;
        self.pending.push(pending);
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= self.max_len.get() || self.bytes >= MAX_BATCH_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// Takes this batch, leaving an empty one.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self::new(self.max_len);
        std::mem::replace(self, empty)
    }

    /// Writes the memories that are not stored yet.
    async fn write(&self, system: &MemorySystem) -> BatchResult {
        let mut batch_result = BatchResult {
            outcomes: Vec::with_capacity(self.pending.len()),
            refused: Vec::new(),
            result: Ok(()),
        };
        let mut written = Written::new();
        let mut rest: Vec<&PendingItem> = self.pending.iter().collect();
        while !rest.is_empty() && batch_result.result.is_ok() {
            let mut keys = HashSet::new();
            let is_first = |pending: &&PendingItem| keys.insert(pending.key());
            let (first, later) = rest.into_iter().partition::<Vec<_>, _>(is_first);
            batch_result.result = write_new(system, &first, &mut written, &mut batch_result).await;
            rest = later;
        }
        batch_result
    }
}

impl BatchResult {
    fn record(&mut self, pending: &PendingItem, outcome: ItemOutcome) {
        if matches!(outcome, ItemOutcome::Refused(_)) {
            self.refused.push(pending.key());
        }
        self.outcomes.push(outcome);
    }
}

/// The number of batches in flight; each is held in memory completely.
const MAX_IN_FLIGHT: usize = 2;

/// Batches in flight: one is embedded while the one before it is written.
pub(super) struct InFlight(VecDeque<(Arc<Batch>, JoinHandle<BatchResult>)>);

impl InFlight {
    pub(super) fn new() -> Self {
        Self(VecDeque::with_capacity(MAX_IN_FLIGHT))
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_IN_FLIGHT
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a batch in flight contains this memory.
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.0.iter().any(|(batch, _)| batch.contains(key))
    }

    /// The number of memories in flight.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(batch, _)| batch.pending.len()).sum()
    }

    pub(super) fn start(&mut self, batch: Batch, system: &MemorySystem) {
        let (batch, system) = (Arc::new(batch), system.clone());
        let task_batch = Arc::clone(&batch);
        let task = tokio::spawn(async move { task_batch.write(&system).await });
        self.0.push_back((batch, task));
    }

    /// Waits for the batch that was started first; cancel-safe.
    pub(super) async fn finish_oldest(&mut self) -> MemoryResult<Option<BatchResult>> {
        let Some((_, task)) = self.0.front_mut() else {
            return Ok(None);
        };
        let joined = task.await;
        self.0.pop_front();
        let ended =
            |_| MemoryError::store(ErrorKind::Other, "import", "a batch's task ended early");
        joined.map(Some).map_err(ended)
    }
}

/// Where the memories are that were written from a batch.
type Written<'a> = HashMap<Key, &'a Location>;

/// Writes the lines whose memory is not stored yet; no two have the same id.
async fn write_new<'a>(
    system: &MemorySystem,
    pending: &[&'a PendingItem],
    written: &mut Written<'a>,
    result: &mut BatchResult,
) -> MemoryResult<()> {
    let mut fresh = find_new(system, pending, written, result).await?;
    while !fresh.is_empty() {
        let items: Vec<_> = fresh.iter().map(|pending| pending.item.clone()).collect();
        let Err(error) = system.restore_memories(items).await else {
            let imported = fresh.iter().map(|_| ItemOutcome::Imported);
            result.outcomes.extend(imported);
            written.extend(fresh.iter().map(|it| (it.key(), &it.location)));
            break;
        };
        let rejected = rejected_indices(&fresh, &error);
        if rejected.is_empty() {
            return Err(error);
        }
        // From the last on, so that the indices before it stay.
        for index in rejected.into_iter().rev() {
            let rejected = fresh.remove(index);
            let refusal = Refusal::from_error(rejected.location.clone(), &error);
            result.record(rejected, ItemOutcome::Refused(refusal));
        }
    }
    Ok(())
}

/// Finds the lines whose memory is not stored yet and records the outcome of
/// the others.
async fn find_new<'a>(
    system: &MemorySystem,
    pending: &[&'a PendingItem],
    written: &Written<'_>,
    result: &mut BatchResult,
) -> MemoryResult<Vec<&'a PendingItem>> {
    let mut by_entity: BTreeMap<EntityId, Vec<&'a PendingItem>> = BTreeMap::new();
    for &pending in pending {
        by_entity
            .entry(pending.item.memory.entity_id.clone())
            .or_default()
            .push(pending);
    }
    let mut fresh = Vec::new();
    for (entity, pending) in by_entity {
        let ids: Vec<MemoryId> = pending
            .iter()
            .map(|pending| pending.item.memory.id)
            .collect();
        let existing = system.get_memories(&entity, ids).await?;
        for (pending, existing) in pending.into_iter().zip(existing) {
            match existing {
                Some(existing) => {
                    let owner = written.get(&pending.key());
                    let owner = owner.map_or("a memory".to_owned(), ToString::to_string);
                    let outcome = pending.compare_existing(&existing.content, &owner);
                    result.record(pending, outcome);
                }
                None => fresh.push(pending),
            }
        }
    }
    Ok(fresh)
}

/// The indices of the lines that caused a refusal, ascending, where the error tells: the one
/// that it names, or the last of an entity that are too many.
fn rejected_indices(fresh: &[&PendingItem], error: &MemoryError) -> Vec<usize> {
    let of = |entity: &EntityId| {
        let indexed = fresh.iter().enumerate();
        let own = indexed.filter(|(_, it)| it.item.memory.entity_id == *entity);
        own.collect::<Vec<_>>()
    };
    match error {
        MemoryError::InvalidInput { item, .. } => {
            let item = item.filter(|&index| index < fresh.len());
            item.into_iter().collect()
        }
        MemoryError::Conflict { entity, id } => {
            let own = of(entity).into_iter();
            let named = own.filter(|(_, pending)| pending.item.memory.id == *id);
            named.map(|(index, _)| index).take(1).collect()
        }
        MemoryError::LimitReached { entity, count, max } => {
            let own = of(entity);
            let excess = usize::try_from(count.saturating_sub(*max)).unwrap_or(usize::MAX);
            let kept = own.len().saturating_sub(excess.max(1));
            own.into_iter().skip(kept).map(|(index, _)| index).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use memory::{InvalidInput, MemoryBatchItem, MemoryKind};

    use super::*;

    fn pending(line: usize, id: MemoryId, content: &str) -> PendingItem {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, content).with_id(id);
        let memory = item.into_memory(chrono::Utc::now()).unwrap();
        PendingItem::new(Location::Line(line), memory.into(), 1)
    }

    fn batch(max_len: usize) -> Batch {
        Batch::new(NonZeroUsize::new(max_len).unwrap())
    }

    #[test]
    fn batch_is_full_by_count_or_by_size() {
        let mut by_number = batch(2);
        assert!(!by_number.is_full());
        by_number.add(pending(1, MemoryId::new(), "a"));
        by_number.add(pending(2, MemoryId::new(), "b"));
        assert!(by_number.is_full());
        let mut by_size = batch(2);
        let mut large = pending(1, MemoryId::new(), "a");
        large.bytes = MAX_BATCH_BYTES;
        by_size.add(large);
        assert!(by_size.is_full());
    }

    #[test]
    fn rejected_indices_follow_the_error() {
        let id = MemoryId::new();
        let fresh = [pending(7, MemoryId::new(), "a"), pending(8, id, "b")];
        let fresh: Vec<&PendingItem> = fresh.iter().collect();
        let entity = "mira".into();
        assert_eq!(
            rejected_indices(&fresh, &MemoryError::Conflict { entity, id }),
            [1]
        );
        let blank = MemoryError::from(InvalidInput::EmptyContent);
        assert_eq!(rejected_indices(&fresh, &blank.clone().with_item(0)), [0]);
        for error in [blank, MemoryError::configuration("x")] {
            let rejected = rejected_indices(&fresh, &error);
            assert!(rejected.is_empty(), "the error names no line: {error}");
        }
        for (entity, count, expected) in [
            ("mira", 3, vec![1]),
            ("mira", 4, vec![0, 1]),
            ("mira", 9, vec![0, 1]),
            ("tam", 9, vec![]),
        ] {
            let entity = entity.into();
            let full = MemoryError::LimitReached {
                entity,
                count,
                max: 2,
            };
            assert_eq!(rejected_indices(&fresh, &full), expected);
        }
    }
}
