//! Lines that are embedded and written at once, each with its own outcome.
//!
//! The system retains a batch whole or not at all. So what would have a batch
//! refused is found first and taken out by its line; should the store refuse
//! all the same (another process wrote meanwhile), the line that it names goes
//! and the others are tried again.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

use memory::{EntityId, Memory, MemoryError, MemoryId, MemoryResult, MemorySystem};

use super::tally::Refusal;
use crate::exit::Failure;
use crate::jsonl::MAX_LINE_BYTES;

/// The most bytes of lines that a batch holds, whatever their number.
const MAX_BYTES: usize = MAX_LINE_BYTES;

/// Which memory of whom.
pub(super) type Key = (EntityId, MemoryId);

/// A memory that waits to be written, and the line it came from.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    line: usize,
    memory: Memory,
}

impl Pending {
    pub(super) fn new(line: usize, memory: Memory) -> Self {
        Self { line, memory }
    }

    pub(super) fn key(&self) -> Key {
        (self.memory.entity_id.clone(), self.memory.id)
    }

    /// What becomes of it where its id stands already with this content.
    fn against(&self, content: &str, taken_by: &str) -> Outcome {
        if self.memory.content == content {
            return Outcome::AlreadyThere;
        }
        Outcome::Refused(Refusal::conflict(
            self.line,
            format!(
                "its id {} is taken by {taken_by} with other content",
                self.memory.id
            ),
        ))
    }
}

/// What became of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Imported,
    AlreadyThere,
    Refused(Refusal),
}

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Settled {
    /// One for each line whose fate is known, in no order.
    pub(super) outcomes: Vec<Outcome>,
    /// Those that are not in.
    pub(super) refused: Vec<Key>,
    /// Why the rest was not written, if it was not.
    pub(super) end: Result<(), Failure>,
}

#[derive(Debug)]
pub(super) struct Batch {
    most: NonZeroUsize,
    pending: Vec<Pending>,
    by_id: HashMap<Key, usize>,
    bytes: usize,
}

impl Batch {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        Self {
            most,
            pending: Vec::new(),
            by_id: HashMap::new(),
            bytes: 0,
        }
    }

    /// Takes a line in, or says what becomes of it because of a line before.
    pub(super) fn add(&mut self, pending: Pending, bytes: usize) -> Option<Outcome> {
        let key = pending.key();
        if let Some(before) = self.by_id.get(&key).and_then(|&at| self.pending.get(at)) {
            let taken_by = format!("line {}", before.line);
            return Some(pending.against(&before.memory.content, &taken_by));
        }
        self.by_id.insert(key, self.pending.len());
        self.pending.push(pending);
        self.bytes += bytes;
        None
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= self.most.get() || self.bytes >= MAX_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn holds(&self, key: &Key) -> bool {
        self.by_id.contains_key(key)
    }

    /// This batch, and an empty one in its place.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self::new(self.most);
        std::mem::replace(self, empty)
    }

    /// Writes what is not there yet.
    pub(super) async fn run_pending_tasks(&self, system: &MemorySystem) -> Settled {
        let mut settled = Settled {
            outcomes: Vec::with_capacity(self.pending.len()),
            refused: Vec::new(),
            end: Ok(()),
        };
        settled.end = write(system, &self.pending, &mut settled)
            .await
            .map_err(Failure::from);
        settled
    }
}

impl Settled {
    fn tell(&mut self, pending: &Pending, outcome: Outcome) {
        if matches!(outcome, Outcome::Refused(_)) {
            self.refused.push(pending.key());
        }
        self.outcomes.push(outcome);
    }
}

async fn write(
    system: &MemorySystem,
    pending: &[Pending],
    settled: &mut Settled,
) -> MemoryResult<()> {
    let mut fresh = not_held(system, pending, settled).await?;
    while !fresh.is_empty() {
        let memories = fresh.iter().map(|pending| pending.memory.clone()).collect();
        let Err(error) = system.restore_memories(memories).await else {
            let imported = fresh.iter().map(|_| Outcome::Imported);
            settled.outcomes.extend(imported);
            break;
        };
        let Some(at) = culprit(&fresh, &error) else {
            return Err(error);
        };
        let culprit = fresh.swap_remove(at);
        let refusal = Refusal::from_error(culprit.line, &error);
        settled.tell(culprit, Outcome::Refused(refusal));
    }
    Ok(())
}

