//! The facade on a real PostgreSQL, which `cargo xtask test` starts.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod facade;
