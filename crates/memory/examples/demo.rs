//! The demo: imports one character's year of memories, asks questions, and
//! prints how long that took. `cargo xtask demo` runs it.
//!
//! It opens a fresh database in a temporary folder, imports `story.jsonl`, asks
//! the questions of the story, times cold and warm recalls, then alters and deletes
//! a memory and asks again. It is also a check: an expected answer that is
//! not among the first three hits, or a stale hit, ends it with an error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a demo talks to anyone who runs it"
)]

#[path = "demo/coherence.rs"]
mod coherence;
#[path = "demo/questions.rs"]
mod questions;
#[path = "demo/story.rs"]
mod story;
#[path = "demo/timing.rs"]
mod timing;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use memory::{ManualClock, MemoryFilter, MemorySystem};

/// Any error ends the demo.
type Demo<T = ()> = Result<T, Box<dyn Error>>;

/// The entity whose memories the story contains.
const MIRA: &str = "mira";

/// The morning after the last memory of the story. The clock is fixed there, so
/// that the scores are the same whenever the demo runs.
const NOW: &str = "2026-11-01T08:00:00Z";

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Demo {
    let folder = tempfile::tempdir()?;
    let memory = MemorySystem::builder()
        .url(format!(
            "sqlite://{}",
            folder.path().join("mira.db").display()
        ))
        .clock(Arc::new(ManualClock::new(NOW.parse()?)))
        .build()
        .await?;

    let story = story::read()?;
    let told = story.len();
    let started = Instant::now();
    let ids = memory.retain_batch(story).await?;
    let import = started.elapsed();
    let count = memory.count_memories(MIRA, &MemoryFilter::new()).await?;
    ensure(usize::try_from(count) == Ok(told), || {
        format!("the story tells {told} memories, and {count} were retained")
    })?;
    println!("Mira keeps the ferry inn at Quillbank. She has {count} memories of this year.");

    questions::ask_all(&memory).await?;
    timing::measure(&memory, &ids, import).await?;
    coherence::show(&memory).await?;

    memory.close().await?;
    folder.close()?;
    Ok(())
}

/// Fails with a message unless a condition holds.
fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Demo {
    if holds {
        Ok(())
    } else {
        Err(otherwise().into())
    }
}

/// Prints a heading after an empty line.
fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.chars().count()));
}
