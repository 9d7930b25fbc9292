//! The connections to the server: opening them, and running statements and transactions on them.

pub(crate) mod acquire_probe;
pub(crate) mod blocking;
pub(crate) mod connecting;
pub(crate) mod connection;
pub(crate) mod database;
pub(crate) mod pause;
pub(crate) mod pool;
pub(crate) mod session_settings;
pub(crate) mod transaction;
