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
//! **Safe.** The file is in WAL mode, and a write is acknowledged when the disk
//! has it (see [`Synchronous`]). Each write is one transaction that runs to its
//! end in a task of its own, so a dropped future leaves it whole or undone.
//! Several processes may share the file. A file that is not a memory database,
//! or a newer one, is refused before anything is written to it.
//!
//! **Exact.** The dense retriever compares the query with every vector that the
//! filter lets through, in one sweep over contiguous rows; nothing is
//! approximated. The lexical retriever is BM25 over an FTS5 index, with the counts of
//! the one entity, so a score depends on nothing that another entity wrote.
//!
//! **Private.** What is deleted is overwritten with zeros in the file, in the
//! lexical index and in the write-ahead log. Content stands in no error and no
//! span.
//!
//! The code has one module for each verb of the [`Store`](memory_core::Store)
//! (`insert`, `search`, `changes`, …); `store` delegates to them, `database`
//! runs each as one transaction, and `migrations/0001_memory.sql` explains the
//! tables.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod archive;
mod best;
mod changes;
mod connect;
mod consolidate;
mod database;
mod delete;
mod dense;
mod entity;
mod error;
mod filter;
mod get;
mod insert;
mod inspect;
mod keys;
mod labels;
mod lexical;
mod list;
mod log;
mod offload;
mod options;
mod record_accesses;
mod removal;
mod row;
mod schema;
mod search;
mod space;
mod stats;
mod store;
mod update;
mod url;
mod vectors;

pub use options::{SqliteOptions, Synchronous};
pub use store::SqliteStore;
