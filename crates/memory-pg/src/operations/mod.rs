//! The operations of the store and what they share, except [search](crate::search).

pub(crate) mod changes;
pub(crate) mod consolidate;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod insert;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod neighbors;
pub(crate) mod record_accesses;
pub(crate) mod removal;
pub(crate) mod replace_vectors;
pub(crate) mod snapshot_pages;
pub(crate) mod stats;
pub(crate) mod update;
pub(crate) mod watch;
