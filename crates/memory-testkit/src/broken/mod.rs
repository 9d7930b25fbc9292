//! Backends that each break exactly one promise.
//!
//! A suite proves something only if it rejects what is wrong: these are the
//! kit's own tests of its suites, and an author's examples of what each check
//! is there to catch. Every fault names the check that must reject it.

mod cache;
mod embedder;
mod faults;
mod store;

pub use self::cache::{BrokenBackend, BrokenCache, CacheFault};
pub use self::embedder::{BrokenEmbedder, EmbedderFault};
pub use self::store::{BrokenStore, StoreFault};
