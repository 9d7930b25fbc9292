//! A [`Store`](memory_core::Store) on PostgreSQL with pgvector: one database
//! that many processes share.
//!
//! ```no_run
//! # async fn open() -> memory_core::MemoryResult<()> {
//! use memory_pg::PgStore;
//! let store = PgStore::connect("postgres://app@localhost/memories").await?;
//! # Ok(())
//! # }
//! ```
//!
//! It needs PostgreSQL 14 or newer (the tests run on 18) with the extensions
//! `vector` (0.7 or newer) and `btree_gin`. Opening a store creates and migrates
//! the tables, in the first schema of the role's search path.
//!
//! | feature | implementation |
//! |---|---|
//! | writes | one transaction each, one statement per table for every 16 MiB of rows; a write continues when its future is dropped |
//! | reads | one statement each, so one consistent state; a search of a large entity reads texts by up to two more, of memories that are as they were |
//! | dense retriever | exact: every vector of the entity, from an index that stores them contiguously |
//! | very large entities | ANN indexes, which [`maintain_indexes`](memory_core::Store::maintain_indexes) chooses and builds; a search still finds as many as requested |
//! | lexical retriever | BM25 over the terms of `memory-text`, computed in the database; those of an older version are converted in the background |
//! | candidates by pairs of words | in large entities, as on SQLite: `memory-text` chooses texts, which are read |
//! | vectors | half precision, unless [`PgOptions::precision`] says otherwise |
//! | change notifications | `LISTEN`/`NOTIFY`, if [`PgOptions::notify_changes`] is on |
//! | transaction poolers | [`PgOptions::pooler`], or `?pooler=transaction` in the URL |
//! | read replicas | [`PgOptions::replicas`]: hot standbys answer what they have replayed |
//! | row-level security | [`PgOptions::row_level_security`], or `?row_level_security=on` |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod acquire_probe;
mod ann_index;
mod ann_search;
mod batch_parts;
mod blocking;
mod changes;
mod connecting;
mod connection;
mod consolidate;
mod database;
mod delete;
mod dense;
mod entity;
mod error;
mod filter;
mod get;
mod insert;
mod lexical;
mod list;
mod load;
mod maintenance;
mod migrations;
mod neighbors;
mod options;
mod pairs;
mod pause;
mod pool;
#[cfg(test)]
mod query_plan_tests;
mod recall_estimate;
mod record_accesses;
mod reindex;
mod removal;
mod replace_vectors;
mod replica;
mod replica_reads;
mod row_level_security;
mod rows;
mod schema;
mod search;
mod session_settings;
mod snapshot_pages;
mod sql;
mod sqlstate;
mod stats;
mod store;
mod transaction;
mod update;
mod url;
mod vectors;
mod watch;
mod write_positions;

pub use ann_index::AnnIndex;
pub use error::ServerError;
pub use options::{Migrations, PgOptions, Pooler, Precision};
pub use sqlx::PgPool;
pub use store::PgStore;
