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
//! `vector` (0.7 or newer) and `btree_gin`. Tables are made, and brought up to date, when a store is
//! opened; they lie in the first schema of the role's search path.
//!
//! | what | how |
//! |---|---|
//! | a write | one transaction, one statement a table, however many rows; it goes on when its future is dropped |
//! | a read | one statement, so one consistent state |
//! | the dense retriever | exact: every vector of the entity, from an index that holds them side by side |
//! | very large entities | approximate where [`PgOptions::approximate`] says so, by indexes that [`PgStore::maintain`] makes; as many found as asked for all the same |
//! | the lexical retriever | BM25 over English stems, computed in the database |
//! | vectors | half precision unless [`PgOptions::precision`] says otherwise |
//! | news | `LISTEN`/`NOTIFY`, unless [`PgOptions::announcements`] says otherwise |
//! | a pooler that shares sessions | [`PgOptions::pooler`], or `?pooler=transaction` in the URL |
//! | policies | [`PgOptions::row_level_security`], or `?row_level_security=on` |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod approximate;
mod changes;
mod columns;
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
mod maintain;
mod manners;
mod near;
mod options;
#[cfg(test)]
mod plans;
mod read;
mod record_accesses;
mod remove;
mod row;
mod schema;
mod search;
mod security;
mod sql;
mod stats;
mod store;
mod update;
mod vectors;
mod watch;
mod words;
mod write;

pub use approximate::ApproximateIndex;
pub use error::ServerError;
pub use maintain::Maintenance;
pub use options::{Migrations, PgOptions, Pooler, Precision};
pub use sqlx::PgPool;
pub use store::PgStore;
