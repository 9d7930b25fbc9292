//! A subscriber that keeps everything, at every level and of every crate.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// All spans and events of the process, as text.
#[derive(Clone, Default)]
pub(crate) struct TraceLog(Arc<Inner>);

#[derive(Default)]
struct Inner {
    text: Mutex<String>,
    ids: AtomicU64,
}

impl TraceLog {
    /// Installs it for the process.
    pub(crate) fn install() -> Self {
        let log = Self::default();
        tracing::subscriber::set_global_default(log.clone()).unwrap();
        log
    }

    pub(crate) fn len(&self) -> usize {
        self.0.text.lock().unwrap().len()
    }

    /// What was written after `start`.
    pub(crate) fn since(&self, start: usize) -> String {
        self.0.text.lock().unwrap()[start..].to_owned()
    }

    fn write(&self, what: fmt::Arguments<'_>, record: impl FnOnce(&mut Fields<'_>)) {
        let mut text = self.0.text.lock().unwrap();
        write!(text, "{what}").unwrap();
        record(&mut Fields(&mut text));
        text.push('\n');
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for TraceLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
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