/// Those that the store has not got yet; what becomes of the others is known.
async fn not_held<'a>(
    system: &MemorySystem,
    pending: &'a [Pending],
    settled: &mut Settled,
) -> MemoryResult<Vec<&'a Pending>> {
    let mut by_entity: BTreeMap<EntityId, Vec<&Pending>> = BTreeMap::new();
    for pending in pending {
        by_entity
            .entry(pending.memory.entity_id.clone())
            .or_default()
            .push(pending);
    }
    let mut fresh = Vec::new();
    for (entity, pending) in by_entity {
        let ids: Vec<MemoryId> = pending.iter().map(|pending| pending.memory.id).collect();
        let held = system.get_memories(&entity, &ids).await?;
        for (pending, held) in pending.into_iter().zip(held) {
            match held {
                Some(held) => {
                    let outcome = pending.against(&held.content, "a memory");
                    settled.tell(pending, outcome);
                }
                None => fresh.push(pending),
            }
        }
    }
    Ok(fresh)
}

/// The one because of which a batch was refused, where the error names one.
fn culprit(fresh: &[&Pending], error: &MemoryError) -> Option<usize> {
    match error {
        MemoryError::InvalidInput { item, .. } => item.filter(|&at| at < fresh.len()),
        MemoryError::Conflict { entity, id } => fresh
            .iter()
            .position(|pending| pending.memory.id == *id && pending.memory.entity_id == *entity),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use memory::{InvalidInput, MemoryBatchItem, MemoryKind};

    use super::*;

    fn pending(line: usize, id: MemoryId, content: &str) -> Pending {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, content).with_id(id);
        Pending::new(line, item.into_memory(chrono::Utc::now()).unwrap())
    }

    fn batch(most: usize) -> Batch {
        Batch::new(NonZeroUsize::new(most).unwrap())
    }

    #[test]
    fn an_id_twice_in_a_batch_is_told_by_its_line() {
        let (mut batch, id) = (batch(10), MemoryId::new());
        assert_eq!(batch.add(pending(1, id, "Rain."), 10), None);
        assert_eq!(
            batch.add(pending(2, id, "Rain."), 10),
            Some(Outcome::AlreadyThere)
        );
        let Some(Outcome::Refused(refusal)) = batch.add(pending(3, id, "Sun."), 10) else {
            panic!("the id is taken");
        };
        let told = refusal.told(false);
        assert!(told.contains("line 3") && told.contains("line 1"), "{told}");

        let mut elsewhere = pending(4, id, "Sun.");
        elsewhere.memory.entity_id = "tam".into();
        assert_eq!(
            batch.add(elsewhere, 10),
            None,
            "another entity's id is its own"
        );
    }

    #[test]
    fn a_batch_is_full_by_number_or_by_size() {
        let mut by_number = batch(2);
        assert!(!by_number.is_full());
        by_number.add(pending(1, MemoryId::new(), "a"), 1);
        by_number.add(pending(2, MemoryId::new(), "b"), 1);
        assert!(by_number.is_full());
        let mut by_size = batch(2);
        by_size.add(pending(1, MemoryId::new(), "a"), MAX_BYTES);
        assert!(by_size.is_full());
    }

    #[test]
    fn the_store_names_who_had_a_batch_refused() {
        let id = MemoryId::new();
        let fresh = [pending(7, MemoryId::new(), "a"), pending(8, id, "b")];
        let fresh: Vec<&Pending> = fresh.iter().collect();
        let entity = "mira".into();
        assert_eq!(
            culprit(&fresh, &MemoryError::Conflict { entity, id }),
            Some(1)
        );
        let blank = MemoryError::from(InvalidInput::EmptyContent);
        assert_eq!(culprit(&fresh, &blank.clone().with_item(0)), Some(0));
        assert_eq!(culprit(&fresh, &blank), None, "it names nobody");
        assert_eq!(culprit(&fresh, &MemoryError::configuration("x")), None);
    }
}
