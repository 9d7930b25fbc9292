//! Checks what the processes saw, and what is left at the end, against what they were
//! acknowledged. Pure: it knows events and nothing else.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use memory::ErrorKind;
use serde::{Deserialize, Serialize};

use super::content::{Class, MemoryNumber};
use super::event::{Change, Entry, Event, Micros, Problem, Query, Read};
use super::history::{History, Presence};
use super::plan::Plan;

/// Violations of a rule that are described; the others are counted.
const MAX_DESCRIBED: usize = 10;

/// What the system promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// What was acknowledged is in the store at the end.
    AcknowledgedIsThere,
    /// What was forgotten, or never written, is not in the store at the end.
    ForgottenIsGone,
    /// A batch is there as a whole, or not at all.
    BatchIsWhole,
    /// Every text in the store, and every text that is read, is the one that was written.
    TextIsUnchanged,
    /// A read finds what it must see by its consistency.
    ReadIsFresh,
    /// A read finds nothing that is forgotten, or was never written.
    ReadHasNothingForgotten,
    /// Errors are transient, and there are none but while PostgreSQL is away.
    ErrorsAreTransient,
    /// No vector of a forgotten text is in the shared cache.
    ForgottenIsNotShared,
    /// The standby has what the primary has.
    StandbyIsEqual,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 9] = [
        Self::AcknowledgedIsThere,
        Self::ForgottenIsGone,
        Self::BatchIsWhole,
        Self::TextIsUnchanged,
        Self::ReadIsFresh,
        Self::ReadHasNothingForgotten,
        Self::ErrorsAreTransient,
        Self::ForgottenIsNotShared,
        Self::StandbyIsEqual,
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AcknowledgedIsThere => "an acknowledged memory is in the store",
            Self::ForgottenIsGone => "a forgotten or refused memory is not in the store",
            Self::BatchIsWhole => "a batch is there as a whole or not at all",
            Self::TextIsUnchanged => "a text is the one that was written",
            Self::ReadIsFresh => "a read is no staler than its consistency",
            Self::ReadHasNothingForgotten => "a read finds nothing forgotten or refused",
            Self::ErrorsAreTransient => {
                "an error is transient, and there are none but while PostgreSQL is away"
            }
            Self::ForgottenIsNotShared => "no vector of a forgotten text is in the shared cache",
            Self::StandbyIsEqual => "the standby has what the primary has",
        })
    }
}

/// What was checked of a rule, and what broke it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How often it was checked.
    pub checked: u64,
    /// How often it was broken.
    pub broken: u64,
    /// The first that broke it.
    pub described: Vec<String>,
}

/// A memory in the store at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredMemory {
    /// Which; `None` of one that the load did not retain.
    pub memory: Option<MemoryNumber>,
    /// Whether a summary represents it.
    pub is_archived: bool,
    /// Whether it represents archived memories.
    pub is_summary: bool,
    /// Whether its text is the one that was written.
    pub has_own_text: bool,
}

/// Checks a run.
#[derive(Debug)]
pub struct Checker {
    history: History,
    findings: BTreeMap<Rule, Finding>,
    stored: HashSet<MemoryNumber>,
}

impl Checker {
    /// Checks reads and errors. `outages` are the times at which PostgreSQL was away,
    /// until its clients have connected again.
    #[must_use]
    pub fn new(entries: &[Entry], outages: &[(Micros, Micros)]) -> Self {
        let mut checker = Self {
            history: History::new(entries),
            findings: Rule::ALL.map(|rule| (rule, Finding::default())).into(),
            stored: HashSet::new(),
        };
        let mut changes: HashMap<(u16, u64), (Micros, &Change)> = HashMap::new();
        for Entry { process, event } in entries {
            match event {
                Event::Began {
                    operation,
                    at,
                    change,
                } => {
                    changes.insert((*process, *operation), (*at, change));
                }
                Event::AttemptFailed {
                    operation,
                    at,
                    problem,
                } => {
                    let change = changes.get(&(*process, *operation));
                    let began = change.map_or(*at, |(began, _)| *began);
                    // Documented: others kept writing to the sources.
                    let is_changed = problem.is(ErrorKind::Changed)
                        && matches!(change, Some((_, Change::Consolidate { .. })));
                    if !is_changed {
                        let name = change.map_or("change", |(_, change)| change.name());
                        checker.check_error(name, (began, *at), problem, outages);
                    }
                }
                Event::Ended { .. } => checker.count(Rule::ErrorsAreTransient),
                Event::Read(read) => match &read.answer {
                    Ok(_) => {
                        checker.count(Rule::ErrorsAreTransient);
                        checker.check_read(*process, read);
                    }
                    Err(problem) => {
                        let time = (read.began, read.ended);
                        checker.check_error(read.query.name(), time, problem, outages);
                    }
                },
                _ => {}
            }
        }
        checker
    }

    fn count(&mut self, rule: Rule) {
        self.findings.entry(rule).or_default().checked += 1;
    }

    fn check(&mut self, rule: Rule, holds: bool, describe: impl FnOnce() -> String) {
        let finding = self.findings.entry(rule).or_default();
        finding.checked += 1;
        if !holds {
            finding.broken += 1;
            if finding.described.len() < MAX_DESCRIBED {
                finding.described.push(describe());
            }
        }
    }

    fn check_error(
        &mut self,
        operation: &str,
        (began, ended): (Micros, Micros),
        problem: &Problem,
        outages: &[(Micros, Micros)],
    ) {
        let mut outages = outages.iter();
        let is_expected = outages.any(|(from, to)| began <= *to && *from <= ended);
        let holds = problem.is_retryable && is_expected;
        self.check(Rule::ErrorsAreTransient, holds, || {
            let Problem { kind, message, .. } = problem;
            format!("{operation} at {ended}: {kind} {message}")
        });
    }

