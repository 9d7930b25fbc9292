//! Opening a database: what is checked before anything is written, and its connections.

pub(crate) mod connection;
pub(crate) mod immutable_file;
pub(crate) mod inspect;
pub(crate) mod open_problem;
