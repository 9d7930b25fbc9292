//! The results of a run, as JSON.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::checker::{Finding, Rule};
use super::event::{Counts, Entry, Event, Micros, micros};
use super::plan::{Kind, Plan};
use super::run::{PastFault, RECOVERY, Recording};
use crate::machine::Machine;

/// The name of the phases without a fault.
pub const STEADY: &str = "no fault";

/// The results of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    /// The machine.
    pub machine: Machine,
    /// The size of the load.
    pub plan: Plan,
    /// How long filling the database took, in seconds.
    pub fill_seconds: f64,
    /// Memories at the end.
    pub memories_at_end: u64,
    /// Latencies of each operation.
    pub operations: Vec<Latencies>,
    /// What each phase was like.
    pub phases: Vec<Phase>,
    /// Each second of the run.
    pub seconds: Vec<Second>,
    /// Hits and misses, and what else was counted, of all processes of a kind.
    pub counts: Vec<(Kind, Counts)>,
    /// Statements for each kind of process while nothing was killed.
    pub statements: Vec<Statements>,
    /// Of so many texts that are not forgotten, how many vectors were in the shared
    /// cache at the end.
    pub shared_texts: (u64, u64),
    /// What was checked.
    pub findings: Vec<(Rule, Finding)>,
}

/// Latencies in microseconds.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
    /// The operation.
    pub operation: String,
    /// How many.
    pub count: u64,
    /// The median.
    pub p50: Micros,
    /// The 95th percentile.
    pub p95: Micros,
    /// The 99th percentile.
    pub p99: Micros,
    /// The longest.
    pub longest: Micros,
}

/// A part of the run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Phase {
    /// Its fault.
    pub name: String,
    /// Its length in seconds.
    pub seconds: f64,
    /// Latencies of recalls.
    pub recall: Latencies,
    /// Latencies of retains.
    pub retain: Latencies,
    /// Operations that were answered.
    pub answered: u64,
    /// Attempts that failed, by operation and kind of error.
    pub errors: BTreeMap<String, u64>,
}

/// A second of the run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Second {
    /// Operations that were answered.
    pub answered: u64,
    /// The 99th percentile of recalls that began in it.
    pub recall_p99: Micros,
    /// The 99th percentile of retains that began in it.
    pub retain_p99: Micros,
}

/// Statements of the processes of a kind.
#[derive(Debug, Serialize, Deserialize)]
pub struct Statements {
    /// The kind.
    pub kind: Kind,
    /// Operations that they ended.
    pub operations: u64,
    /// Statements on the primary.
    pub primary: u64,
    /// Statements on the standby.
    pub standby: u64,
}

/// An operation that was answered.
struct Call<'a> {
    name: &'a str,
    process: u16,
    began: Micros,
    ended: Micros,
}

/// An attempt that failed.
struct Failure {
    name: String,
    at: Micros,
}

/// What is measured of the events.
pub struct Measurement<'a> {
    recording: &'a Recording,
    start: Micros,
    calls: Vec<Call<'a>>,
    failures: Vec<Failure>,
}

impl<'a> Measurement<'a> {
    /// Measures a run that began at this time.
    #[must_use]
    pub fn new(recording: &'a Recording, start: Micros) -> Self {
        let mut measurement = Self {
            recording,
            start,
            calls: Vec::new(),
            failures: Vec::new(),
        };
        let mut open = HashMap::new();
        for Entry { process, event } in &recording.entries {
            match event {
                Event::Began {
                    operation,
                    at,
                    change,
                } => {
                    open.insert((*process, *operation), (change.name(), *at));
                }
                Event::AttemptFailed {
                    operation,
                    at,
                    problem,
                } => {
                    let name = open.get(&(*process, *operation)).map(|(name, _)| *name);
                    let name = format!("{} {}", name.unwrap_or_default(), problem.kind);
                    measurement.failures.push(Failure { name, at: *at });
                }
                Event::Ended { operation, at, .. } => {
                    if let Some((name, began)) = open.remove(&(*process, *operation)) {
                        measurement.calls.push(Call {
                            name,
                            process: *process,
                            began,
                            ended: *at,
                        });
                    }
                }
                Event::Read(read) => match &read.answer {
                    Ok(_) => measurement.calls.push(Call {
                        name: read.query.name(),
                        process: *process,
                        began: read.began,
                        ended: read.ended,
                    }),
                    Err(problem) => measurement.failures.push(Failure {
                        name: format!("{} {}", read.query.name(), problem.kind),
                        at: read.ended,
                    }),
                },
                _ => {}
            }
        }
        measurement
    }

    /// Latencies of each operation.
    #[must_use]
    pub fn operations(&self) -> Vec<Latencies> {
        let mut names: Vec<&str> = self.calls.iter().map(|call| call.name).collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .map(|name| self.latencies(name, |_| true))
            .collect()
    }

