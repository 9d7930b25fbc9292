//! [`Store::watch`](memory_core::Store::watch): `LISTEN`, on a connection of
//! its own. A task reads it, so that a listener that is dropped in the middle
//! of waiting loses nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{ChangeStream, EntityId, Generation, MemoryResult, StoreEvent};
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::database::Database;
use crate::entity::CHANNEL;
use crate::error::Failure;
use crate::write::pause;

const OPERATION: &str = "watch";

/// After so long a silence the server is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(20);
/// How many news wait for a slow reader before it is told that some are lost.
const WAITING: usize = 1_024;
/// Pauses between attempts to connect anew no longer double after so many.
const DOUBLINGS: u32 = 9;

pub(crate) async fn watch(database: &Arc<Database>) -> MemoryResult<Option<Box<dyn ChangeStream>>> {
    database.open(OPERATION)?;
    if !database.manners.announces || !database.manners.keeps_statements {
        return Ok(None);
    }
    let ears = Ears::new(database);
    let listener = ears.listen().await;
    let listener = listener.map_err(|failure| failure.told(OPERATION))?;
    let (news, waiting) = mpsc::channel(WAITING);
    let voice = Voice {
        news,
        is_behind: false,
    };
    let task = tokio::spawn(tell(ears, listener, voice));
    Ok(Some(Box::new(Watch { waiting, task })))
}

/// News on their way to whoever asks.
#[derive(Debug)]
struct Watch {
    waiting: mpsc::Receiver<StoreEvent>,
    task: JoinHandle<()>,
}

#[async_trait]
impl ChangeStream for Watch {
    async fn next(&mut self) -> StoreEvent {
        // The task ends when the store is closed.
        self.waiting.recv().await.unwrap_or(StoreEvent::Closed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens until the store is closed.
async fn tell(ears: Ears, mut listener: PgListener, mut voice: Voice) {
    let mut closing = ears.closing.clone();
    let listening = async {
        loop {
            hear(&ears, &mut listener, &mut voice).await;
            voice.say(StoreEvent::Disconnected);
            listener = ears.listen_again().await;
            voice.say(StoreEvent::Reconnected);
        }
    };
    tokio::select! {
        () = listening => {}
        _ = closing.wait_for(|is_closing| *is_closing) => {}
    }
}

/// Passes on what is announced, until the connection fails.
async fn hear(ears: &Ears, listener: &mut PgListener, voice: &mut Voice) {
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(announcement))) => {
                if let Some(news) = written(announcement.payload()) {
                    voice.say(news);
                }
            }
            Ok(Ok(None) | Err(_)) => return,
            Err(_) => {
                let answer = sqlx::query("SELECT 1").execute(&mut *listener);
                if !matches!(timeout(ears.patience, answer).await, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}

/// An announcement: the generation, and the rest is the entity's name.
fn written(payload: &str) -> Option<StoreEvent> {
    let (generation, entity) = payload.split_once(' ')?;
    Some(StoreEvent::Changed {
        entity: EntityId::from(entity),
        generation: Generation(generation.parse().ok()?),
    })
}

/// Where to listen.
struct Ears {
    /// Apart from the store's: a listener would hold one of its places for good.
    pool: PgPool,
    patience: Duration,
    closing: watch::Receiver<bool>,
}

impl Ears {
    fn new(database: &Database) -> Self {
        let options = (*database.pool.connect_options()).clone();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(database.options.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options);
        Self {
            pool,
            patience: database.manners.patience,
            closing: database.closing(),
        }
    }

    async fn listen(&self) -> Result<PgListener, Failure> {
        let connect = async {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            listener.eager_reconnect(false);
            let channel: String = sqlx::query_scalar(AssertSqlSafe(format!("SELECT {CHANNEL}")))
                .fetch_one(&mut listener)
                .await?;
            listener.listen(&channel).await?;
            Ok(listener)
        };
        timeout(self.patience, connect)
            .await
            .map_err(|_| Failure::Silent)?
    }

    async fn listen_again(&self) -> PgListener {
        let mut attempt = 1;
        loop {
            match self.listen().await {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(pause(attempt)).await,
            }
            attempt = (attempt + 1).min(DOUBLINGS);
        }
    }
}

/// Speaks to a reader who may be slow.
struct Voice {
    news: mpsc::Sender<StoreEvent>,
    /// Whether news were dropped, and the reader does not know yet.
    is_behind: bool,
}

impl Voice {
    fn say(&mut self, news: StoreEvent) {
        if self.is_behind {
            // Both or none: a reader who hears of a loss waits for its end.
            if self.news.capacity() < 3 {
                return;
            }
            self.is_behind = false;
            self.say(StoreEvent::Disconnected);
            self.say(StoreEvent::Reconnected);
        }
        self.is_behind = matches!(self.news.try_send(news), Err(TrySendError::Full(_)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_a_generation_and_a_name_with_any_signs() {
        let news = StoreEvent::Changed {
            entity: "mira of the mill".into(),
            generation: Generation(12),
        };
        assert_eq!(written("12 mira of the mill"), Some(news));
        assert_eq!(written("mira"), None);
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_that_it_missed_something() {
        let (news, mut waiting) = mpsc::channel(4);
        let mut voice = Voice {
            news,
            is_behind: false,
        };
        let written = |number| StoreEvent::Changed {
            entity: "mira".into(),
            generation: Generation(number),
        };
        for number in 1..=6 {
            voice.say(written(number));
        }
        for number in 1..=4 {
            assert_eq!(waiting.recv().await, Some(written(number)));
        }
        voice.say(written(7));
        for wanted in [
            StoreEvent::Disconnected,
            StoreEvent::Reconnected,
            written(7),
        ] {
            assert_eq!(waiting.recv().await, Some(wanted));
        }
    }
}
