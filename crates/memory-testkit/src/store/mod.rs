//! The conformance suite for [`Store`](memory_core::Store).

#[expect(
    clippy::missing_errors_doc,
    reason = "every check errs alike: see `Check::run`"
)]
pub mod checks;
mod ground;
mod model;
mod open;
mod portrait;
mod scenes;
mod suite;

pub use self::checks::{CHECKS, Check, Needs};
pub use self::ground::CheckContext;
pub use self::model::{model_check, model_check_within};
pub use self::open::IntoStore;
pub use self::suite::{Suite, Tolerance, conformance};
