//! How connections are used: what the options make of every transaction.

use std::time::Duration;

use crate::options::{PgOptions, Pooler};

/// How much longer than the server may take its answer may be under way.
const GRACE: Duration = Duration::from_secs(5);

/// How connections are used.
#[derive(Debug)]
pub(crate) struct Manners {
    /// How long to wait for an answer.
    pub(crate) patience: Duration,
    /// Begins a transaction that writes.
    pub(crate) begin: String,
    /// Begins a transaction that reads.
    pub(crate) begin_reading: String,
    /// Whether every statement that reads is given one.
    pub(crate) reads_in_transactions: bool,
    /// Whether statements keep a name on the server from one use to the next.
    pub(crate) keeps_statements: bool,
    /// Whether the types of columns are looked up in every transaction: where
    /// statements are not kept, and nobody did it when connecting.
    pub(crate) asks_for_types: bool,
    /// How long a connection that is given back has for a sign of life.
    pub(crate) sign_of_life: Duration,
    /// Whether every transaction tells which entities it is about.
    pub(crate) names_entities: bool,
    /// Whether writes are announced to those who listen.
    pub(crate) announces: bool,
}

impl Manners {
    /// `owned`: whether the pool is one that [`PgOptions::connect`] made.
    pub(crate) fn new(options: &PgOptions, owned: bool) -> Self {
        let shared = options.pooler == Pooler::Transaction;
        let settings = if shared {
            settings(options)
        } else {
            String::new()
        };
        let begin = |mode: &str| format!("BEGIN ISOLATION LEVEL READ COMMITTED{mode}{settings}");
        Self {
            patience: options.statement_timeout.saturating_add(GRACE),
            begin: begin(""),
            begin_reading: begin(" READ ONLY"),
            reads_in_transactions: shared || options.row_level_security,
            keeps_statements: !shared,
            asks_for_types: shared && !owned,
            sign_of_life: options.acquire_timeout,
            names_entities: options.row_level_security,
            announces: options.announcements,
        }
    }
}

/// What a connection of our own is told when it begins, and one that is shared
/// with others has to be told in every transaction.
fn settings(options: &PgOptions) -> String {
    let mut text = String::new();
    for (name, timeout) in options.timeouts() {
        text.push_str(&format!("; SET LOCAL {name} = {}", timeout.as_millis()));
    }
    text
}
