//! Dropping an embedder ends its threads. In a process of its own, where no
//! other embedder has threads of that name.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(target_os = "linux")]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use memory_core::{EmbedRole, Embedder as _};
use memory_onnx::{OnnxEmbedder, OnnxOptions, Parallelism};

/// Threads of this process that compute for an embedder. (The runtime library
/// keeps one thread of its own for the whole process, which inherits the name
/// of the thread that loaded the library; it has no number.)
fn computing_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let numbered = |name: &String| {
        let number = name.trim().strip_prefix("memory-onnx-");
        number.is_some_and(|number| number.parse::<usize>().is_ok())
    };
    names.filter(numbered).count()
}

#[tokio::test]
async fn the_threads_live_as_long_as_the_embedder() {
    let options = OnnxOptions::new().parallelism(Parallelism {
        sessions: 2,
        intra_op_threads: 1,
        solo_threads: 0,
    });
    let embedder = OnnxEmbedder::open(options).await;
    let embedder = embedder.unwrap_or_else(|error| panic!("{error}"));
    embedder.embed(&["mill"], EmbedRole::Query).await.unwrap();
    assert_eq!(computing_threads(), 2);
    drop(embedder);
    // They were waited for; the system may list them for a moment more.
    let patience = Instant::now() + Duration::from_secs(10);
    while computing_threads() > 0 {
        assert!(Instant::now() < patience, "the threads live on");
        thread::yield_now();
    }
}
