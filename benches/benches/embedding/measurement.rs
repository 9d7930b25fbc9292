//! Measures one engine on one workload, and formats the row of the report.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory::MemorySystem;
use memory_benches::metrics::{Timings, peak_memory_mib};
use memory_benches::records::Record;

use super::engines::{Engine, LoadedEngine};
use super::plain_ort;
use super::workload::{Texts, Workload};
use serde::{Deserialize, Serialize};

/// The minimum duration for which calls are repeated.
const MIN_DURATION: Duration = Duration::from_secs(3);

pub(crate) fn measure(
    engine: Engine,
    workload: Workload,
    data: &Path,
    turns: usize,
) -> Result<Row, Box<dyn Error>> {
    let texts = workload.texts(data, turns)?;
    let mut loaded = engine.open()?;
    if workload == Workload::Cached {
        return measure_cached(engine, loaded, &texts);
    }
    // The first call of a shape allocates and initializes; a small call is
    // enough for the large workload.
    let refs: Vec<&str> = texts.texts.iter().map(String::as_str).collect();
    black_box(loaded.embed(&refs[..texts.call.min(100)])?);

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
        let vectors = loaded.embed(black_box(call))?;
        timings.push(begin.elapsed());
        if vectors != call.len() {
            return Err("the number of vectors differs from the number of texts".into());
        }
        count += call.len();
        tokens += lengths.iter().sum::<usize>();
        padded += padded_tokens(engine, lengths);
        operations += lengths.iter().map(|length| flops(*length)).sum::<f64>();
        if start.elapsed() >= MIN_DURATION {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Row {
        engine: engine.name().to_owned(),
        workload: workload.name().to_owned(),
        texts_per_second: ratio(count, seconds),
        tokens_per_second: ratio(tokens, seconds),
        gflops: operations / seconds / 1e9,
        padding: Some(ratio(padded, 1.0) / ratio(tokens, 1.0) - 1.0),
        call: timings.percentile(0.5),
        peak_memory_mib: peak_memory_mib(),
    })
}

