//! The same work on every cache.
//!
//! | module | contents |
//! |---|---|
//! | [`registry`] | the caches that are compared, one line each |
//! | [`third_party`] | adapters for other crates' caches |
//! | [`trace`] | a list of accesses, and its replay on any cache |
//! | [`synthetic_traces`] | traces made by formula |
//! | [`agent_workload`], [`recorder`] | a trace recorded from simulated agents |
//! | [`latency`] | nanoseconds per operation |
//! | [`footprint`] | bytes per entry, and the time to remove many entries |
//! | [`stampede`], [`counting_store`] | loads caused by many concurrent callers; a store that counts its calls |
//! | [`results`] | the measured values, for the report |

pub mod agent_workload;
pub mod counting_store;
pub mod footprint;
pub mod latency;
pub mod recorder;
pub mod registry;
pub mod results;
pub mod stampede;
pub mod synthetic_traces;
pub mod third_party;
pub mod trace;
