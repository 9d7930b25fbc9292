//! A cache built on [quick_cache], the memory system's cache with the fastest
//! hits.
//!
//! [`QuickBackend`] builds [`QuickCache`]s, which implement
//! [`memory_core::Cache`] on top of `quick_cache::sync::Cache`. That library
//! evicts by S3-FIFO (Yang et al., *FIFO Queues are All You Need for Cache
//! Eviction*, 2023) per shard and has no background work. This crate adds:
//!
//! | required by the trait | implementation |
//! |---|---|
//! | limits for entries and for bytes | one weight that respects both (`weighting.rs`) |
//! | TTL and TTI | two timestamps per entry, checked during a lookup (`entry_key.rs`, `expiry.rs`, `clock.rs`) |
//! | exact bytes and evictions | the library's lifecycle hooks (`evicted.rs`) |
//! | hits and misses | counters that threads do not share (`striped_counters.rs`) |
//!
//! # Behavior
//! - An insertion evicts immediately. There is no pending work, so the limits
//!   hold at all times.
//! - An expired entry is removed when a lookup finds it, when its space is
//!   needed, or by [`run_pending_tasks`](memory_core::Cache::run_pending_tasks),
//!   which visits every entry. Until then it is included in the counts and is
//!   never returned.
//! - An entry never outlives its TTL or TTI. It may expire up to 1 % early, to
//!   keep hits cheap: lifetimes of 10 s and more are measured with the kernel's
//!   coarse clock (on Linux), and not every one of frequent reads is recorded.
//! - An entry heavier than 97 % of its shard is rejected and counted as an
//!   eviction; the entry that it would have replaced is removed. A cache of
//!   fewer than 2,048 entries has one shard. A larger one has shards of at
//!   least 1,024 entries, so it accepts entries a thousand times heavier than
//!   the mean.
//! - Keys and values are dropped outside all locks, except the keys that
//!   `run_pending_tasks` removes.
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

mod cache;
mod clock;
mod entry_key;
mod evicted;
mod expiry;
mod striped_counters;
mod weighting;

pub use cache::{QuickBackend, QuickCache};
