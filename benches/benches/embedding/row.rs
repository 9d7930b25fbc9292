//! A row of the table, and what follows from rows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::plain;
use super::work::Work;

pub(crate) const HEADER: &str = "\
| work | engine | texts/s | tokens/s | of the fp32 peak | padding | p50 a call | peak MiB |
|---|---|---|---|---|---|---|---|";

/// What was measured of one engine at one work.
#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) engine: String,
    pub(crate) work: String,
    pub(crate) texts_per_second: f64,
    /// Real tokens: padding does not count.
    pub(crate) tokens_per_second: f64,
    /// What the real tokens take, in billions of operations a second.
    pub(crate) gflops: f64,
    /// Padding as a share of the real tokens.
    pub(crate) padding: Option<f64>,
    pub(crate) call: Duration,
    pub(crate) peak_mebibytes: Option<u64>,
}

impl Row {
    pub(crate) fn line(&self, peak: Option<f64>) -> String {
        let share = peak
            .filter(|_| self.gflops > 0.0)
            .map(|peak| 100.0 * self.gflops / peak);
        let share = share.map_or("–".to_owned(), |share| format!("{share:.0} %"));
        let padding = self.padding.map_or("–".to_owned(), |padding| {
            format!("{:.0} %", 100.0 * padding)
        });
        let memory = self
            .peak_mebibytes
            .map_or("–".to_owned(), |memory| memory.to_string());
        format!(
            "| {} | {} | {:.0} | {:.0} | {share} | {padding} | {} | {memory} |",
            self.work,
            self.engine,
            self.texts_per_second,
            self.tokens_per_second,
            spoken(self.call),
        )
    }
}

/// What a text of so many tokens costs MiniLM-L6, the default model: for each
/// token 21.2 million operations in its matrices (6 layers of 4·384² + 2·384·1536
/// weights, each a multiplication and an addition) and, in attention, 9.2
/// thousand for each token of the text.
pub(crate) fn operations(tokens: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "at most a window")]
    let tokens = tokens as f64;
    tokens * (21.2e6 + 9.2e3 * tokens)
}

/// The tokens that an engine computes for a call's texts, padding included: as
/// its batches are cut.
pub(crate) fn padded(engine: Engine, lengths: &[usize]) -> usize {
    /// `memory-onnx` rounds lengths up to this and puts equal ones together.
    const GRAIN: usize = 4;
    let longest = |batch: &[usize]| batch.len() * batch.iter().max().copied().unwrap_or(0);
    match engine {
        Engine::Full | Engine::Int8 => lengths
            .iter()
            .map(|length| length.next_multiple_of(GRAIN))
            .sum(),
        #[cfg(feature = "bert")]
        Engine::Bert => {
            // It sorts by bytes, before it knows the tokens: nearly the same.
            let mut sorted = lengths.to_vec();
            sorted.sort_unstable();
            sorted.chunks(32).map(longest).sum()
        }
        #[cfg(feature = "fastembed")]
        Engine::Fastembed => lengths.chunks(256).map(longest).sum(),
        Engine::Plain => lengths.chunks(plain::BATCH).map(longest).sum(),
    }
}

/// How many times the references' texts a second this system's are, on the
/// turns.
pub(crate) fn ratios(rows: &[Row]) -> String {
    let of = |engine: &str| {
        let turns = rows.iter().filter(|row| row.work == Work::Turns.name());
        let mut own = turns.filter(|row| row.engine.starts_with(engine));
        own.next().map(|row| row.texts_per_second)
    };
    let mut lines = Vec::new();
    for reference in ["fastembed", "ort"] {
        for ours in ["memory-onnx, Int8", "memory-onnx, Full", "memory-bert"] {
            if let (Some(ours_per_second), Some(theirs)) = (of(ours), of(reference)) {
                let times = ours_per_second / theirs;
                lines.push(format!("{ours}: {times:.1} times {reference} on the turns"));
            }
        }
    }
    lines.join("\n")
}

fn spoken(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 1e-5 => format!("{:.2} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}
