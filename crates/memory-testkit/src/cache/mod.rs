//! The conformance suite for [`Cache`](memory_core::Cache) and
//! [`CacheBackend`](memory_core::CacheBackend).
//!
//! A cache may forget, and never lie: nothing here asks for an entry that had
//! reason to go. Lifetimes are tried with real, small durations; no speed is
//! asserted anywhere.

#[expect(
    clippy::missing_errors_doc,
    reason = "every check errs alike: see `Check::run`"
)]
pub mod checks;
mod model;
mod payload;
mod suite;

pub use self::checks::{Check, table};
pub use self::model::model_check;
pub use self::payload::{Payload, Subject, policy};
pub use self::suite::{Suite, conformance};
