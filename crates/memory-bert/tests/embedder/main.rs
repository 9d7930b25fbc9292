//! The embedder on the real libtorch and the default model from the cache
//! folder. Where the model is missing these tests fail, with the message that
//! a user would get.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod calls;
mod open;
mod parity;

use std::sync::Arc;

use memory_bert::{BertEmbedder, BertOptions};
use memory_testkit::embedder::Suite;
use tokio::sync::OnceCell;

#[tokio::test]
async fn the_embedder_conforms() {
    let report = Suite::new().with_meaning().run(&*shared().await).await;
    report.assert();
}

/// One embedder for all tests that do not need their own.
async fn shared() -> Arc<BertEmbedder> {
    static SHARED: OnceCell<Arc<BertEmbedder>> = OnceCell::const_new();
    let open = async || Arc::new(opened(BertOptions::new()).await);
    SHARED.get_or_init(open).await.clone()
}

async fn opened(options: BertOptions) -> BertEmbedder {
    let opened = BertEmbedder::open(options).await;
    opened.unwrap_or_else(|error| panic!("{error}"))
}

/// The largest difference of two vectors in any component.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(x, y)| (x - y).abs());
    differences.fold(0.0, f32::max)
}
