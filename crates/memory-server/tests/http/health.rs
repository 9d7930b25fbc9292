//! Whether the server is ready, with a model that stops working.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use memory::embed::{EmbedRole, Embedder, EmbedderProfile};
use memory::{ErrorKind, MemoryError, MemoryResult};
use memory_server::ServerOptions;
use memory_testkit::HashEmbedder;

use crate::harness::TestServer;

/// An embedder that counts its calls, and fails while it is told to.
#[derive(Debug)]
struct FailingEmbedder {
    inner: HashEmbedder,
    fails: AtomicBool,
    calls: AtomicUsize,
}

impl FailingEmbedder {
    fn new(fails: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: HashEmbedder::new(),
            fails: fails.into(),
            calls: AtomicUsize::new(0),
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
    assert!(detail.contains("does not answer"), "{detail}");
    assert_eq!(unready.header("retry-after"), Some("1"));
    server.get("/health/live").await.ok(204);
}

#[tokio::test]
async fn many_checks_call_the_model_once() {
    let model = FailingEmbedder::new(false);
    let server = TestServer::start_with(model.clone(), |_| ServerOptions::new()).await;
    let checks = (0..50).map(|_| server.get("/health/ready"));
    for ready in futures_util::future::join_all(checks).await {
        ready.ok(204);
    }
    assert_eq!(model.calls.load(Ordering::SeqCst), 1);
}
