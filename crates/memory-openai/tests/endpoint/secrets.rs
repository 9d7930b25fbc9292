//! Neither key nor prompt nor answer is ever printed.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};

use memory_core::LanguageModel;
use memory_openai::OpenAi;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::server::{Reply, SECRET, Server};
use crate::{KEY, PROMPT, failure, options};

/// Writes down everything, of every level and of every crate.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0.lock().unwrap(), " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn logs_hold_counts_and_no_content() {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    let script = [
        Reply::error(503, SECRET),
        Reply::text(SECRET),
        Reply::error(400, SECRET),
        Reply::new(200, SECRET),
    ];
    let server = Server::start(script).await;
    let model = OpenAi::new(options(&server).system_prompt(SECRET)).unwrap();
    assert_eq!(model.complete(PROMPT).await.unwrap(), SECRET);
    failure(&model).await;
    failure(&model).await;
    drop(guard);

    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("a request is sent again"), "{log}");
    assert!(log.contains("503"), "{log}");
    for secret in [PROMPT, KEY, SECRET] {
        assert!(!log.contains(secret), "{log}");
        assert!(!format!("{model:?}").contains(secret), "{model:?}");
    }
}
