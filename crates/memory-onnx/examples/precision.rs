//! Measures the default model on real text: the throughput of each precision, the
//! latency of a single query, and the cosine of 8 bits to full precision.
//!
//! ```text
//! cargo run --release -p memory-onnx --example precision -- FILE.json [TEXTS]
//! ```
//!
//! Every string under a key `text` in the file is a text; the first 2,080 are used
//! by default. "By CPU time" is the throughput on an otherwise idle machine: texts
//! per second of CPU time, times the number of cores (Linux only).

#![allow(clippy::print_stdout, reason = "it is an example")]

use std::error::Error;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use memory_core::{EmbedRole, Embedder as _, cosine};
use memory_onnx::{OnnxEmbedder, OnnxOptions, Precision};
use serde_json::Value;

/// A query of 12 tokens, special ones included.
const QUERY: &str = "Where did the miller take the boats in May?";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .ok_or("usage: precision FILE.json [TEXTS]")?;
    let count = arguments.next().map_or(Ok(2_080), |n| n.parse())?;
    let mut texts = Vec::new();
    collect(&serde_json::from_slice(&fs::read(file)?)?, &mut texts);
    texts.truncate(count);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let full = measure(Precision::Full, &texts).await?;
    let int8 = measure(Precision::Int8, &texts).await?;
    let mut cosines: Vec<f32> = full.iter().zip(&int8).map(|(a, b)| cosine(a, b)).collect();
    cosines.sort_by(f32::total_cmp);
    let mean = cosines.iter().copied().map(f64::from).sum::<f64>() / as_f64(cosines.len());
    println!(
        "cosine of Int8 to Full: mean {mean:.4}, min {:.4}",
        cosines[0]
    );
    Ok(())
}

/// Every string under a key `text`.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get("text") {
                texts.push(text.clone());
            }
            fields.values().for_each(|value| collect(value, texts));
        }
        _ => {}
    }
}

async fn measure(precision: Precision, texts: &[&str]) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let start = Instant::now();
    let options = OnnxOptions::new().precision(precision);
    let embedder = OnnxEmbedder::open(options).await?;
    let opened = start.elapsed();
    // Warm up threads and memory.
    let few = &texts[..texts.len().min(64)];
    embedder.embed(few, EmbedRole::Passage).await?;

    let (start, cpu_before) = (Instant::now(), cpu_time());
    let vectors = embedder.embed(texts, EmbedRole::Passage).await?;
    let (wall, busy) = (start.elapsed(), cpu_time() - cpu_before);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let rate = |time: Duration| as_f64(texts.len()) / time.as_secs_f64().max(1e-3);
    println!(
        "{precision:?}: opened in {opened:.0?}; {:.0} texts/s ({:.0} by CPU time), {} MB",
        rate(wall),
        rate(busy) * as_f64(cores),
        resident()
    );

    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        embedder.embed(&[QUERY], EmbedRole::Query).await?;
        times.push(start.elapsed());
    }
    times.sort();
    println!(
        "{precision:?}: a single query {:.2?}, median of {}; minimum {:.2?}",
        times[times.len() / 2],
        times.len(),
        times[0]
    );
    Ok(vectors)
}

/// The CPU time of this process.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    // In hundredths of a second (USER_HZ is 100 on Linux).
    Duration::from_millis(ticks * 10)
}

/// The resident memory of this process in megabytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let field = line.and_then(|line| line.split_whitespace().nth(1));
    field
        .and_then(|field| field.parse::<u64>().ok())
        .unwrap_or_default()
        / 1_000
}

fn as_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
