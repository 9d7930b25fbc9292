//! Tests of the checks: each detects what breaks its rule, and nothing else.

use std::collections::BTreeMap;

use super::checker::{Checker, Finding, Rule, StoredMemory};
use super::content::{Class, MemoryNumber};
use super::event::{Answer, Change, Entry, Event, Micros, Outcome, Problem, Query, Read};
use super::plan::Plan;

/// Operations of a run.
#[derive(Default)]
struct Story(Vec<Entry>);

const ENTITY: u32 = 3;

fn unique(counter: u32) -> MemoryNumber {
    MemoryNumber::new(1, counter, Class::Unique)
}

impl Story {
    fn add(&mut self, process: u16, event: Event) -> &mut Self {
        self.0.push(Entry { process, event });
        self
    }

    fn begin(&mut self, process: u16, operation: u64, at: Micros, change: Change) -> &mut Self {
        let began = Event::Began {
            operation,
            at,
            change,
        };
        self.add(process, began)
    }

    fn end(&mut self, process: u16, operation: u64, at: Micros, outcome: Outcome) -> &mut Self {
        let ended = Event::Ended {
            operation,
            at,
            outcome,
        };
        self.add(process, ended)
    }

    /// Process 1 retains memories from 10 to 20.
    fn retain(&mut self, memories: &[MemoryNumber], outcome: Outcome) -> &mut Self {
        let change = Change::Retain {
            entity: ENTITY,
            timestamp: 1_000,
            memories: memories.to_vec(),
            is_embedded: true,
        };
        let operation = self.0.len() as u64;
        self.begin(1, operation, 10, change)
            .end(1, operation, 20, outcome)
    }

    /// Process 2 forgets a memory from 30 to 40.
    fn forget(&mut self, memory: MemoryNumber, outcome: Outcome) -> &mut Self {
        let change = Change::Forget {
            entity: ENTITY,
            memory,
        };
        let operation = self.0.len() as u64;
        self.begin(2, operation, 30, change)
            .end(2, operation, 40, outcome)
    }

    fn read(
        &mut self,
        process: u16,
        (began, ended): (Micros, Micros),
        query: Query,
        memories: &[MemoryNumber],
    ) -> &mut Self {
        let answer = Answer {
            memories: memories.to_vec(),
            complete_after: 500,
            wrong_texts: 0,
        };
        self.add(
            process,
            Event::Read(Read {
                entity: ENTITY,
                query,
                began,
                ended,
                answer: Ok(answer),
            }),
        )
    }

    /// The rules that are broken by the events.
    fn broken(&self) -> Vec<Rule> {
        broken(Checker::new(&self.0, &[(100, 200)]).findings())
    }

    /// The rules that are broken if the store has these memories at the end.
    fn broken_with(&self, stored: &[MemoryNumber]) -> Vec<Rule> {
        let stored: Vec<StoredMemory> = stored.iter().map(|memory| in_store(*memory)).collect();
        self.broken_with_stored(&stored)
    }

    fn broken_with_stored(&self, stored: &[StoredMemory]) -> Vec<Rule> {
        let mut checker = Checker::new(&self.0, &[]);
        checker.check_entity(&plan(0), ENTITY, stored);
        checker.check_batches();
        broken(checker.findings())
    }
}

pub(super) fn plan(memories_per_entity: u32) -> Plan {
    Plan {
        seconds: 1.0,
        entities: 20,
        memories_per_entity,
    }
}

fn in_store(memory: MemoryNumber) -> StoredMemory {
    StoredMemory {
        memory: Some(memory),
        is_archived: false,
        is_summary: false,
        has_own_text: true,
    }
}

pub(super) fn broken(findings: BTreeMap<Rule, Finding>) -> Vec<Rule> {
    let broken = findings
        .into_iter()
        .filter(|(_, finding)| finding.broken > 0);
    broken.map(|(rule, _)| rule).collect()
}

fn done() -> Outcome {
    Outcome::Done {
        removed: Vec::new(),
    }
}

#[test]
fn an_acknowledged_memory_must_be_there_and_a_refused_one_must_not() {
    let memory = unique(1);
    let mut story = Story::default();
    story.retain(&[memory], done());
    assert_eq!(story.broken_with(&[memory]), []);
    assert_eq!(story.broken_with(&[]), [Rule::AcknowledgedIsThere]);

    let mut story = Story::default();
    story.retain(&[memory], Outcome::Failed);
    assert_eq!(story.broken_with(&[]), []);
    assert_eq!(story.broken_with(&[memory]), [Rule::ForgottenIsGone]);

    let mut story = Story::default();
    story.retain(&[memory], Outcome::Unknown);
    assert_eq!(story.broken_with(&[]), []);
    assert_eq!(story.broken_with(&[memory]), []);
    // Nobody retained this one.
    let other = story.broken_with(&[memory, unique(2)]);
    assert_eq!(other, [Rule::ForgottenIsGone]);
}

