//! A subscriber that keeps what is logged, to check what is logged and what is not.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{SetGlobalDefaultError, set_global_default};
use tracing::{Event, Level, Metadata, Subscriber};

/// Spans and events as text, a line each: of every level and crate by default. Clones share
/// the text.
#[derive(Debug, Clone, Default)]
pub struct TraceLog(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Whatever is more detailed is left out.
    most: Option<Level>,
    text: Mutex<String>,
    ids: AtomicU64,
}

impl TraceLog {
    /// Warnings and errors only, for `tracing::subscriber::set_default`.
    #[must_use]
    pub fn warnings() -> Self {
        Self(Arc::new(Inner {
            most: Some(Level::WARN),
            ..Inner::default()
        }))
    }

    /// Installs one of everything for the process.
    ///
    /// # Errors
    /// The process has another subscriber.
    pub fn install() -> Result<Self, SetGlobalDefaultError> {
        let log = Self::default();
        set_global_default(log.clone())?;
        Ok(log)
    }

    /// The number of bytes so far.
    #[must_use]
    pub fn end(&self) -> usize {
        self.text().len()
    }

    /// What was written after an [`end`](Self::end).
    #[must_use]
    pub fn since(&self, end: usize) -> String {
        self.text().get(end..).unwrap_or_default().to_owned()
    }

    fn text(&self) -> MutexGuard<'_, String> {
        self.0.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, what: fmt::Arguments<'_>, record: impl FnOnce(&mut Fields<'_>)) {
        let mut text = self.text();
        // Writing to a string does not fail.
        let _ = write!(text, "{what}");
        record(&mut Fields(&mut text));
        text.push('\n');
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for TraceLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.most.is_none_or(|most| *metadata.level() <= most)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let (target, name) = (span.metadata().target(), span.metadata().name());
        self.write(format_args!("span {name} {target}"), |fields| {
            span.record(fields);
        });
        Id::from_u64(self.0.ids.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.write(format_args!("record"), |fields| values.record(fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let target = event.metadata().target();
        self.write(format_args!("event {target}"), |fields| {
            event.record(fields);
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
