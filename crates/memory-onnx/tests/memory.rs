//! What an embedder holds in memory. In a process of its own, whose size is
//! the embedder's.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(target_os = "linux")]

use std::fs;

use memory_core::{EmbedRole, Embedder as _};
use memory_onnx::{OnnxEmbedder, OnnxOptions, Parallelism, Precision, load_runtime};

const MB: u64 = 1_000_000;

/// Bytes of memory that this process occupies.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

async fn open(precision: Precision) -> OnnxEmbedder {
    let options = OnnxOptions::new()
        .precision(precision)
        .parallelism(Parallelism {
            sessions: 1,
            intra_op_threads: 1,
            solo_threads: 0,
        });
    let opened = OnnxEmbedder::open(options).await;
    opened.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn weights_are_held_once_and_work_does_not_pile_up() {
    load_runtime(&OnnxOptions::new()).unwrap_or_else(|error| panic!("{error}"));
    let before = resident();
    // The checkpoint has 91 MB; a tokenizer takes some 20 MB.
    let full = open(Precision::Full).await;
    let with_full = resident() - before;
    assert!(with_full < 140 * MB, "full precision takes {with_full}");
    drop(full);

    let before = resident();
    let int8 = open(Precision::Int8).await;
    let with_int8 = resident().saturating_sub(before);
    assert!(with_int8 < 110 * MB, "8 bits take {with_int8}");

    // The longest text, then everything at once, again and again.
    let long = "The caravan moved on through rain and mud. ".repeat(200);
    int8.embed(&[&long], EmbedRole::Passage).await.unwrap();
    let turn = |n: usize| format!("{n} {}", "mill river ".repeat(1 + n % 60));
    let mut after_first = 0;
    for round in 0..4 {
        let texts: Vec<String> = (round * 200..round * 200 + 200).map(turn).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        int8.embed(&texts, EmbedRole::Passage).await.unwrap();
        if round == 0 {
            after_first = resident();
        }
    }
    let grown = resident().saturating_sub(after_first);
    assert!(grown < 16 * MB, "it grew by {grown}");
}