#[test]
fn what_was_there_before_the_run_must_be_there() {
    let plan = plan(2);
    let all: Vec<StoredMemory> = plan.filled(ENTITY).map(in_store).collect();
    for (stored, expected) in [
        (&all[..], &[][..]),
        (&all[..1], &[Rule::AcknowledgedIsThere]),
    ] {
        let mut checker = Checker::new(&[], &[]);
        checker.check_entity(&plan, ENTITY, stored);
        assert_eq!(broken(checker.findings()), expected);
    }
    let mut story = Story::default();
    story.forget(plan.filled(ENTITY).next().unwrap(), done());
    let mut checker = Checker::new(&story.0, &[]);
    checker.check_entity(&plan, ENTITY, &all);
    assert_eq!(broken(checker.findings()), [Rule::ForgottenIsGone]);
}

#[test]
fn a_forgotten_memory_must_be_gone() {
    let memory = unique(1);
    let mut story = Story::default();
    story.retain(&[memory], done()).forget(memory, done());
    assert_eq!(story.broken_with(&[]), []);
    assert_eq!(story.broken_with(&[memory]), [Rule::ForgottenIsGone]);
    // Neither is wrong after a removal with an unknown outcome.
    let mut story = Story::default();
    story
        .retain(&[memory], done())
        .forget(memory, Outcome::Unknown);
    assert_eq!(story.broken_with(&[]), []);
    assert_eq!(story.broken_with(&[memory]), []);
    // A removal that was refused removes nothing.
    let mut story = Story::default();
    story
        .retain(&[memory], done())
        .forget(memory, Outcome::Failed);
    assert_eq!(story.broken_with(&[]), [Rule::AcknowledgedIsThere]);
}

#[test]
fn a_batch_is_there_as_a_whole_or_not_at_all() {
    let batch = [unique(1), unique(2), unique(3)];
    let mut story = Story::default();
    story.retain(&batch, Outcome::Unknown);
    assert_eq!(story.broken_with(&[]), []);
    assert_eq!(story.broken_with(&batch), []);
    assert_eq!(story.broken_with(&batch[..2]), [Rule::BatchIsWhole]);
    // One of them was forgotten.
    story.forget(batch[2], done());
    assert_eq!(story.broken_with(&batch[..2]), []);
}

#[test]
fn a_killed_process_leaves_its_last_change_open() {
    let memory = unique(1);
    let mut story = Story::default();
    let change = Change::Retain {
        entity: ENTITY,
        timestamp: 1,
        memories: vec![memory],
        is_embedded: true,
    };
    story.begin(1, 7, 10, change);
    assert_eq!(story.broken_with(&[]), []);
    assert_eq!(story.broken_with(&[memory]), []);
}

#[test]
fn texts_and_states_of_stored_memories_are_checked() {
    let memory = unique(1);
    let mut story = Story::default();
    story.retain(&[memory], done());
    let damaged = StoredMemory {
        has_own_text: false,
        ..in_store(memory)
    };
    assert_eq!(
        story.broken_with_stored(&[damaged]),
        [Rule::TextIsUnchanged]
    );
    let archived = StoredMemory {
        is_archived: true,
        ..in_store(memory)
    };
    let broken = story.broken_with_stored(&[archived]);
    assert_eq!(broken, [Rule::AcknowledgedIsThere]);
    let foreign = StoredMemory {
        memory: None,
        ..in_store(memory)
    };
    let broken = story.broken_with_stored(&[in_store(memory), foreign]);
    assert_eq!(broken, [Rule::ForgottenIsGone]);
}

#[test]
fn only_a_pruning_of_unknown_outcome_may_remove_faded_memories() {
    let (memory, faded) = (unique(1), MemoryNumber::new(1, 2, Class::Faded));
    let mut story = Story::default();
    story.retain(&[memory, faded], done());
    let prune = Change::Prune { entity: ENTITY };
    story.begin(2, 50, 50, prune.clone());
    assert_eq!(story.broken_with(&[memory]), []);
    assert_eq!(story.broken_with(&[faded]), [Rule::AcknowledgedIsThere]);
    story.end(2, 50, 60, done());
    let lost = [Rule::AcknowledgedIsThere, Rule::BatchIsWhole];
    assert_eq!(story.broken_with(&[memory]), lost);
    let removed = vec![faded];
    story.begin(2, 51, 70, prune);
    story.end(2, 51, 80, Outcome::Done { removed });
    assert_eq!(story.broken_with(&[memory]), []);
    assert_eq!(story.broken_with(&[memory, faded]), [Rule::ForgottenIsGone]);
}

