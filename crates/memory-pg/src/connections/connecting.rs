//! Connecting: how the options make a pool and its connections.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::connections::connection::type_lookup;
use crate::options::{PgOptions, Pooler};

/// How soon the server notices, during a statement, that its client is gone: otherwise a
/// read whose caller gave up would go on until its timeout, while another takes its place in
/// the pool. In milliseconds.
pub(crate) const CLIENT_CHECK: &str = "client_connection_check_interval = 1000";

impl PgOptions {
    /// The pool, whose connections get what they cannot be given while they connect.
    pub(crate) fn pool(&self) -> PgPoolOptions {
        let pool = PgPoolOptions::new()
            .max_connections(self.max_connections)
            .acquire_timeout(self.acquire_timeout);
        match self.pooler {
            Pooler::None => pool.after_connect(|connection, _| {
                Box::pin(async move {
                    let set = format!("SET {CLIENT_CHECK}");
                    match sqlx::raw_sql(AssertSqlSafe(set)).execute(connection).await {
                        // Some platforms refuse it.
                        Err(sqlx::Error::Database(_)) => Ok(()),
                        done => done.map(drop),
                    }
                })
            }),
            Pooler::Transaction => pool.after_connect(|connection, _| {
                Box::pin(async move {
                    // In one transaction, and so in one session. If the types do
                    // not exist yet, opening creates them and looks them up again.
                    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
                    let _ = type_lookup().execute(&mut *connection).await;
                    sqlx::raw_sql("ROLLBACK").execute(connection).await?;
                    Ok(())
                })
            }),
        }
    }

    /// How a connection is made.
    pub(crate) fn connection(&self, options: PgConnectOptions) -> PgConnectOptions {
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("memory-pg"),
        };
        match self.pooler {
            Pooler::None => {
                let millis = |(name, timeout): (_, Duration)| (name, timeout.as_millis());
                let options = options.options(self.timeouts().map(millis));
                match self.read_only {
                    true => options.options([("default_transaction_read_only", "on")]),
                    false => options,
                }
            }
            // It supports neither startup options nor named statements.
            Pooler::Transaction => options.extra_float_digits(None).statement_cache_capacity(0),
        }
    }
}
