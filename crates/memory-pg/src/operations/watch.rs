//! [`Store::watch`](memory_core::Store::watch): `LISTEN` on a connection of its
//! own. A task reads it, so that cancelling `next` loses no event.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{ChangeStream, EntityId, Generation, MemoryResult, StoreEvent};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool, Row};
use tokio::runtime::Builder;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::connections::acquire_probe::explain_acquire;
use crate::connections::connection::Connection;
use crate::connections::database::Database;
use crate::connections::session_settings::SessionSettings;
use crate::connections::transaction::backoff;
use crate::error::Failure;
use crate::rows::entity::CHANNEL;

const OPERATION: &str = "watch";

/// After this long without a notification the server is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How many events wait for a slow reader before it is told that some are lost.
const BUFFERED_EVENTS: usize = 1_024;
/// After this many attempts to reconnect the pause no longer doubles.
const MAX_BACKOFF_ATTEMPTS: u32 = 9;

pub(crate) async fn watch(database: &Arc<Database>) -> MemoryResult<Option<Box<dyn ChangeStream>>> {
    database.check_open(OPERATION)?;
    if !database.session_settings.notify || !database.session_settings.persistent_statements {
        return Ok(None);
    }
    let config = ListenerConfig::new(database);
    let listener = config.connect().await;
    let listener = listener.map_err(|failure| failure.into_error(OPERATION))?;
    let (events, receiver) = mpsc::channel(BUFFERED_EVENTS);
    let sender = EventSender {
        events,
        has_dropped: false,
    };
    let task = tokio::spawn(listen(config, listener, sender));
    Ok(Some(Box::new(PgChangeStream { receiver, task })))
}

/// The receiving end of the listening task.
#[derive(Debug)]
struct PgChangeStream {
    receiver: mpsc::Receiver<StoreEvent>,
    task: JoinHandle<()>,
}

#[async_trait]
impl ChangeStream for PgChangeStream {
    async fn next(&mut self) -> StoreEvent {
        // The task ends when the store is closed.
        self.receiver.recv().await.unwrap_or(StoreEvent::Closed)
    }
}

impl Drop for PgChangeStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens until the store is closed.
async fn listen(config: ListenerConfig, mut listener: Listener, mut sender: EventSender) {
    let mut closing = config.closing.clone();
    let listening = async {
        loop {
            if let Ok(listener) = listener.get() {
                receive(&config, listener, &mut sender).await;
            }
            sender.send(StoreEvent::Disconnected);
            // Before there is another: the server may go on sending to it.
            drop(listener);
            listener = config.reconnect().await;
            sender.send(StoreEvent::Reconnected);
        }
    };
    tokio::select! {
        () = listening => {}
        _ = closing.wait_for(|is_closing| *is_closing) => {}
    }
}

/// Forwards notifications until the connection fails.
async fn receive(config: &ListenerConfig, listener: &mut PgListener, sender: &mut EventSender) {
    loop {
        match timeout(PING_INTERVAL, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => {
                if let Some(event) = parse_payload(notification.payload()) {
                    sender.send(event);
                }
            }
            Ok(Ok(None) | Err(_)) => return,
            Err(_) => {
                let answer = sqlx::query("SELECT 1").execute(&mut *listener);
                if !matches!(
                    timeout(config.session_settings.response_timeout, answer).await,
                    Ok(Ok(_))
                ) {
                    return;
                }
            }
        }
    }
}

/// Parses a payload: the generation, a space, and the entity's name.
fn parse_payload(payload: &str) -> Option<StoreEvent> {
    let (generation, entity) = payload.split_once(' ')?;
    Some(StoreEvent::Changed {
        entity: EntityId::from(entity),
        generation: Generation(generation.parse().ok()?),
    })
}

/// A listener whose connection is closed when this is dropped.
struct Listener(Option<PgListener>);

impl Listener {
    /// On a connection of its own: the store's pool would be without it for good.
    async fn connect(
        options: PgConnectOptions,
        acquire_timeout: Duration,
    ) -> Result<Self, Failure> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options);
        match PgListener::connect_with(&pool).await {
            Ok(mut listener) => {
                listener.eager_reconnect(false);
                Ok(Self(Some(listener)))
            }
            Err(cause) => Err(explain_acquire(&pool, cause).await),
        }
    }

    fn get(&mut self) -> Result<&mut PgListener, sqlx::Error> {
        self.0.as_mut().ok_or(sqlx::Error::PoolClosed)
    }
}