#[test]
fn a_read_after_a_write_must_find_it() {
    let memory = unique(1);
    for query in [Query::Get { memory }, Query::Recall { memory }, Query::List] {
        for (time, expected) in [
            ((20, 25), &[Rule::ReadIsFresh][..]),
            // It began before the write was acknowledged.
            ((19, 25), &[]),
            ((1, 5), &[]),
        ] {
            let mut story = Story::default();
            story.retain(&[memory], done()).read(2, time, query, &[]);
            assert_eq!(story.broken(), expected, "{query:?} at {time:?}");
        }
        let mut story = Story::default();
        story
            .retain(&[memory], done())
            .read(2, (20, 25), query, &[memory]);
        assert_eq!(story.broken(), []);
        // It was being forgotten meanwhile.
        let mut story = Story::default();
        story.retain(&[memory], done()).forget(memory, done());
        story.read(2, (25, 35), query, &[]);
        assert_eq!(story.broken(), []);
    }
    // A page that ends before it.
    let mut story = Story::default();
    story
        .retain(&[memory], done())
        .read(2, (20, 25), Query::List, &[]);
    if let Some(Event::Read(Read { answer: Ok(it), .. })) =
        story.0.last_mut().map(|entry| &mut entry.event)
    {
        it.complete_after = 1_000;
    }
    assert_eq!(story.broken(), []);
}

#[test]
fn others_may_see_a_write_later_by_the_bound_and_the_writer_may_not() {
    let memory = unique(1);
    let query = Query::Get { memory };
    for (process, began, expected) in [
        (2, 119, &[][..]),
        (2, 120, &[Rule::ReadIsFresh]),
        (1, 20, &[Rule::ReadIsFresh]),
    ] {
        let mut story = Story::default();
        for process in [1, 2] {
            story.add(process, Event::Opened { bound: 100 });
        }
        story.retain(&[memory], done());
        story.read(process, (began, began + 5), query, &[]);
        assert_eq!(story.broken(), expected, "process {process} at {began}");
    }
}

#[test]
fn a_read_finds_nothing_that_is_forgotten_or_refused_or_not_written_yet() {
    let memory = unique(1);
    let query = Query::Recall { memory };
    let forbidden = [Rule::ReadHasNothingForgotten];
    let mut story = Story::default();
    story.retain(&[memory], done()).forget(memory, done());
    story.read(3, (39, 45), query, &[memory]);
    assert_eq!(story.broken(), []);
    story.read(3, (40, 45), query, &[memory]);
    assert_eq!(story.broken(), forbidden);

    let mut story = Story::default();
    story.retain(&[memory], Outcome::Failed);
    story.read(3, (40, 45), query, &[memory]);
    assert_eq!(story.broken(), forbidden);

    let mut story = Story::default();
    story
        .retain(&[memory], done())
        .read(3, (1, 9), query, &[memory]);
    assert_eq!(story.broken(), forbidden);
}

#[test]
fn errors_are_transient_and_only_during_an_outage() {
    let problem = |is_retryable| Problem {
        kind: "unavailable".to_owned(),
        is_retryable,
        message: String::new(),
    };
    for (at, is_retryable, expected) in [
        (150, true, &[][..]),
        (150, false, &[Rule::ErrorsAreTransient]),
        (300, true, &[Rule::ErrorsAreTransient]),
    ] {
        let failed = Event::AttemptFailed {
            operation: 1,
            at,
            problem: problem(is_retryable),
        };
        let mut story = Story::default();
        story.add(1, failed);
        assert_eq!(story.broken(), expected);
        let read = Event::Read(Read {
            entity: ENTITY,
            query: Query::List,
            began: at,
            ended: at,
            answer: Err(problem(is_retryable)),
        });
        let mut story = Story::default();
        story.add(1, read);
        assert_eq!(story.broken(), expected);
    }
}

#[test]
fn only_forgotten_texts_of_processes_that_were_closed_are_looked_up() {
    let memories = [1, 2, 3].map(unique);
    let mut story = Story::default();
    story.retain(&memories, done()).forget(memories[0], done());
    let texts = |story: &Story| Checker::new(&story.0, &[]).shared_texts(&story.0, 10);
    let [forgotten, mut kept] = texts(&story);
    assert_eq!(forgotten, []);
    kept.sort_unstable();
    assert_eq!(kept, memories[1..]);
    story.add(2, Event::Closed);
    assert_eq!(texts(&story)[0], memories[..1]);

    let mut checker = Checker::new(&story.0, &[]);
    checker.check_shared(memories[0], false);
    checker.check_standby("memory", true);
    assert_eq!(broken(checker.findings()), []);
    let mut checker = Checker::new(&story.0, &[]);
    checker.check_shared(memories[0], true);
    checker.check_standby("memory", false);
    let expected = [Rule::ForgottenIsNotShared, Rule::StandbyIsEqual];
    assert_eq!(broken(checker.findings()), expected);
}
