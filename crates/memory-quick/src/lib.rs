//! Cache on [quick_cache]: the fastest hits of the memory system.
//!
//! [`QuickBackend`] makes [`QuickCache`]s, which keep the contract of
//! [`memory_core::Cache`] on top of `quick_cache::sync::Cache`. That library
//! evicts by S3-FIFO over shards and does nothing in the background; what the
//! contract asks for beyond it is added here:
//!
//! | asked for | how |
//! |---|---|
//! | two bounds, entries and bytes | one weight that fills the room by either (`room.rs`) |
//! | TTL and TTI | two times on each entry, checked in place at a look-up (`tag.rs`, `clock.rs`) |
//! | true bytes and evictions | the library's lifecycle hooks (`departures.rs`) |
//! | hits and misses | counters that threads do not share (`tally.rs`) |
//!
//! # Behavior
//! - An insert evicts at once: there is no pending work, so the bounds hold
//!   at all times and not only at rest.
//! - What expired is let go of when a look-up meets it, when room is needed,
//!   or by [`run_pending_tasks`](memory_core::Cache::run_pending_tasks), which visits every entry.
//!   Until then it counts as held, and is never returned.
//! - An entry never outlives its TTL or TTI. It may expire up to a hundredth
//!   sooner, for the sake of cheap hits: lifetimes of ten seconds and more are
//!   measured by the kernel's ticks (on Linux), and of frequent reads not every
//!   one is noted.
//! - An entry heavier than 97 % of its shard is refused, and counted as an
//!   eviction; what it would have replaced is gone. A cache for fewer than
//!   2,048 entries is one shard. A larger one has shards for 1,024 entries or
//!   more each, so it takes entries a thousand times heavier than the mean.
//! - Keys and values are dropped outside all locks, except the keys of a sweep.
//!
//! ```
//! use memory_core::{Cache, CacheBackend, CachePolicy, ByteSize};
//! use memory_quick::QuickBackend;
//! use std::time::Duration;
//!
//! let policy = CachePolicy::new(1_000, ByteSize::mebibytes(1), |_: &u64, text: &String| {
//!     8 + text.capacity() as u64
//! });
//! let cache = QuickBackend.build(policy.ttl(Duration::from_secs(300)));
//! cache.insert(1, "a fact".to_owned());
//! assert_eq!(cache.get(&1).as_deref(), Some("a fact"));
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod backend;
mod cache;
mod clock;
mod departures;
mod lifetimes;
mod room;
mod tag;
mod tally;

pub use backend::QuickBackend;
pub use cache::QuickCache;
