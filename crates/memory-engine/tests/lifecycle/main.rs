//! The life of a memory after it was retained, on the reference store.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod accesses;
mod bench;
mod consolidate;
mod forget;
mod limits;
mod links;
mod reflect;
mod restore;
