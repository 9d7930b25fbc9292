//! Group commit: inserts that wait for the connection share a transaction, and
//! with it the dozen statements of an insert. While the log is flushed for one group
//! (see `log_flush`), the next is written.
//!
//! An insert that fails in a shared transaction is run again by itself, and so
//! are the others, so that each gets the outcome that it would have had alone.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use memory_core::{
    EmbeddedMemory, EntityId, ErrorKind, InsertOptions, InsertOutcome, MemoryResult, PendingWork,
    WorkPermit,
};
use tokio::sync::oneshot;

use crate::connections::blocking::drive;
use crate::connections::transaction::{Session, Transaction};
use crate::connections::writer::{Committed, Writer};
use crate::operations::insert::Insert;
use crate::wal::own_commits::Origin;

/// Maximum number of memories of a shared transaction: beyond it a flush to disk is a small
/// part of the time, and each caller waits for all.
const MAX_MEMORIES: usize = 512;

/// Inserts that wait for the connection.
#[derive(Debug, Default)]
pub(crate) struct InsertQueue(PendingWork<VecDeque<Waiting>>);

/// The right to run them.
type Permit = WorkPermit<VecDeque<Waiting>>;

#[derive(Debug)]
pub(crate) struct Waiting {
    insert: Insert,
    origin: Origin,
    since: Instant,
    answer: oneshot::Sender<MemoryResult<InsertOutcome>>,
}

impl InsertQueue {
    /// Adds an insert. Returns where its outcome will be, and the permit where the caller
    /// has to start [`run_all`]. Where that is dropped, its callers are told.
    pub(crate) fn push(
        &self,
        insert: Insert,
        origin: Origin,
    ) -> (
        oneshot::Receiver<MemoryResult<InsertOutcome>>,
        Option<Permit>,
    ) {
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting {
            insert,
            origin,
            since: Instant::now(),
            answer,
        };
        (outcome, self.0.add(|queue| queue.push_back(waiting)))
    }
}

/// Runs inserts until none waits.
pub(crate) async fn run_all(mut permit: Permit, writer: Writer) {
    loop {
        // Before the group is taken, so that inserts can join it meanwhile.
        let session = match writer.acquire(Insert::OPERATION).await {
            Ok(session) => session,
            Err(error) => {
                let Some((same, group)) = permit.take(take_group) else {
                    return;
                };
                permit = same;
                answer_all(group, Err(error));
                continue;
            }
        };
        match drive(run_groups(writer.clone(), session, permit)).await {
            Ok(Some(same)) => permit = same,
            _ => return,
        }
    }
}

/// Takes the first insert and those after it that can share its transaction:
/// in the order of the queue, up to the first that cannot. `None` where none waits.
///
/// Each entity occurs in one of them only: the generation that a caller gets is
/// that of its own write alone.
fn take_group(waiting: &mut VecDeque<Waiting>) -> Option<Vec<Waiting>> {
    let mut group: Vec<Waiting> = Vec::new();
    let (mut entities, mut memories) = (BTreeSet::new(), 0);
    while let Some(next) = waiting.front() {
        let insert = &next.insert;
        let names: BTreeSet<EntityId> = insert.entities().cloned().collect();
        let total = memories + insert.batch.len();
        if let Some(first) = group.first()
            && (total > MAX_MEMORIES
                || insert.options.max_memories != first.insert.options.max_memories
                || !entities.is_disjoint(&names))
        {
            break;
        }
        memories = total;
        entities.extend(names);
        group.extend(waiting.pop_front());
    }
    (!group.is_empty()).then_some(group)
}

/// Runs groups until none waits, or until another call waits for the connection:
/// returning it and waiting for it again takes about as long as a small group.
async fn run_groups(writer: Writer, mut session: Session, mut permit: Permit) -> Option<Permit> {
    loop {
        let (same, group) = permit.take(take_group)?;
        permit = same;
        let group = refuse_some(&writer, group);
        if group.is_empty() {
            continue;
        }
        run_group(&writer, &mut session, group).await;
        writer.schedule_checkpoint();
        if writer.is_awaited() {
            return Some(permit);
        }
    }
}

