//! The real command on real files: the model of the cache folder, SQLite in
//! temporary folders, processes that are really killed.
//!
//! Each run of a verb that embeds loads the model, so the tests make few runs
//! and look at much in each.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod bad_input;
mod bench;
mod doctor;
mod import;
mod life;
mod pipes;
mod resume;
mod roundtrip;
