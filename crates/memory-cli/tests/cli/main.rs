//! Tests of the compiled command on real files: the model of the cache folder,
//! SQLite in temporary folders, processes that are killed.
//!
//! Each run of a command that embeds loads the model, so each test makes few
//! runs and checks much in each.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod bad_input;
mod browser;
mod doctor;
mod get_update;
mod import;
mod import_from;
mod inspector;
mod lifecycle;
mod man;
mod mcp;
mod messages;
mod opening;
mod output_files;
mod pipes;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "valkey")]
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../../../memory-valkey/tests/server/process.rs"]
mod process;
mod read_only;
mod reembed;
mod resume;
mod roundtrip;
mod serve;
mod serving;
mod settings;
#[cfg(feature = "valkey")]
mod shared_cache;
mod signals;
mod terminal;
mod test_dir;
mod tls;
mod warming;
