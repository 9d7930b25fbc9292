//! [`SqliteStore`]: the embedded default store of the memory system, in one
//! SQLite file.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> memory_core::MemoryResult<()> {
//! use memory_core::{EntityId, Store};
//! use memory_sqlite::SqliteStore;
//!
//! let store = SqliteStore::open("sqlite::memory:").await?;
//! let stats = store.entity_stats(&EntityId::from("mira")).await?;
//! assert_eq!(stats.memory_count, 0);
//! store.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Durability.** The file is in WAL mode, and a write is acknowledged after it
//! was flushed to disk (see [`Synchronous`]). Each write is one transaction that
//! runs to its end in a task of its own, so a dropped future leaves it complete
//! or undone. Several processes may share the file. A file that is not a memory
//! database, or has a newer schema, is refused before anything is written to it.
//!
//! **Exact search.** The dense retriever compares the query with every vector
//! that passes the filter, in one scan over contiguous rows; nothing is
//! approximated. The lexical retriever is BM25 over an FTS5 index with the
//! statistics of one entity, so a score does not depend on other entities.
//!
//! **Privacy.** Deleted content is overwritten with zeros in the file, in the
//! lexical index and in the write-ahead log. Errors and spans never contain
//! content.
//!
//! The code has one module for each operation of the
//! [`Store`](memory_core::Store) (`insert`, `search`, `changes`, …); `store`
//! delegates to them, `database` runs each as one transaction, and
//! `migrations/0001_memory.sql` documents the tables.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod connections;
mod error;
mod open;
mod operations;
mod options;
mod reindex;
mod rows;
mod schema;
mod search;
mod store;
mod url;
mod wal;

/// The example in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use options::{SqliteOptions, Synchronous};
pub use reindex::conversion_progress::ConversionProgress;
pub use store::SqliteStore;