/// Measures a hit of the embedding tier through the facade.
fn measure_cached(
    engine: Engine,
    loaded: LoadedEngine,
    texts: &Texts,
) -> Result<Row, Box<dyn Error>> {
    /// Calls per timing: a single call is too short for the clock.
    const CALLS: u32 = 1_000;
    let LoadedEngine::Workspace(embedder, runtime) = loaded else {
        return Err("only this workspace's engines have an embedding tier".into());
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
        while start.elapsed() < MIN_DURATION {
            let begin = Instant::now();
            for _ in 0..CALLS {
                black_box(memory.generate_embeddings_batch(black_box(&text)).await?);
            }
            timings.push(begin.elapsed() / CALLS);
        }
        memory.close().await
    })?;
    let call = timings.percentile(0.5);
    Ok(Row {
        engine: format!("embedding tier over {}", engine.name()),
        workload: Workload::Cached.name().to_owned(),
        texts_per_second: 1.0 / call.as_secs_f64(),
        tokens_per_second: ratio(texts.tokens[0], call.as_secs_f64()),
        gflops: 0.0,
        padding: None,
        call,
        peak_memory_mib: peak_memory_mib(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate for a table")]
fn ratio(count: usize, divisor: f64) -> f64 {
    count as f64 / divisor
}

pub(crate) const HEADER: &str = "\
| workload | engine | texts/s | tokens/s | of the fp32 peak | padding | p50 per call | peak MiB |
|---|---|---|---|---|---|---|---|";

/// The measurement of one engine on one workload.
#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) engine: String,
    pub(crate) workload: String,
    pub(crate) texts_per_second: f64,
    /// Real tokens: padding does not count.
    pub(crate) tokens_per_second: f64,
    /// Operations for the real tokens, in billions per second.
    pub(crate) gflops: f64,
    /// Padding as a share of the real tokens.
    pub(crate) padding: Option<f64>,
    pub(crate) call: Duration,
    pub(crate) peak_memory_mib: Option<u64>,
}

impl Row {
    /// The values for the report; what is not known is left out.
    #[expect(clippy::cast_precision_loss, reason = "values for a table")]
    pub(crate) fn record(&self, peak: Option<f64>) -> Record {
        let share = peak
            .filter(|_| self.gflops > 0.0)
            .map(|peak| self.gflops / peak);
        let memory = self.peak_memory_mib.map(|mebibytes| mebibytes as f64);
        let known = [
            ("of_peak", share),
            ("padding", self.padding),
            ("peak_mib", memory),
        ];
        let record = Record::new(&self.engine, &self.workload, 1)
            .with("texts_per_second", self.texts_per_second)
            .with("tokens_per_second", self.tokens_per_second)
            .with(Record::P50, self.call.as_nanos() as f64);
        known.into_iter().fold(record, |record, (name, value)| {
            value.map_or(record.clone(), |value| record.with(name, value))
        })
    }

    pub(crate) fn line(&self, peak: Option<f64>) -> String {
        let share = peak
            .filter(|_| self.gflops > 0.0)
            .map(|peak| 100.0 * self.gflops / peak);
        let share = share.map_or("–".to_owned(), |share| format!("{share:.0} %"));
        let padding = self.padding.map_or("–".to_owned(), |padding| {
            format!("{:.0} %", 100.0 * padding)
        });
        let memory = self
            .peak_memory_mib
            .map_or("–".to_owned(), |memory| memory.to_string());
        format!(
            "| {} | {} | {:.0} | {:.0} | {share} | {padding} | {} | {memory} |",
            self.workload,
            self.engine,
            self.texts_per_second,
            self.tokens_per_second,
            format_duration(self.call),
        )
    }
}

/// Operations of MiniLM-L6, the default model, for a text: per token 21.2
/// million in its matrices (6 layers of 4·384² + 2·384·1536 weights, each a
/// multiplication and an addition) and, in attention, 9.2 thousand per token of
/// the text.
pub(crate) fn flops(tokens: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "at most the maximum length")]
    let tokens = tokens as f64;
    tokens * (21.2e6 + 9.2e3 * tokens)
}

/// The tokens that an engine computes for the texts of a call, with the padding
/// of its batches.
pub(crate) fn padded_tokens(engine: Engine, lengths: &[usize]) -> usize {
    /// `memory-onnx` rounds lengths up to this and batches equal ones.
    const GRAIN: usize = 4;
    let longest = |batch: &[usize]| batch.len() * batch.iter().max().copied().unwrap_or(0);
    match engine {
        Engine::Full | Engine::Int8 => lengths
            .iter()
            .map(|length| length.next_multiple_of(GRAIN))
            .sum(),
        #[cfg(feature = "bert")]
        Engine::Bert => {
            // It sorts by bytes before tokenizing: nearly the same order.
            let mut sorted = lengths.to_vec();
            sorted.sort_unstable();
            sorted.chunks(32).map(longest).sum()
        }
        #[cfg(feature = "fastembed")]
        Engine::Fastembed => lengths.chunks(256).map(longest).sum(),
        Engine::PlainOrt => lengths.chunks(plain_ort::BATCH).map(longest).sum(),
    }
}

/// The throughput of this workspace's engines relative to the references, on
/// the turns.
pub(crate) fn ratios(rows: &[Row]) -> String {
    let of = |engine: &str| {
        let turns = rows
            .iter()
            .filter(|row| row.workload == Workload::Turns.name());
        let mut own = turns.filter(|row| row.engine.starts_with(engine));
        own.next().map(|row| row.texts_per_second)
    };
    let mut lines = Vec::new();
    for reference in ["fastembed", "ort"] {
        for ours in ["memory-onnx, Int8", "memory-onnx, Full", "memory-bert"] {
            if let (Some(ours_per_second), Some(theirs)) = (of(ours), of(reference)) {
                let times = ours_per_second / theirs;
                lines.push(format!(
                    "{ours}: {times:.1} times the throughput of {reference} on the turns"
                ));
            }
        }
    }
    lines.join("\n")
}

fn format_duration(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 1e-5 => format!("{:.2} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}