/// Refuses those who have waited long enough for the lock of another process, and returns the
/// others.
fn refuse_some(writer: &Writer, group: Vec<Waiting>) -> Vec<Waiting> {
    let group =
        group.into_iter().filter_map(
            |one| match writer.check_wait(Insert::OPERATION, one.since) {
                Ok(()) => Some(one),
                Err(error) => {
                    answer_all(vec![one], Err(error));
                    None
                }
            },
        );
    group.collect()
}

async fn run_group(writer: &Writer, session: &mut Session, group: Vec<Waiting>) {
    let origins = group.iter().map(|one| &one.origin);
    let origin = origins.fold(Origin::Upkeep, Origin::merge);
    let merged = merge(&group);
    let committed = match run_at_once(writer, session, &merged, &origin).await {
        Ok(Some(committed)) => Ok(committed),
        Ok(None) if group.len() > 1 => writer.run(session, merged, &origin).await,
        Ok(None) => {
            for one in group {
                run_alone(writer, session, one).await;
            }
            return;
        }
        Err(error) => Err(error),
    };
    match committed {
        Ok(committed) => {
            let answer = move |outcome| answer_all(group, outcome);
            writer.when_flushed(Insert::OPERATION, committed, answer);
        }
        Err(error) if group.len() == 1 || !can_run_again(error.kind()) => {
            group.iter().for_each(|one| one.insert.forget_known());
            answer_all(group, Err(error));
        }
        // Nothing was written.
        Err(_) => {
            for one in group {
                run_alone(writer, session, one).await;
            }
        }
    }
}

/// Whether the inserts of a group that failed can run alone: nothing was written, and
/// no caller would wait for the whole busy timeout once more.
fn can_run_again(error: ErrorKind) -> bool {
    !matches!(error, ErrorKind::OutcomeUnknown | ErrorKind::Unavailable)
}

/// Runs an insert in one call of the driver; `None` where that is not possible, and then
/// nothing was written.
async fn run_at_once(
    writer: &Writer,
    session: &mut Session,
    insert: &Insert,
    origin: &Origin,
) -> MemoryResult<Option<Committed<InsertOutcome>>> {
    let Some(known) = &insert.known else {
        return Ok(None);
    };
    let plan = known.plan(insert);
    let Some((quick, outcome)) = plan.map_err(|error| error.into_error(Insert::OPERATION))? else {
        return Ok(None);
    };
    let Some(committed) = writer.run_at_once(session, quick, origin).await? else {
        // The insert in steps learns what is so now.
        return Ok(None);
    };
    let (deltas, committed) = committed.replace(outcome);
    known.inserted(insert, &deltas);
    Ok(Some(committed))
}

async fn run_alone(writer: &Writer, session: &mut Session, one: Waiting) {
    let insert = one.insert.clone();
    let answer = |outcome| {
        // The caller may have dropped its future.
        let _ = one.answer.send(outcome);
    };
    match writer.run(session, one.insert, &one.origin).await {
        Ok(committed) => writer.when_flushed(Insert::OPERATION, committed, answer),
        Err(error) => {
            insert.forget_known();
            answer(Err(error));
        }
    }
}

/// Gives each insert of a group its part of the outcome.
fn answer_all(group: Vec<Waiting>, outcome: MemoryResult<InsertOutcome>) {
    match outcome {
        Ok(mut outcome) => {
            for one in group {
                let own = split_off(&mut outcome, &one.insert);
                let _ = one.answer.send(Ok(own));
            }
        }
        Err(error) => {
            for one in group {
                let _ = one.answer.send(Err(error.clone()));
            }
        }
    }
}

