//! The size of a load, and when which part of it is killed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::content::{Class, MemoryNumber};

/// Entities and memories of a load of an hour.
const ENTITIES_PER_HOUR: f64 = 10_000.0;
const MEMORIES_PER_HOUR: f64 = 10_000_000.0;

/// Fewer entities would not show popular and unpopular ones.
const MIN_ENTITIES: u32 = 20;

/// The size of a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// For how long the processes work, in seconds.
    pub seconds: f64,
    /// Entities, popular by Zipf's law with exponent 1.
    pub entities: u32,
    /// Memories of each entity before the processes start.
    pub memories_per_entity: u32,
}

impl Plan {
    /// A load of so many minutes. Entities and memories, where not given, are in
    /// proportion to an hour with 10,000 and 10 million.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "minutes of a run"
    )]
    pub fn new(minutes: f64, entities: Option<u32>, memories: Option<u64>) -> Self {
        let share = (minutes / 60.0).clamp(0.0, 1.0);
        let entities = entities.unwrap_or((ENTITIES_PER_HOUR * share) as u32);
        let entities = entities.max(MIN_ENTITIES);
        let memories = memories.unwrap_or((MEMORIES_PER_HOUR * share) as u64);
        let each = memories.div_ceil(u64::from(entities));
        Self {
            seconds: minutes * 60.0,
            entities,
            memories_per_entity: u32::try_from(each).unwrap_or(u32::MAX),
        }
    }

    /// Memories before the processes start.
    #[must_use]
    pub fn memories(&self) -> u64 {
        u64::from(self.entities) * u64::from(self.memories_per_entity)
    }

    /// The memories of an entity before the processes start.
    pub fn filled(&self, entity: u32) -> impl Iterator<Item = MemoryNumber> + use<> {
        let first = entity * self.memories_per_entity;
        let all = first..first + self.memories_per_entity;
        all.map(|counter| MemoryNumber::new(0, counter, Class::Unique))
    }

    /// When what is killed or stopped.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let at = |share: f64, target, action, most: f64| {
            let seconds = (self.seconds * 0.04).min(most);
            Fault {
                at: Duration::from_secs_f64(self.seconds * share),
                lasts: Duration::from_secs_f64(seconds),
                target,
                action,
            }
        };
        let killed = Kind::ALL.iter().zip([0.18, 0.23, 0.28, 0.33]);
        let mut faults: Vec<Fault> = killed
            .map(|(kind, share)| at(share, Target::Worker(*kind), Action::Kill, 0.0))
            .collect();
        faults.extend([
            at(0.40, Target::Valkey, Action::Stop, 5.0),
            at(0.50, Target::Valkey, Action::Kill, 5.0),
            at(0.60, Target::Standby, Action::Kill, 10.0),
            at(0.75, Target::Postgres, Action::Kill, 3.0),
        ]);
        faults
    }
}

/// What a process of the load does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Retains memories, and reads what it wrote.
    Retain,
    /// Recalls, reads and lists.
    Recall,
    /// Forgets, prunes and consolidates.
    Maintenance,
    /// Retains large batches with vectors.
    Import,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Retain, Self::Recall, Self::Maintenance, Self::Import];

    /// The name in reports and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retain => "retain",
            Self::Recall => "recall",
            Self::Maintenance => "maintenance",
            Self::Import => "import",
        }
    }
}

/// Something that is killed or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One of the two processes of a kind.
    Worker(Kind),
    /// The shared cache.
    Valkey,
    /// The replica.
    Standby,
    /// The primary.
    Postgres,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `kill -9`, and a start afterward.
    Kill,
    /// `SIGSTOP`, and `SIGCONT` afterward.
    Stop,
}

/// A fault of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// How long after the start.
    pub at: Duration,
    /// How long until the part is started or continued again.
    pub lasts: Duration,
    /// What it happens to.
    pub target: Target,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// The name of its phase in reports.
    #[must_use]
    pub fn name(self) -> String {
        match (self.target, self.action) {
            (Target::Worker(kind), _) => format!("process of {} killed", kind.name()),
            (Target::Valkey, Action::Stop) => "Valkey silent".to_owned(),
            (Target::Valkey, Action::Kill) => "Valkey killed".to_owned(),
            (Target::Standby, _) => "standby killed".to_owned(),
            (Target::Postgres, _) => "PostgreSQL killed".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_load_is_in_proportion_to_an_hour() {
        let hour = Plan::new(60.0, None, None);
        assert_eq!((hour.entities, hour.memories()), (10_000, 10_000_000));
        let short = Plan::new(6.0, None, None);
        assert_eq!((short.entities, short.memories()), (1_000, 1_000_000));
        let given = Plan::new(5.0, Some(30), Some(300));
        assert_eq!((given.entities, given.memories_per_entity), (30, 10));
    }

    #[test]
    fn every_part_is_killed_once_and_one_fault_ends_before_the_next() {
        let plan = Plan::new(5.0, None, None);
        let faults = plan.faults();
        let killed = |target| {
            let killed = faults.iter().filter(|fault| fault.target == target);
            killed.filter(|fault| fault.action == Action::Kill).count()
        };
        let workers = Kind::ALL.map(Target::Worker).into_iter();
        for target in workers.chain([Target::Valkey, Target::Standby, Target::Postgres]) {
            assert_eq!(killed(target), 1, "{target:?}");
        }
        for pair in faults.windows(2) {
            assert!(pair[0].at + pair[0].lasts < pair[1].at, "{pair:?}");
        }
        let last = faults.last().unwrap();
        assert!((last.at + last.lasts).as_secs_f64() < plan.seconds * 0.85);
    }
}
