//! The shared cache on a real server.
//!
//! Each test starts a server of its own, from the cache folder that
//! `cargo xtask setup` fills.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod access_control;
mod close;
mod cluster;
mod conformance;
mod engine;
mod faults;
mod forwarder;
mod model;
mod partition;
mod process;
mod system;
#[cfg(feature = "tls")]
mod tls;
mod watched_cache;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../../../memory-engine/tests/model/world/mod.rs"]
mod world;
