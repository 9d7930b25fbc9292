//! The shared cache on a real server.
//!
//! Each test starts a server of its own, from the cache folder that
//! `cargo xtask setup` fills.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod cluster;
mod conformance;
mod engine;
mod faults;
mod process;
#[cfg(feature = "tls")]
mod tls;
