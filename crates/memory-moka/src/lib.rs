//! A cache built on [moka], the default cache of the memory system.
//!
//! [`MokaBackend`] builds caches that are limited by entries *and* bytes, have
//! a time to live and a time to idle, and evict by TinyLFU (Einziger, Friedman
//! and Manes, *TinyLFU: A Highly Efficient Cache Admission Policy*, 2017): the
//! frequency and recency of reads decide what stays. There is no background
//! thread. moka does its pending work in small portions on the threads that
//! read and write, and all of it in
//! [`Cache::run_pending_tasks`](memory_core::Cache::run_pending_tasks).
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

mod cache;
mod capacity;
mod key_locks;
mod striped_counters;

pub use cache::{MokaBackend, MokaCache};
