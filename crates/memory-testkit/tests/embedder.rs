//! The hashing embedder passes the suite.

use memory_core::{EmbedRole, Embedder, ErrorKind, MemoryError};
use memory_testkit::{HashEmbedder, embedder, wait_until};

#[tokio::test]
async fn the_hashing_embedder_conforms() {
    for hashing in [
        HashEmbedder::new(),
        HashEmbedder::new().with_dimensions(64).with_window(12),
        HashEmbedder::new().with_window(2),
        HashEmbedder::new().with_window(100_000),
    ] {
        let report = embedder::conformance(&hashing).await;
        report.assert();
        assert_eq!(report.outcomes().len(), embedder::CHECKS.len());
    }
}

#[tokio::test]
async fn it_counts_calls_and_texts_and_can_be_held_or_failed() {
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let gate = std::sync::Mutex::new(Some(gate));
    let hashing = HashEmbedder::new().with_hook(move |texts| {
        let gate = gate.lock().unwrap().take();
        async move {
            if let Some(gate) = gate {
                let _ = gate.await;
            }
            if texts == 3 {
                return Err(MemoryError::embedder(ErrorKind::Other, "embed", "three"));
            }
            Ok(())
        }
    });
    let counter = hashing.clone();
    let held = tokio::spawn(async move { hashing.embed(&["a", "b"], EmbedRole::Query).await });
    wait_until("the call arrives", async || counter.calls() > 0).await;
    assert!(!held.is_finished(), "the hook holds it open");
    open.send(()).unwrap();
    assert_eq!(held.await.unwrap().unwrap().len(), 2);
    let failed = counter.embed(&["a", "b", "c"], EmbedRole::Query).await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Other);
    assert_eq!((counter.calls(), counter.texts()), (2, 5));
}
