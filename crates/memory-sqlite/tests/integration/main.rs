//! Integration tests of the SQLite store, in one binary.

#![allow(clippy::unwrap_used)]

mod backup;
mod change_marker;
mod common;
mod concurrency;
mod conformance;
mod conversion;
mod crash;
mod damage;
#[cfg(unix)]
mod file_modes;
mod filters;
mod lexical;
mod limits;
#[cfg(unix)]
mod links;
mod migrations;
mod opening;
mod privacy;
mod processes;
mod reindex;
mod running_conversion;
mod search_pages;
mod snapshot_pages;
mod tombstones;
mod writer_handle;
