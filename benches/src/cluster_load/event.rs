//! What a process says that it does, before and after each operation.

use std::io::{self, Write};
use std::time::Duration;

use memory::{ErrorKind, MemoryError};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::content::MemoryNumber;

/// Microseconds of the machine's monotonic clock, which all processes share.
pub type Micros = u64;

/// The time now.
#[must_use]
pub fn now() -> Micros {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds * 1_000_000 + nanos / 1_000
}

/// Something that a process did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The process has opened its system, whose reads see what others wrote up to
    /// `bound` microseconds before.
    Opened {
        /// 0 where reads are checked.
        bound: Micros,
    },
    /// A change begins; nothing was sent yet.
    Began {
        /// The number of the change in this process.
        operation: u64,
        /// When.
        at: Micros,
        /// What is to be done.
        change: Change,
    },
    /// An attempt at a change failed; others may follow.
    AttemptFailed {
        /// The number of the change in this process.
        operation: u64,
        /// When.
        at: Micros,
        /// How.
        problem: Problem,
    },
    /// A change has ended, after its last attempt.
    Ended {
        /// The number of the change in this process.
        operation: u64,
        /// When.
        at: Micros,
        /// How.
        outcome: Outcome,
    },
    /// A read has ended.
    Read(Read),
    /// What the process has counted since it was started.
    Counted(Counts),
    /// The process has closed its system in order.
    Closed,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// Memories are retained in one call.
    Retain {
        /// Of which entity.
        entity: u32,
        /// Their timestamp, in microseconds since 1970.
        timestamp: i64,
        /// Which.
        memories: Vec<MemoryNumber>,
        /// Whether the embedder makes their vectors, and the shared cache gets them.
        is_embedded: bool,
    },
    /// A memory is forgotten.
    Forget {
        /// Of which entity.
        entity: u32,
        /// Which.
        memory: MemoryNumber,
    },
    /// Faded memories are pruned.
    Prune {
        /// Of which entity.
        entity: u32,
    },
    /// Memories that say the same are consolidated.
    Consolidate {
        /// Of which entity.
        entity: u32,
    },
}

impl Change {
    /// The name of the operation in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Retain {
                is_embedded: true, ..
            } => "retain",
            Self::Retain { .. } => "import",
            Self::Forget { .. } => "forget",
            Self::Prune { .. } => "prune",
            Self::Consolidate { .. } => "consolidate",
        }
    }
}

/// How a change ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was acknowledged.
    Done {
        /// Memories that it removed.
        removed: Vec<MemoryNumber>,
    },
    /// It was refused, each time that it was tried: nothing may have been written.
    Failed,
    /// An attempt had an unknown outcome, and none was acknowledged after it.
    Unknown,
}

/// An error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind by name.
    pub kind: String,
    /// Whether the error says that the same call may succeed later.
    pub is_retryable: bool,
    /// The message of an error that is not retryable.
    pub message: String,
}

impl From<&MemoryError> for Problem {
    fn from(error: &MemoryError) -> Self {
        let is_retryable = error.is_retryable();
        Self {
            kind: error.kind().name().to_owned(),
            is_retryable,
            message: match is_retryable {
                true => String::new(),
                false => error.to_string(),
            },
        }
    }
}

impl Problem {
    /// Whether it is of this kind.
    #[must_use]
    pub fn is(&self, kind: ErrorKind) -> bool {
        self.kind == kind.name()
    }
}

/// A read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Read {
    /// Of which entity.
    pub entity: u32,
    /// What was asked for.
    pub query: Query,
    /// When it began.
    pub began: Micros,
    /// When it was answered.
    pub ended: Micros,
    /// The answer.
    pub answer: Result<Answer, Problem>,
}

/// What a read asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "query", rename_all = "snake_case")]
pub enum Query {
    /// A memory by id.
    Get {
        /// Which.
        memory: MemoryNumber,
    },
    /// The best memories for the text of one.
    Recall {
        /// Which.
        memory: MemoryNumber,
    },
    /// The newest memories.
    List,
}

impl Query {
    /// The name of the operation in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get { .. } => "get",
            Self::Recall { .. } => "recall",
            Self::List => "list",
        }
    }
}

/// What a read found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Memories of the load; summaries are left out.
    pub memories: Vec<MemoryNumber>,
    /// The timestamp after which a list has every memory, in microseconds since 1970.
    pub complete_after: i64,
    /// How many of the memories have a text that is not theirs.
    pub wrong_texts: u32,
}

/// Counters of a process since it was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Hits and misses of the memory tier.
    pub memory: (u64, u64),
    /// Hits and misses of the entity tier.
    pub entity: (u64, u64),
    /// Hits and misses of the embedding tier.
    pub embedding: (u64, u64),
    /// Hits and misses of the shared cache.
    pub shared: (u64, u64),
    /// Calls of the shared cache that failed or took too long.
    pub shared_failures: u64,
    /// Reads that a replica could serve: served, and not.
    pub replica: (u64, u64),
}

/// An event with its process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The process; one that is started again is another.
    pub process: u16,
    /// What it did.
    pub event: Event,
}

/// Where a process says what it does.
pub(super) trait EventSink: Send + Sync + 'static {
    /// Records an event so that it outlives the process.
    ///
    /// # Errors
    /// If nobody takes it: the process must end then.
    fn record(&self, event: Event) -> io::Result<()>;
}

/// Writes each event as a line of JSON to the parent, in one call of the system: what
/// is in the pipe outlives a process that is killed.
#[derive(Debug)]
pub(super) struct ParentPipe;

impl EventSink for ParentPipe {
    fn record(&self, event: Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        stdout.write_all(&line)?;
        stdout.flush()
    }
}

/// A duration in microseconds.
#[must_use]
pub(super) fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::content::Class;
    use super::*;

    #[test]
    fn events_survive_the_pipe() {
        let memory = MemoryNumber::new(700, u32::MAX, Class::Twin);
        let problem = Problem {
            kind: "unavailable".to_owned(),
            is_retryable: true,
            message: String::new(),
        };
        for event in [
            Event::Opened { bound: 5 },
            Event::Began {
                operation: 1,
                at: now(),
                change: Change::Forget { entity: 7, memory },
            },
            Event::Ended {
                operation: 1,
                at: 2,
                outcome: Outcome::Unknown,
            },
            Event::AttemptFailed {
                operation: 1,
                at: 2,
                problem: problem.clone(),
            },
            Event::Read(Read {
                entity: 1,
                query: Query::Recall { memory },
                began: 1,
                ended: 2,
                answer: Err(problem),
            }),
            Event::Counted(Counts::default()),
            Event::Closed,
        ] {
            let line = serde_json::to_string(&event).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        }
    }
}
