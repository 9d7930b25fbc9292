//! Measures the default model on real text: what each precision embeds, what
//! a lone query takes, and what 8 bits lose.
//!
//! ```text
//! cargo run --release -p memory-onnx --example precision -- FILE.json [TEXTS]
//! ```
//!
//! Every string under a key `text` in the file is a text, the first 2,080 of
//! them unless another number is given. "By the processor" is what the threads
//! would do if the machine did nothing else: texts for each second of
//! processor time, times the cores (Linux only).

#![allow(clippy::print_stdout, reason = "it is what an example is for")]

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
    let file = arguments.next().ok_or("which file?")?;
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
        "cosine of Int8 to Full: mean {mean:.4}, least {:.4}",
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
    // Threads and memory are there from here on.
    let few = &texts[..texts.len().min(64)];
    embedder.embed(few, EmbedRole::Passage).await?;

    let (start, processor) = (Instant::now(), processor_time());
    let vectors = embedder.embed(texts, EmbedRole::Passage).await?;
    let (wall, busy) = (start.elapsed(), processor_time() - processor);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let rate = |time: Duration| as_f64(texts.len()) / time.as_secs_f64().max(1e-3);
    println!(
        "{precision:?}: opened in {opened:.0?}; {:.0} texts/s ({:.0} by the processor), {} MB",
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
        "{precision:?}: a lone query {:.2?}, median of {}; the quickest {:.2?}",
        times[times.len() / 2],
        times.len(),
        times[0]
    );
    Ok(vectors)
}

/// Processor time of this process.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    // The kernel tells them in hundredths of a second.
    Duration::from_millis(ticks * 10)
}

/// Megabytes of memory that this process occupies.
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
