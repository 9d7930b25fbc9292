//! The load test of the configuration presets: each preset under the load that it
//! is meant for, in a process of its own, with a working set larger than its
//! caches.

mod cases;
mod database;
mod load;
mod memory_limit;
mod requests;
mod results;
mod table;

pub use cases::{Arrivals, Case, cases};
pub use database::fill;
pub use load::run;
pub use memory_limit::MemoryLimit;
pub use results::{CaseResult, Latency, LimitReport, Results, TierReport};
pub use table::table;
