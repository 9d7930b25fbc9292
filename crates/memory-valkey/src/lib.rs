//! The shared cache of the memory system on Valkey 8 or later, or Redis 7 or later.
//!
//! [`ValkeyCache`] implements [`SharedCache`](memory_core::SharedCache): processes
//! that name the same server and namespace share what they computed and read.
//!
//! ```no_run
//! # async fn open() -> memory_core::MemoryResult<()> {
//! use memory_valkey::ValkeyCache;
//!
//! let cache = ValkeyCache::open("valkey://app:secret@cache.internal:6379/0?namespace=game")?;
//! # Ok(()) }
//! ```
//!
//! # On the server
//!
//! A key is `<namespace>:1:{<group>}:<id>` (1 is the version of the format), and
//! `<namespace>:1:{<group>}` for the removal of a whole group; group and id are
//! digests in hexadecimal. A value carries a checksum over its key and its bytes,
//! and is compressed with LZ4 where that makes it smaller. Every key expires. Each
//! comparison and the write that follows are one Lua script, so they are atomic.
//!
//! The commands are `EVALSHA`, `EVAL`, `TIME`, `MGET`, `GET`, `GETRANGE` and `SET`, on keys
//! that begin with the namespace; `SELECT` for a database other than 0; `CLUSTER SLOTS`,
//! `PING` and `ASKING` in a cluster. That is what the ACL user must be allowed:
//! docs/shared-cache.md.
//!
//! The clock of a key is that of its server, which must not be set back while
//! systems are running (slewing it, as NTP does, is fine).

mod cache;
mod connection;
mod error;
mod layout;
mod options;
mod scripts;

pub use cache::ValkeyCache;
pub use options::ValkeyOptions;
