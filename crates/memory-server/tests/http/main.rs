//! The server on loopback, with a database in a file and requests of a real client.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod access;
mod compression;
mod conditional;
#[cfg(target_os = "linux")]
mod connections;
mod harness;
mod health;
mod hostile;
mod inspector;
mod limits;
mod logs;
mod mcp;
mod metrics;
mod operations;
mod parity;
mod problems;
mod queries;
mod retries;
mod shutdown;
#[cfg(feature = "tls")]
mod tls;
mod transfer;
mod vectors;
