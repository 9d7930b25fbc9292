//! The facade on the embedded store, most of it with the default model.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod defaults;
mod exports;
mod kill;
mod lifecycle;
mod shared_cache;
mod shared_file;
mod soak;
mod workers;
