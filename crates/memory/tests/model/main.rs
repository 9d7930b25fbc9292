//! Random operations through two systems on one store, compared with a model.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
#[path = "../../../memory-engine/tests/model/world/mod.rs"]
mod world;
