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

mod ann;
mod connections;
mod error;
mod operations;
mod options;
mod reindex;
mod replicas;
mod rows;
mod schema;
mod search;
mod sqlstate;
mod store;
mod url;

pub use ann::ann_index::AnnIndex;
pub use error::ServerError;
pub use options::{Migrations, PgOptions, Pooler, Precision};
pub use sqlx::PgPool;
pub use store::PgStore;