/// One insert with the batches of all.
fn merge(group: &[Waiting]) -> Insert {
    if let [one] = group {
        return one.insert.clone();
    }
    let inserts = || group.iter().map(|one| &one.insert);
    let batch: Vec<EmbeddedMemory> = inserts()
        .flat_map(|insert| insert.batch.iter().cloned())
        .collect();
    let options = InsertOptions {
        max_memories: inserts()
            .next()
            .and_then(|first| first.options.max_memories),
        evict: inserts()
            .flat_map(|insert| insert.options.evict.clone())
            .collect(),
    };
    Insert {
        batch: batch.into(),
        options,
        // All are of one store.
        language: group.first().and_then(|first| first.insert.language),
        known: group.first().and_then(|first| first.insert.known.clone()),
    }
}

/// Takes an insert's part from the front of a merged outcome.
fn split_off(merged: &mut InsertOutcome, insert: &Insert) -> InsertOutcome {
    let rest = merged.inserted.split_off(insert.batch.len());
    let inserted = std::mem::replace(&mut merged.inserted, rest);
    let names = || insert.entities();
    let generations = names()
        .filter_map(|name| merged.generations.remove_entry(name))
        .collect();
    let evicted = names()
        .filter_map(|name| merged.evicted.remove_entry(name))
        .collect();
    InsertOutcome::new(inserted, generations).evicted(evicted)
}

#[cfg(test)]
mod tests {
    use memory_core::{Embedding, Generation, MemoryBatchItem, MemoryKind};

    use super::*;

    fn waiting(entity: &str, memories: usize, max_memories: Option<u64>) -> Waiting {
        let item = MemoryBatchItem::new(entity, MemoryKind::World, "the mill is closed");
        let one = EmbeddedMemory {
            memory: item.into_memory(chrono::Utc::now()).unwrap(),
            embedding: Embedding {
                fingerprint: "model".into(),
                vectors: vec![vec![1.0]],
            },
        };
        Waiting {
            insert: Insert {
                batch: vec![one; memories].into(),
                options: InsertOptions {
                    max_memories,
                    ..InsertOptions::default()
                },
                language: None,
                known: None,
            },
            origin: Origin::default(),
            since: Instant::now(),
            answer: oneshot::channel().0,
        }
    }

    #[test]
    fn a_group_has_each_entity_once_one_limit_and_few_memories() {
        let mut queue = VecDeque::from([
            waiting("mira", 1, None),
            waiting("otto", 2, None),
            waiting("mira", 1, None),
            waiting("vera", 1, Some(10)),
            waiting("otto", 300, Some(10)),
            waiting("anna", 300, Some(10)),
            waiting("paul", 1_000, Some(10)),
        ]);
        let mut groups: Vec<Vec<usize>> = Vec::new();
        while let Some(group) = take_group(&mut queue) {
            groups.push(group.iter().map(|one| one.insert.batch.len()).collect());
        }
        let wanted: Vec<Vec<usize>> =
            vec![vec![1, 2], vec![1], vec![1, 300], vec![300], vec![1_000]];
        assert_eq!(groups, wanted);
    }

    #[test]
    fn a_merged_outcome_is_split_by_caller() {
        let (mira, otto) = (EntityId::from("mira"), EntityId::from("otto"));
        let group = [waiting("mira", 2, None), waiting("otto", 1, None)];
        assert_eq!(merge(&group).batch.len(), 3);
        let mut merged = InsertOutcome::new(
            vec![true, false, true],
            [(mira.clone(), Generation(7)), (otto.clone(), Generation(3))].into(),
        );
        let first = split_off(&mut merged, &group[0].insert);
        let own = InsertOutcome::new(vec![true, false], [(mira, Generation(7))].into());
        assert_eq!(first, own);
        let second = split_off(&mut merged, &group[1].insert);
        let own = InsertOutcome::new(vec![true], [(otto, Generation(3))].into());
        assert_eq!(second, own);
    }
}
