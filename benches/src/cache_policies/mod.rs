//! Policies of the tiers, tried on workloads: what they would win over the fixed
//! defaults. docs/adr/0025 and 0026 have the results.
//!
//! | module | contents |
//! |---|---|
//! | [`workloads`] | what callers ask of a memory system, by seeded generators |
//! | [`replay`] | a workload on the real engine with SQLite: counts, and the tiers' accesses |
//! | [`repetition`] | how often the same is asked of an unchanged entity, and what is answered |
//! | [`restart`] | the first questions after a start, with snapshots loaded before them |
//! | [`stack_distance`] | how large a cache must be for each access to hit |
//! | [`budget`] | one budget in bytes, divided among the tiers: fixed, best, by ghost lists |
//! | [`tables`] | the results as Markdown |

pub mod budget;
pub mod repetition;
pub mod replay;
pub mod restart;
pub mod stack_distance;
pub mod tables;
pub mod workloads;
