//! The load of many processes on one database: PostgreSQL with a standby, and a shared
//! cache, each killed once. Every process says what it does before and after it; from
//! that, what they read and what is left is checked.

mod checker;
#[cfg(test)]
mod checker_tests;
mod content;
mod database;
mod draws;
mod event;
mod history;
mod plan;
mod process;
mod results;
mod run;
mod worker;
#[cfg(test)]
mod worker_tests;

pub use checker::{Checker, Finding, Rule, StoredMemory};
pub use database::{
    SHARED_TEXTS, check_shared_cache, check_standby, check_store, fill, statements,
};
pub use event::{Counts, Entry, Event, Micros, now};
pub use plan::{Action, Fault, Kind, Plan, Target};
pub use process::{Servers, run_process};
pub use results::{Latencies, Measurement, Phase, Results, STEADY, Second, Statements, until};
pub use run::{ProcessOptions, Recording, Run};
pub use worker::{TestFault, WorkerOptions};
