//! Whether the server is ready, with a model that stops working.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use memory::embed::{EmbedRole, Embedder, EmbedderProfile};
use memory::{ErrorKind, MemoryError, MemoryResult};
use memory_server::ServerOptions;
use memory_testkit::HashEmbedder;
use tokio::sync::Semaphore;

use crate::harness::TestServer;

/// An embedder that counts its calls, and fails while it is told to.
#[derive(Debug)]
pub(crate) struct FailingEmbedder {
    inner: HashEmbedder,
    fails: AtomicBool,
    calls: AtomicUsize,
    /// A call waits for one of these, if they are limited.
    permits: Option<Semaphore>,
}

impl FailingEmbedder {
    fn new(fails: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: HashEmbedder::new(),
            fails: fails.into(),
            calls: AtomicUsize::new(0),
            permits: None,
        })
    }

    /// One whose calls wait for permits, of which there are none yet.
    pub(crate) fn waiting() -> Arc<Self> {
        Arc::new(Self {
            inner: HashEmbedder::new(),
            fails: false.into(),
            calls: AtomicUsize::new(0),
            permits: Some(Semaphore::new(0)),
        })
    }
}

#[async_trait]
impl Embedder for FailingEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        self.inner.profile()
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(permits) = &self.permits {
            permits.acquire().await.expect("it is not closed").forget();
        }
        match self.fails.load(Ordering::SeqCst) {
            true => Err(MemoryError::embedder(
                ErrorKind::Unavailable,
                "embed",
                "the model does not answer",
            )),
            false => self.inner.embed(texts, role).await,
        }
    }
}

#[tokio::test]
async fn a_dead_model_is_not_ready_whatever_is_cached() {
    let model = FailingEmbedder::new(false);
    let server = TestServer::start_with(model.clone(), |_| ServerOptions::new()).await;
    // The cache has the texts that a check could ask for.
    let cached = server
        .memory
        .generate_embeddings_batch(["ready", "Rain."])
        .await;
    cached.expect("vectors");
    server
        .memory
        .recall("mira", "ready")
        .await
        .expect("no hits");
    model.fails.store(true, Ordering::SeqCst);
    let unready = server.get("/health/ready").await;
    let detail = unready.problem(503, "unavailable");
    assert!(detail.contains("the model does not work"), "{detail}");
    assert!(
        !detail.contains("does not answer"),
        "the text of the error: {detail}"
    );
    assert_eq!(unready.header("retry-after"), Some("1"));
    server.get("/health/live").await.ok(204);
}

#[tokio::test]
async fn many_checks_call_the_model_once() {
    const WAITING: usize = 20;
    let model = FailingEmbedder::waiting();
    let server = TestServer::start_with(model.clone(), |_| ServerOptions::new()).await;
    let check = || server.request("GET", "/health/ready");
    let first = tokio::spawn(check().send());
    // None of these is answered while the model is: each would have called it by now.
    let time = Duration::from_millis(500);
    let waiting = (0..WAITING).map(|_| check().timeout(time).send());
    for ended in futures_util::future::join_all(waiting).await {
        assert!(ended.is_err_and(|error| error.is_timeout()));
    }
    assert_eq!(model.calls.load(Ordering::SeqCst), 1);
    let permits = model.permits.as_ref().expect("it has some");
    permits.add_permits(WAITING);
    let first = first.await.expect("it does not panic");
    assert_eq!(first.expect("it answers").status(), 204);
    let checks = (0..WAITING).map(|_| server.get("/health/ready"));
    for ready in futures_util::future::join_all(checks).await {
        ready.ok(204);
    }
    assert_eq!(model.calls.load(Ordering::SeqCst), 1);
}
