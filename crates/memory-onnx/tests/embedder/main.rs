//! The embedder with the real runtime and the default model, both from the cache
//! directory. If they are missing, the tests fail with the error that a user gets.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod calls;
mod checkpoint;
mod e5;
#[cfg(feature = "hub")]
mod hub;
mod invariance;
mod long_text;
mod open;
mod own_process;
mod parity;
mod random_bert;
mod reference_bert;
mod threads;
mod xlm_roberta;

use std::sync::Arc;

use memory_core::cosine;
use memory_onnx::{OnnxEmbedder, OnnxOptions, Parallelism, Precision, WeightSource};
use memory_testkit::embedder::Suite;
use tokio::sync::OnceCell;

#[tokio::test]
async fn every_variant_conforms() {
    for embedder in [shared().await, shared_int8().await, shared_graph().await] {
        let report = Suite::new().with_meaning().run(&*embedder).await;
        report.assert();
    }
}

/// The embedder of all tests that do not need their own.
async fn shared() -> Arc<OnnxEmbedder> {
    static SHARED: OnceCell<Arc<OnnxEmbedder>> = OnceCell::const_new();
    let open = async || Arc::new(opened(OnnxOptions::new()).await);
    SHARED.get_or_init(open).await.clone()
}

/// Like [`shared`], in 8 bits.
async fn shared_int8() -> Arc<OnnxEmbedder> {
    static SHARED: OnceCell<Arc<OnnxEmbedder>> = OnceCell::const_new();
    let open = async || Arc::new(opened(OnnxOptions::new().precision(Precision::Int8)).await);
    SHARED.get_or_init(open).await.clone()
}

/// Like [`shared`], with the exported graph.
async fn shared_graph() -> Arc<OnnxEmbedder> {
    static SHARED: OnceCell<Arc<OnnxEmbedder>> = OnceCell::const_new();
    let options = || OnnxOptions::new().weight_source(WeightSource::Graph);
    let open = async || Arc::new(opened(options()).await);
    SHARED.get_or_init(open).await.clone()
}

/// Options with one session, for tests with an embedder of their own.
fn small() -> OnnxOptions {
    OnnxOptions::new().parallelism(Parallelism {
        sessions: 1,
        intra_op_threads: 1,
        solo_threads: 0,
    })
}

async fn opened(options: OnnxOptions) -> OnnxEmbedder {
    let opened = OnnxEmbedder::open(options).await;
    opened.unwrap_or_else(|error| panic!("{error}"))
}

/// The maximum difference of two vectors in any component.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(x, y)| (x - y).abs())
        .fold(0.0, f32::max)
}

fn assert_normalized(vector: &[f32]) {
    assert!(vector.iter().all(|x| x.is_finite()));
    assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
}

/// Distinct texts of mixed length.
fn turns(count: usize) -> Vec<String> {
    let words = [
        "mill", "river", "horse", "bridge", "flood", "market", "candle", "wolf",
    ];
    let turn = |n: usize| {
        let said = (0..1 + n * 7 % 40).map(|k| words[(n * 31 + k * k) % words.len()]);
        format!("{n}: {}", said.collect::<Vec<_>>().join(" "))
    };
    (0..count).map(turn).collect()
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
