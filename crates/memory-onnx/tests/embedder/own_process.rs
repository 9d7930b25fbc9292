//! Tests that need a process of their own: without a loaded runtime, or without
//! the memory and threads of other embedders. Each starts this test executable
//! again with the name of a case.

use std::env;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use memory_core::{EmbedRole, Embedder as _, ErrorKind};
use memory_onnx::{OnnxEmbedder, OnnxOptions, Precision, load_runtime};
use tokio::runtime::Runtime;

use super::{opened, small};

/// Set in the child process: the name of its case.
const CASE: &str = "MEMORY_ONNX_TEST_CASE";

const MB: u64 = 1_000_000;

/// Runs a case in a process of its own.
fn run_alone(case: &str) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "own_process::child", "--nocapture"])
        .env(CASE, case)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

/// The child process, not a test of its own.
#[test]
fn child() {
    let Ok(case) = env::var(CASE) else {
        return;
    };
    let runtime = Runtime::new().unwrap();
    match case.as_str() {
        "missing library" => runtime.block_on(missing_library()),
        #[cfg(target_os = "linux")]
        "memory" => runtime.block_on(memory()),
        #[cfg(target_os = "linux")]
        "threads" => runtime.block_on(threads()),
        other => panic!("there is no case {other}"),
    }
}

#[test]
fn a_missing_library_is_an_error_and_can_be_fixed_without_a_restart() {
    run_alone("missing library");
}

#[cfg(target_os = "linux")]
#[test]
fn weights_are_held_once_and_memory_does_not_grow() {
    run_alone("memory");
}

#[cfg(target_os = "linux")]
#[test]
fn dropping_the_embedder_ends_its_threads() {
    run_alone("threads");
}

async fn missing_library() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("libonnxruntime.so.1.32.0");
    let options = OnnxOptions::new().runtime_library(&absent);
    for _ in 0..2 {
        let error = OnnxEmbedder::open(options.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing);
        let text = error.to_string();
        assert!(text.contains(absent.to_str().unwrap()), "{text}");
        assert!(text.contains(memory_assets::SETUP_COMMAND), "{text}");
    }
    // Not a library, as after a failed download.
    fs::write(&absent, "<html>not found</html>").unwrap();
    assert_eq!(
        load_runtime(&options).unwrap_err().kind(),
        ErrorKind::Missing
    );
    let found = load_runtime(&OnnxOptions::new()).unwrap_or_else(|error| panic!("{error}"));
    assert!(found.library.is_file());
}

/// The resident memory of this process in bytes.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
async fn memory() {
    load_runtime(&OnnxOptions::new()).unwrap_or_else(|error| panic!("{error}"));
    let before = resident();
    // The checkpoint has 91 MB; a tokenizer takes about 20 MB.
    let full = opened(small()).await;
    let with_full = resident() - before;
    assert!(with_full < 140 * MB, "full precision takes {with_full}");
    drop(full);

    let before = resident();
    let int8 = opened(small().precision(Precision::Int8)).await;
    let with_int8 = resident().saturating_sub(before);
    assert!(with_int8 < 110 * MB, "8 bits take {with_int8}");

    // The longest text, then rounds of many texts.
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
    let growth = resident().saturating_sub(after_first);
    assert!(growth < 16 * MB, "it grew by {growth}");
}

/// The number of worker threads in this process. (The runtime library keeps one
/// thread for the whole process, which inherits the name of the thread that loaded
/// the library, without a number.)
#[cfg(target_os = "linux")]
fn worker_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let has_number = |name: &String| {
        let number = name.trim().strip_prefix("memory-onnx-");
        number.is_some_and(|number| number.parse::<usize>().is_ok())
    };
    names.filter(has_number).count()
}

#[cfg(target_os = "linux")]
async fn threads() {
    let options = small().parallelism(memory_onnx::Parallelism {
        sessions: 2,
        intra_op_threads: 1,
        solo_threads: 0,
    });
    let embedder = opened(options).await;
    embedder.embed(&["mill"], EmbedRole::Query).await.unwrap();
    // A thread sets its name itself, once it runs.
    wait_for_worker_threads(2);
    drop(embedder);
    // They have ended; the system may list them a little longer.
    wait_for_worker_threads(0);
}

#[cfg(target_os = "linux")]
fn wait_for_worker_threads(count: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while worker_threads() != count {
        let found = worker_threads();
        assert!(Instant::now() < deadline, "{found} threads, not {count}");
        thread::yield_now();
    }
}
