//! The connections of an open database: running statements and transactions on them.

pub(crate) mod blocking;
pub(crate) mod cancel;
pub(crate) mod database;
pub(crate) mod failed_wait;
pub(crate) mod pool;
pub(crate) mod stop_signal;
pub(crate) mod transaction;
pub(crate) mod writer;