    fn latencies(&self, name: &str, filter: impl Fn(&Call<'_>) -> bool) -> Latencies {
        let calls = self
            .calls
            .iter()
            .filter(|call| call.name == name && filter(call));
        let mut times: Vec<Micros> = calls.map(|call| call.ended - call.began).collect();
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        let at = |percent| {
            times
                .get((last * percent + 50) / 100)
                .copied()
                .unwrap_or_default()
        };
        Latencies {
            operation: name.to_owned(),
            count: times.len() as u64,
            p50: at(50),
            p95: at(95),
            p99: at(99),
            longest: at(100),
        }
    }

    /// The phases: those without a fault together, and each fault until its clients
    /// have connected again.
    #[must_use]
    pub fn phases(&self, seconds: f64) -> Vec<Phase> {
        let faults: Vec<(String, Micros, Micros)> = self
            .recording
            .faults
            .iter()
            .map(|past| (past.fault.name(), past.began, until(past)))
            .collect();
        let phase_of = |at: Micros| {
            let fault = faults
                .iter()
                .find(|(_, from, to)| (*from..*to).contains(&at));
            fault.map_or(STEADY, |(name, _, _)| name.as_str())
        };
        let lengths = faults
            .iter()
            .map(|(name, from, to)| (name.as_str(), in_seconds(to - from)));
        let of_faults: f64 = lengths.clone().map(|(_, length)| length).sum();
        [(STEADY, seconds - of_faults)]
            .into_iter()
            .chain(lengths)
            .map(|(name, seconds)| {
                let is_in = |call: &Call<'_>| phase_of(call.began) == name;
                let mut errors = BTreeMap::new();
                for failure in &self.failures {
                    if phase_of(failure.at) == name {
                        *errors.entry(failure.name.clone()).or_default() += 1;
                    }
                }
                Phase {
                    name: name.to_owned(),
                    seconds,
                    recall: self.latencies("recall", is_in),
                    retain: self.latencies("retain", is_in),
                    answered: self.calls.iter().filter(|call| is_in(call)).count() as u64,
                    errors,
                }
            })
            .collect()
    }

    /// Each second of the run.
    #[must_use]
    pub fn seconds(&self) -> Vec<Second> {
        let second = |at: Micros| (at.saturating_sub(self.start) / 1_000_000) as usize;
        let count = self.calls.iter().map(|call| second(call.ended) + 1).max();
        let mut seconds: Vec<Second> = Vec::new();
        seconds.resize_with(count.unwrap_or_default(), Second::default);
        let mut times: HashMap<(usize, &str), Vec<Micros>> = HashMap::new();
        for call in &self.calls {
            seconds[second(call.ended)].answered += 1;
            let times = times.entry((second(call.began), call.name)).or_default();
            times.push(call.ended - call.began);
        }
        for ((second, name), mut times) in times {
            times.sort_unstable();
            let p99 = times[(times.len() - 1) * 99 / 100];
            match name {
                "recall" => seconds[second].recall_p99 = p99,
                "retain" => seconds[second].retain_p99 = p99,
                _ => {}
            }
        }
        seconds
    }

    /// Operations that processes of this kind ended between two times.
    #[must_use]
    pub fn operations_of(&self, kind: Kind, from: Micros, to: Micros) -> u64 {
        let calls = self.calls.iter().filter(|call| {
            self.recording.kinds.get(&call.process) == Some(&kind)
                && (from..to).contains(&call.ended)
        });
        calls.count() as u64
    }

    /// The counters of all processes of each kind: the last ones of each process.
    #[must_use]
    pub fn counts(&self) -> Vec<(Kind, Counts)> {
        let mut last = HashMap::new();
        for Entry { process, event } in &self.recording.entries {
            if let Event::Counted(counts) = event {
                last.insert(*process, counts);
            }
        }
        let sum = |kind| {
            let mut sum = Counts::default();
            for (process, counts) in &last {
                if self.recording.kinds.get(process) == Some(&kind) {
                    sum.add(counts);
                }
            }
            (kind, sum)
        };
        Kind::ALL.map(sum).to_vec()
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        for (sum, (hits, misses)) in [
            (&mut self.memory, other.memory),
            (&mut self.entity, other.entity),
            (&mut self.embedding, other.embedding),
            (&mut self.shared, other.shared),
            (&mut self.replica, other.replica),
        ] {
            sum.0 += hits;
            sum.1 += misses;
        }
        self.shared_failures += other.shared_failures;
    }
}

/// When the phase of a fault ends.
#[must_use]
pub fn until(past: &PastFault) -> Micros {
    past.ended.saturating_add(micros(RECOVERY))
}

#[expect(clippy::cast_precision_loss, reason = "a duration to display")]
fn in_seconds(time: Micros) -> f64 {
    time as f64 / 1e6
}
