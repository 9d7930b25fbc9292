//! Session settings: what the options mean for connections and transactions.

use std::iter;
use std::time::Duration;

use crate::connections::connecting::CLIENT_CHECK;
use crate::options::{PgOptions, Pooler};

/// How much longer than the statement timeout an answer may take to arrive.
const GRACE: Duration = Duration::from_secs(5);

/// What is known of the server.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerTraits {
    /// Whether it spreads tables over other servers (Citus).
    pub(crate) is_distributed: bool,
    /// Whether it can notice during a statement that its client is gone.
    pub(crate) checks_client: bool,
}

/// How connections are used.
#[derive(Debug)]
pub(crate) struct SessionSettings {
    /// How long the server may work on a statement outside of transactions. `None` where
    /// the connections have limits of their own.
    pub(crate) statement_timeout: Option<Duration>,
    /// In a transaction, where each sets it.
    pub(crate) transaction_statement_timeout: Option<Duration>,
    /// How long to wait for the answer to a statement.
    pub(crate) response_timeout: Duration,
    /// The messages that begin a transaction that writes.
    pub(crate) begin: Vec<String>,
    /// The settings that every transaction makes.
    transaction_settings: Vec<String>,
    /// Whether the server spreads tables over other servers (Citus).
    pub(crate) is_distributed: bool,
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
    pub(crate) fn new(options: &PgOptions, owns_pool: bool, server: ServerTraits) -> Self {
        let is_distributed = server.is_distributed;
        let is_pooled = options.pooler == Pooler::Transaction;
        // A connection of our own gets the timeouts when it connects. A pooler passes
        // them to no session, and a distributed server to none of its nodes.
        let sets_timeouts = is_pooled || is_distributed;
        let mut transaction_settings = match sets_timeouts {
            true => timeouts(options),
            false => Vec::new(),
        };
        if is_pooled && server.checks_client {
            transaction_settings.push(CLIENT_CHECK.to_owned());
        }
        let has_timeouts = owns_pool && !is_pooled;
        let mut settings = Self {
            statement_timeout: has_timeouts.then_some(options.statement_timeout),
            transaction_statement_timeout: sets_timeouts.then_some(options.statement_timeout),
            response_timeout: options.statement_timeout.saturating_add(GRACE),
            begin: Vec::new(),
            transaction_settings,
            is_distributed,
            reads_in_transactions: is_pooled || options.row_level_security,
            persistent_statements: !is_pooled,
            prefetch_types: is_pooled && !owns_pool,
            ping_timeout: options.acquire_timeout,
            set_rls_scope: options.row_level_security,
            notify: options.notify_changes,
        };
        settings.begin = settings.begin_messages("", &[]);
        settings
    }

    /// The messages that begin a transaction that reads, with these settings.
    pub(crate) fn begin_read(&self, settings: &[String]) -> Vec<String> {
        self.begin_messages(" READ ONLY", settings)
    }

    /// One message, where possible. A distributed server passes a setting on to its
    /// nodes with the whole message in which it came, so each needs a message.
    fn begin_messages(&self, mode: &str, settings: &[String]) -> Vec<String> {
        let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED{mode}");
        let settings = self.transaction_settings.iter().chain(settings);
        let settings = settings.map(|setting| format!("SET LOCAL {setting}"));
        if self.is_distributed {
            let begin = format!("{begin}; SET LOCAL citus.propagate_set_commands = 'local'");
            return iter::once(begin).chain(settings).collect();
        }
        let message: Vec<String> = iter::once(begin).chain(settings).collect();
        vec![message.join("; ")]
    }
}

/// The timeouts as settings of a transaction.
fn timeouts(options: &PgOptions) -> Vec<String> {
    let timeouts = options.timeouts();
    let setting = |(name, timeout): &(&str, Duration)| format!("{name} = {}", timeout.as_millis());
    timeouts.iter().map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_a_message_on_a_distributed_server() {
        let limit = ["hnsw.ef_search = 100".to_owned()];
        let plain = SessionSettings::new(&PgOptions::new(), true, ServerTraits::default());
        let read = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
        assert_eq!(
            plain.begin_read(&limit),
            [format!("{read}; SET LOCAL hnsw.ef_search = 100")]
        );
        let server = ServerTraits {
            is_distributed: true,
            checks_client: true,
        };
        let distributed = SessionSettings::new(&PgOptions::new(), true, server);
        let expected = [
            &format!("{read}; SET LOCAL citus.propagate_set_commands = 'local'"),
            "SET LOCAL statement_timeout = 30000",
            "SET LOCAL lock_timeout = 10000",
            "SET LOCAL idle_in_transaction_session_timeout = 30000",
            "SET LOCAL hnsw.ef_search = 100",
        ];
        assert_eq!(distributed.begin_read(&limit), expected);
    }
}
