//! The statements that the server runs, with their plans: the module `auto_explain`
//! reports them to the client, whose driver passes them on as events.

use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{connect, run};

static LOG: Mutex<Vec<LoggedStatement>> = Mutex::new(Vec::new());
/// There is one log for all tests of a process.
static OWNER: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A statement that the server ran.
pub(crate) struct LoggedStatement {
    pub(crate) text: String,
    /// Empty of a statement about a cursor.
    pub(crate) plan: String,
}

/// Keeps other tests of this process from logging.
pub(crate) async fn lock() -> tokio::sync::MutexGuard<'static, ()> {
    OWNER.lock().await
}

/// Logs the statements of connections to this database that are made from here on.
pub(crate) async fn enable(url: &str) {
    let settings = [
        "session_preload_libraries = auto_explain",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_level = notice",
        "auto_explain.log_parameter_max_length = 0",
    ];
    set(url, &settings).await;
}

/// As [`enable`], also cursors, which are logged without plans: a load ends by rolling back,
/// and `auto_explain` reports a cursor that is closed.
pub(crate) async fn enable_with_cursors(url: &str) {
    enable(url).await;
    set(url, &["log_statement = 'all'", "client_min_messages = log"]).await;
}

async fn set(url: &str, settings: &[&str]) {
    // The subscriber of another test in this process is of the same kind.
    let _ = tracing::subscriber::set_global_default(NoticeSubscriber);
    let mut connection = connect(url).await;
    run(&mut connection, "LOAD 'auto_explain'").await;
    for setting in settings {
        let setting = setting.replace('\'', "''");
        let set = format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {setting}', current_database()); \
             END $$"
        );
        run(&mut connection, &set).await;
    }
}

/// Takes what was logged so far.
pub(crate) fn take() -> Vec<LoggedStatement> {
    std::mem::take(&mut *LOG.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Collects the server's notices.
struct NoticeSubscriber;

impl Subscriber for NoticeSubscriber {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::postgres::notice"
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut NoticeVisitor);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct NoticeVisitor;

impl Visit for NoticeVisitor {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.record_str(field, &format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "message" {
            return;
        }
        let explained = value.split_once("plan:\nQuery Text: ");
        let logged = match explained.and_then(|(_, rest)| rest.split_once('\n')) {
            None => cursor_statement(value).map(|text| (text, "")),
            explained => explained,
        };
        if let Some((text, plan)) = logged {
            let (text, plan) = (text.to_owned(), plan.to_owned());
            let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
            log.push(LoggedStatement { text, plan });
        }
    }
}

/// The statement about a cursor that a message of the server's log has.
fn cursor_statement(message: &str) -> Option<&str> {
    let (_, text) = message.split_once(": ")?;
    let is_of_cursor = ["DECLARE ", "FETCH "].iter().any(|it| text.starts_with(it));
    is_of_cursor.then_some(text)
}
