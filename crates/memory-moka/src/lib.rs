//! Cache on [moka]: the default of the memory system.
//!
//! [`MokaBackend`] makes caches bounded by entries *and* bytes, with TTL and
//! TTI, that let go of what is least worth keeping (TinyLFU: how often and how
//! lately it was read). There is no background thread: moka does its pending
//! work a little at a time in the threads that read and write, and all of it
//! in [`Cache::run_pending_tasks`](memory_core::Cache::run_pending_tasks).
//!
//! ```
//! use memory_core::{Cache, CacheBackend, CachePolicy, ByteSize};
//! use memory_moka::MokaBackend;
//!
//! let weigher = |key: &String, value: &String| (key.len() + value.len()) as u64;
//! let cache = MokaBackend.build(CachePolicy::new(1_000, ByteSize::mebibytes(1), weigher));
//! cache.insert("mira".to_owned(), "a miller".to_owned());
//! assert_eq!(cache.get(&"mira".to_owned()).as_deref(), Some("a miller"));
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod backend;
mod cache;
mod capacity;
mod counters;
mod turns;

pub use backend::MokaBackend;
pub use cache::MokaCache;