    fn check_read(&mut self, process: u16, read: &Read) {
        let Ok(answer) = &read.answer else {
            return;
        };
        let name = read.query.name();
        self.check(Rule::TextIsUnchanged, answer.wrong_texts == 0, || {
            format!("{name} at {} by process {process}", read.began)
        });
        for memory in &answer.memories {
            let presence = self.history.in_read(process, read, *memory);
            let holds = presence != Presence::Forbidden;
            self.check(Rule::ReadHasNothingForgotten, holds, || {
                format!(
                    "{name} at {} by process {process} found {memory:?}",
                    read.began
                )
            });
        }
        let required: Vec<MemoryNumber> = match read.query {
            Query::Get { memory } => vec![memory],
            // An archived memory is only found by its id, and one of low importance may
            // rank below others.
            Query::Recall { memory } => Some(memory)
                .filter(|memory| memory.class() == Class::Unique)
                .into_iter()
                .collect(),
            Query::List => {
                let after = self
                    .history
                    .retained_after(read.entity, answer.complete_after);
                after
                    .filter(|memory| memory.class() != Class::Twin)
                    .collect()
            }
        };
        let found: HashSet<&MemoryNumber> = answer.memories.iter().collect();
        for memory in required {
            if self.history.in_read(process, read, memory) == Presence::Required {
                let holds = found.contains(&memory);
                self.check(Rule::ReadIsFresh, holds, || {
                    format!(
                        "{name} at {} by process {process} lacks {memory:?}",
                        read.began
                    )
                });
            }
        }
    }

    /// Checks what the store has of an entity at the end.
    pub fn check_entity(&mut self, plan: &Plan, entity: u32, stored: &[StoredMemory]) {
        let mut present = HashSet::new();
        for memory in stored {
            let Some(number) = memory.memory else {
                self.check(Rule::ForgottenIsGone, memory.is_summary, || {
                    format!("entity {entity} has a memory that nobody retained")
                });
                continue;
            };
            present.insert(number);
            self.check(Rule::TextIsUnchanged, memory.has_own_text, || {
                format!("{number:?} of entity {entity}")
            });
            self.check(
                Rule::AcknowledgedIsThere,
                !memory.is_archived || number.class() == Class::Twin,
                || format!("{number:?} of entity {entity} was archived, and no other says it"),
            );
        }
        let of_run: HashSet<MemoryNumber> = self.history.of_entity(entity).collect();
        let filled = plan
            .filled(entity)
            .filter(|memory| !of_run.contains(memory));
        let expected: HashSet<MemoryNumber> = filled.chain(of_run.iter().copied()).collect();
        for memory in &present {
            self.check(Rule::ForgottenIsGone, expected.contains(memory), || {
                format!("entity {entity} has {memory:?}, which it never had")
            });
        }
        for memory in expected {
            let is_there = present.contains(&memory);
            let describe = || format!("{memory:?} of entity {entity}");
            match self.history.at_the_end(memory) {
                Presence::Required => self.check(Rule::AcknowledgedIsThere, is_there, describe),
                Presence::Forbidden => self.check(Rule::ForgottenIsGone, !is_there, describe),
                Presence::Open => {}
            }
        }
        self.stored.extend(present);
    }

    /// Checks batches, after every entity.
    pub fn check_batches(&mut self) {
        let batches = std::mem::take(&mut self.history.batches);
        for batch in batches {
            let mut kept = batch
                .iter()
                .filter(|memory| self.history.was_kept(**memory));
            let Some(first) = kept.next() else {
                continue;
            };
            let is_there = self.stored.contains(first);
            let holds = kept.all(|memory| self.stored.contains(memory) == is_there);
            self.check(Rule::BatchIsWhole, holds, || {
                format!("the batch of {first:?}")
            });
        }
    }

    /// The latest forgotten memories whose vectors must be gone from the shared cache,
    /// and the latest whose vectors may be there. A process that is killed while the
    /// shared cache is away cannot remove what it has forgotten: that expires. So those
    /// count that were forgotten by a process that was closed in order.
    #[must_use]
    pub fn shared_texts(&self, entries: &[Entry], most: usize) -> [Vec<MemoryNumber>; 2] {
        let closed = entries.iter().filter(|entry| entry.event == Event::Closed);
        let closed: HashSet<u16> = closed.map(|entry| entry.process).collect();
        let (mut forgotten, mut kept) = (Vec::new(), Vec::new());
        for (memory, history) in self.history.memories() {
            if !history.is_embedded || memory.class() != Class::Unique {
                continue;
            }
            match history.forgotten_by() {
                Some((process, at)) if closed.contains(&process) => forgotten.push((at, memory)),
                Some(_) => {}
                None => kept.extend(history.written_at().map(|at| (at, memory))),
            }
        }
        [forgotten, kept].map(|mut memories| {
            memories.sort_unstable_by(|a, b| b.cmp(a));
            memories
                .into_iter()
                .take(most)
                .map(|(_, memory)| memory)
                .collect()
        })
    }

    /// Adds what the shared cache has of forgotten texts.
    pub fn check_shared(&mut self, memory: MemoryNumber, is_shared: bool) {
        self.check(Rule::ForgottenIsNotShared, !is_shared, || {
            format!("{memory:?}")
        });
    }

    /// Adds a comparison of a table of the standby with that of the primary.
    pub fn check_standby(&mut self, table: &str, is_equal: bool) {
        self.check(Rule::StandbyIsEqual, is_equal, || format!("table {table}"));
    }

    /// What was checked, and what was broken.
    #[must_use]
    pub fn findings(self) -> BTreeMap<Rule, Finding> {
        self.findings
    }
}
