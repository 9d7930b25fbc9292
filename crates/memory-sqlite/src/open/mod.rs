//! Opening a database: what is checked before anything is written, its connections, and its
//! schema.

pub(crate) mod connection;
pub(crate) mod immutable_file;
pub(crate) mod inspect;
pub(crate) mod open_problem;
pub(crate) mod schema;
