//! The memory system over HTTP, and over the Model Context Protocol.
//!
//! | module | contents |
//! |---|---|
//! | `server` | [`Server`]: options, binding, the layers around the endpoints |
//! | `tokens` | [`Tokens`]: who may do what; a file with hashes |
//! | `access` | checks the token of a request against the entity and the operation |
//! | `origin` | refuses what web pages of other sites send |
//! | `metrics` | [`Metrics`]: the recorder behind `/metrics` |
//! | `model_check` | whether the model works, by calls that are rare enough to be cheap |
//! | `rate_limit` | requests per second for each token |
//! | `connections` | accepting connections, serving requests on them, draining |
//! | `tls`, `certificate` | HTTPS, with the feature of this name; its certificate |
//! | `problem` | errors as problem details (RFC 9457) |
//! | `request` | reading JSON bodies, query strings and idempotency keys |
//! | `routes/` | the endpoints, one file per group; `routes/mod.rs` has the table |
//! | `import` | JSON lines of a body, stored while they arrive |
//! | `etag` | whether an answer is still what the client has |
//! | `mcp/` | [`McpServer`]: the same operations as tools of the Model Context Protocol |
//! | `entity_names` | names of entities that a token covers |
//! | `schema` | what the OpenAPI document says of a memory that is sent |
//!
//! Neither logs nor errors contain content, tokens or names of entities.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
#[cfg(feature = "tls")]
mod certificate;
mod connections;
mod entity_names;
mod etag;
mod import;
mod mcp;
mod metrics;
mod model_check;
mod origin;
mod problem;
mod rate_limit;
mod request;
mod routes;
mod schema;
mod server;
#[cfg(feature = "tls")]
mod tls;
mod tokens;

#[cfg(feature = "tls")]
pub use certificate::{TlsError, TlsIdentity};
pub use mcp::McpServer;
pub use metrics::{Metrics, MetricsError};
pub use problem::Problem;
pub use routes::openapi;
pub use schema::MemoryInput;
pub use server::{Server, ServerError, ServerOptions};
pub use tokens::{Access, NewToken, TokenScope, Tokens, TokensError};
