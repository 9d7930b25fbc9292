//! One row: an engine, a kind of call, repeated until it says something.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory::MemorySystem;
use memory_benches::figures::{Timings, peak_mebibytes};

use super::engine::{Engine, Running};
use super::row::{self, Row};
use super::work::{Texts, Work};

/// Short calls are repeated for so long.
const LEAST: Duration = Duration::from_secs(3);

pub(crate) fn measure(
    engine: Engine,
    work: Work,
    data: &Path,
    turns: usize,
) -> Result<Row, Box<dyn Error>> {
    let texts = work.texts(data, turns)?;
    let mut running = engine.open()?;
    if work == Work::Cached {
        return cached(engine, running, &texts);
    }
    // Allocations and lazy starts happen on the first call of a shape; on the
    // long work a small call does.
    let refs: Vec<&str> = texts.texts.iter().map(String::as_str).collect();
    black_box(running.embed(&refs[..texts.call.min(100)])?);

    let mut timings = Timings::default();
    let (mut count, mut tokens, mut operations) = (0, 0, 0.0);
    let mut padded = 0;
    let start = Instant::now();
    for (call, lengths) in refs
        .chunks_exact(texts.call)
        .zip(texts.tokens.chunks_exact(texts.call))
        .cycle()
    {
        let begin = Instant::now();
        let vectors = running.embed(black_box(call))?;
        timings.push(begin.elapsed());
        if vectors != call.len() {
            return Err("not a vector for each text".into());
        }
        count += call.len();
        tokens += lengths.iter().sum::<usize>();
        padded += row::padded(engine, lengths);
        operations += lengths
            .iter()
            .map(|length| row::operations(*length))
            .sum::<f64>();
        if start.elapsed() >= LEAST {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Row {
        engine: engine.name().to_owned(),
        work: work.name().to_owned(),
        texts_per_second: per(count, seconds),
        tokens_per_second: per(tokens, seconds),
        gflops: operations / seconds / 1e9,
        padding: Some(per(padded, 1.0) / per(tokens, 1.0) - 1.0),
        call: timings.percentile(0.5),
        peak_mebibytes: peak_mebibytes(),
    })
}

/// What the embedding tier holds, through the facade.
fn cached(engine: Engine, running: Running, texts: &Texts) -> Result<Row, Box<dyn Error>> {
    /// Calls that are timed together: one alone is shorter than a clock is
    /// good for.
    const TOGETHER: u32 = 1_000;
    let Running::House(embedder, runtime) = running else {
        return Err("only this system has the tier".into());
    };
    let text = [texts.texts[0].clone()];
    let mut timings = Timings::default();
    runtime.block_on(async {
        let memory = MemorySystem::builder()
            .url("sqlite::memory:")
            .embedder(Arc::clone(&embedder))
            .build()
            .await?;
        let start = Instant::now();
        while start.elapsed() < LEAST {
            let begin = Instant::now();
            for _ in 0..TOGETHER {
                black_box(memory.generate_embeddings_batch(black_box(&text)).await?);
            }
            timings.push(begin.elapsed() / TOGETHER);
        }
        memory.close().await
    })?;
    let call = timings.percentile(0.5);
    Ok(Row {
        engine: format!("embedding tier over {}", engine.name()),
        work: Work::Cached.name().to_owned(),
        texts_per_second: 1.0 / call.as_secs_f64(),
        tokens_per_second: per(texts.tokens[0], call.as_secs_f64()),
        gflops: 0.0,
        padding: None,
        call,
        peak_mebibytes: peak_mebibytes(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
fn per(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}
