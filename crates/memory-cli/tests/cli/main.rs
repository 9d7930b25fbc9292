//! The real command on real files: the model of the cache folder, SQLite in
//! temporary folders, processes that are really killed.
//!
//! Each run of a verb that embeds loads the model, so the tests make few runs
//! and look at much in each.

mod bad_input;
mod bench;
mod doctor;
mod import;
mod life;
mod pipes;
mod resume;
mod roundtrip;
