//! The conformance suite for [`Embedder`](memory_core::Embedder).

#[expect(
    clippy::missing_errors_doc,
    reason = "every check errs alike: see `Check::run`"
)]
pub mod checks;
mod ground;
mod suite;

pub use self::checks::{CHECKS, Check, MEANING};
pub use self::ground::CheckContext;
pub use self::suite::{Suite, Tolerance, conformance};
