//! The memory system over HTTP, and over the Model Context Protocol.
//!
//! | module | contents |
//! |---|---|
//! | `server` | [`Server`]: binding, the layers around the endpoints |
//! | `options` | [`ServerOptions`] |
//! | `error` | [`ServerError`]: why a server does not start or ends |
//! | `state` | what all handlers share |
//! | `tokens` | [`Tokens`]: who may do what; a file with hashes |
//! | `access` | checks the token of a request against the entity and the operation |
//! | `origin` | refuses what web pages of other sites send |
//! | `metrics` | [`Metrics`]: the recorder behind `/metrics` |
//! | `readiness` | whether store and model work, for callers without a token |
//! | `model_check` | whether the model works, by calls that are rare enough to be cheap |
//! | `rate_limit` | requests per second for each token |
//! | `connections` | accepting connections, serving requests on them, draining |
//! | `write_timeout` | ends connections whose client stops reading |
//! | `time_limit` | the time that a request may take |
//! | `tls`, `certificate` | HTTPS, with the feature of this name; its certificate |
//! | `file_state` | whether the files of a certificate changed |
//! | `problem` | errors as problem details (RFC 9457) |
//! | `query_parameters` | refuses query parameters that an endpoint does not have |
//! | `request` | reading JSON bodies, query strings and ids of the path |
//! | `filters` | filters of bodies; filters and pages of query strings |
//! | `idempotency` | ids by which a repeated request writes nothing again |
//! | `routes/` | the endpoints, one file per group; `routes/mod.rs` has the table |
//! | `import` | JSON lines of a body, stored while they arrive |
//! | `import_slots` | how many imports may be in progress at once |
//! | `etag` | whether an answer is still what the client has |
//! | `conditional_write` | writes to the state that the client has seen |
//! | `mcp/` | [`McpServer`]: the same operations as tools of the Model Context Protocol |
//! | `entity_names` | names of entities that a token covers |
//! | `schema` | what the OpenAPI document says of a memory that is sent, and of headers |
//!
//! Neither logs nor errors contain content, tokens or names of entities.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
#[cfg(feature = "tls")]
mod certificate;
mod conditional_write;
mod connections;
mod entity_names;
mod error;
mod etag;
#[cfg(feature = "tls")]
mod file_state;
mod filters;
mod idempotency;
mod import;
mod import_slots;
mod mcp;
mod metrics;
mod model_check;
mod options;
mod origin;
mod problem;
mod query_parameters;
mod rate_limit;
mod readiness;
mod request;
mod routes;
mod schema;
mod server;
mod state;
mod time_limit;
#[cfg(feature = "tls")]
mod tls;
mod tokens;
mod write_timeout;

#[cfg(feature = "tls")]
pub use certificate::{TlsError, TlsIdentity};
pub use error::{ListenError, ServerError};
pub use mcp::McpServer;
pub use metrics::{Metrics, MetricsError};
pub use options::ServerOptions;
pub use problem::Problem;
pub use routes::openapi;
pub use schema::MemoryInput;
pub use server::Server;
pub use tokens::{Access, NewToken, TokenScope, Tokens, TokensError};
