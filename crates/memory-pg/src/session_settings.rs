//! Session settings: what the options mean for connections and transactions.

use std::time::Duration;

use crate::options::{PgOptions, Pooler};

/// How much longer than the statement timeout an answer may take to arrive.
const GRACE: Duration = Duration::from_secs(5);

/// How connections are used.
#[derive(Debug)]
pub(crate) struct SessionSettings {
    /// How long to wait for the answer to a statement.
    pub(crate) response_timeout: Duration,
    /// Begins a transaction that writes.
    pub(crate) begin: String,
    /// Begins a transaction that reads.
    pub(crate) begin_read: String,
    /// Whether every read gets a transaction of its own.
    pub(crate) reads_in_transactions: bool,
    /// Whether prepared statements are kept on the server.
    pub(crate) persistent_statements: bool,
    /// Whether column types are looked up in every transaction: where
    /// statements are not persistent and the pool did not do it on connecting.
    pub(crate) prefetch_types: bool,
    /// How long a connection that is returned to the pool has to answer a ping.
    pub(crate) ping_timeout: Duration,
    /// Whether every transaction names its entities for row-level security.
    pub(crate) set_rls_scope: bool,
    /// Whether writes notify listeners.
    pub(crate) notify: bool,
}

impl SessionSettings {
    /// `owns_pool`: whether the pool was made by [`PgOptions::connect`].
    pub(crate) fn new(options: &PgOptions, owns_pool: bool) -> Self {
        let is_pooled = options.pooler == Pooler::Transaction;
        let settings = if is_pooled {
            set_local(options)
        } else {
            String::new()
        };
        let begin = |mode: &str| format!("BEGIN ISOLATION LEVEL READ COMMITTED{mode}{settings}");
        Self {
            response_timeout: options.statement_timeout.saturating_add(GRACE),
            begin: begin(""),
            begin_read: begin(" READ ONLY"),
            reads_in_transactions: is_pooled || options.row_level_security,
            persistent_statements: !is_pooled,
            prefetch_types: is_pooled && !owns_pool,
            ping_timeout: options.acquire_timeout,
            set_rls_scope: options.row_level_security,
            notify: options.notify_changes,
        }
    }
}

/// The timeouts as `SET LOCAL` statements. A connection of our own gets them
/// when it connects; behind a pooler every transaction has to set them.
fn set_local(options: &PgOptions) -> String {
    let mut text = String::new();
    for (name, timeout) in options.timeouts() {
        text.push_str(&format!("; SET LOCAL {name} = {}", timeout.as_millis()));
    }
    text
}