impl Drop for Listener {
    /// The driver begins a task that unsubscribes and returns the connection to its pool,
    /// which waits without end for a server that stopped answering. In a runtime that runs
    /// nothing, that task ends at once, and the connection with it.
    fn drop(&mut self) {
        let listener = self.0.take();
        if let Ok(runtime) = Builder::new_current_thread().build() {
            let handle = runtime.handle().clone();
            let _entered = handle.enter();
            drop(listener);
            runtime.shutdown_background();
        }
    }
}

/// How to connect a listener.
struct ListenerConfig {
    /// The store's pool, which says what the channel is.
    pool: PgPool,
    session_settings: Arc<SessionSettings>,
    acquire_timeout: Duration,
    closing: watch::Receiver<bool>,
}

impl ListenerConfig {
    fn new(database: &Database) -> Self {
        Self {
            pool: database.pool.clone(),
            session_settings: Arc::clone(&database.session_settings),
            acquire_timeout: database.options.acquire_timeout,
            closing: database.closing(),
        }
    }

    async fn connect(&self) -> Result<Listener, Failure> {
        let connect = async {
            let channel = self.channel().await?;
            let options = (*self.pool.connect_options()).clone();
            let mut listener = Listener::connect(options, self.acquire_timeout).await?;
            listener.get()?.listen(&channel).await?;
            Ok(listener)
        };
        timeout(self.session_settings.response_timeout, connect)
            .await
            .map_err(|_| Failure::Timeout)?
    }

    /// The channel that writes notify. A listener's own connection may have another schema
    /// than those of an application's pool, which may set one when they connect.
    async fn channel(&self) -> Result<String, Failure> {
        let acquired = match self.pool.acquire().await {
            Ok(acquired) => acquired,
            Err(cause) => return Err(explain_acquire(&self.pool, cause).await),
        };
        let mut connection = Connection::new(acquired, Arc::clone(&self.session_settings));
        let text = format!("SELECT {CHANNEL} AS channel");
        let rows = connection
            .fetch_all(sqlx::query(AssertSqlSafe(text)))
            .await?;
        connection.release();
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(row.try_get("channel")?)
    }

    async fn reconnect(&self) -> Listener {
        let mut attempt = 1;
        loop {
            match self.connect().await {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(backoff(attempt)).await,
            }
            attempt = (attempt + 1).min(MAX_BACKOFF_ATTEMPTS);
        }
    }
}

/// Sends events to a reader that may be slow.
struct EventSender {
    events: mpsc::Sender<StoreEvent>,
    /// Whether events were dropped and the reader has not been told yet.
    has_dropped: bool,
}

impl EventSender {
    fn send(&mut self, event: StoreEvent) {
        if self.has_dropped {
            // Both or none: a reader that is disconnected waits to be reconnected.
            if self.events.capacity() < 3 {
                return;
            }
            self.has_dropped = false;
            self.send(StoreEvent::Disconnected);
            self.send(StoreEvent::Reconnected);
        }
        self.has_dropped = matches!(self.events.try_send(event), Err(TrySendError::Full(_)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_is_a_generation_and_a_name_with_any_characters() {
        let event = StoreEvent::Changed {
            entity: "mira of the mill".into(),
            generation: Generation(12),
        };
        assert_eq!(parse_payload("12 mira of the mill"), Some(event));
        assert_eq!(parse_payload("mira"), None);
    }

    #[tokio::test]
    async fn slow_reader_is_told_that_events_were_dropped() {
        let (events, mut receiver) = mpsc::channel(4);
        let mut sender = EventSender {
            events,
            has_dropped: false,
        };
        let changed = |number| StoreEvent::Changed {
            entity: "mira".into(),
            generation: Generation(number),
        };
        for number in 1..=6 {
            sender.send(changed(number));
        }
        for number in 1..=4 {
            assert_eq!(receiver.recv().await, Some(changed(number)));
        }
        sender.send(changed(7));
        for expected in [
            StoreEvent::Disconnected,
            StoreEvent::Reconnected,
            changed(7),
        ] {
            assert_eq!(receiver.recv().await, Some(expected));
        }
    }
}
