//! `cargo xtask quality`: retrieval quality, and the gate of CI.

use std::path::{Path, PathBuf};

use clap::Args;
use memory_assets::CACHE_ENV;

use crate::bench::absolute_path;
use crate::error::TaskError;
use crate::{setup, shell};

/// The folder next to a checkout with the conversations; their licenses do not
/// allow including them.
const FOLDER: &str = "../shared/data";

/// A file of conversations, and what the default ranking reaches on it.
struct Gate {
    file: &'static str,
    /// In percent.
    recall_at_10: f64,
    mrr: f64,
}

/// The figures of docs/quality.md. CI fails below them by more than
/// [`MARGIN`].
const GATES: [Gate; 3] = [
    Gate {
        file: "locomo-dev.json",
        recall_at_10: 80.8,
        mrr: 0.621,
    },
    Gate {
        file: "beam-dev.json",
        recall_at_10: 62.3,
        mrr: 0.643,
    },
    Gate {
        file: "memsim-dev.json",
        recall_at_10: 100.0,
        mrr: 0.950,
    },
];

/// How much of the recall in percent, and of the MRR, may be lost.
const MARGIN: (f64, f64) = (2.0, 0.02);

#[derive(Args)]
pub(crate) struct Options {
    /// Files of conversations in the LoCoMo format [default: those next to the
    /// checkout]
    #[arg(long, num_args = 1.., value_name = "FILE")]
    data: Vec<PathBuf>,
    /// The model, by name or path [default: the default model]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Embed with 8-bit weights
    #[arg(long)]
    int8: bool,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Measure only the default ranking
    #[arg(long)]
    default_only: bool,
    /// Choose the weights on all conversations but a fifth, and score them on that
    /// fifth, five times
    #[arg(long, conflicts_with = "default_only")]
    cross_validate: bool,
    /// Measure only the relevance: fit its coefficients, to all files and to all but
    /// each
    #[arg(long, conflicts_with_all = ["default_only", "cross_validate"])]
    calibrate: bool,
    /// Write the tables to docs/quality.md
    #[arg(long)]
    write: bool,
}

/// `cargo xtask quality`.
pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let files: Vec<PathBuf> = match &options.data[..] {
        [] => GATES.iter().filter_map(|gate| find(gate.file)).collect(),
        given => given.iter().map(|file| absolute_path(file)).collect(),
    };
    if files.is_empty() {
        return Err(TaskError::NoConversations { folder: FOLDER });
    }
    let mut quality = command(&["--release", "--package", "memory-benches"])?;
    for file in files {
        quality.arg("--data").arg(file);
    }
    let switches = [
        ("--int8", options.int8),
        ("--json", options.json),
        ("--default-only", options.default_only),
        ("--cross-validate", options.cross_validate),
        ("--calibrate", options.calibrate),
    ];
    if let Some(model) = &options.model {
        setup::model(&setup::run(setup::Options::default())?, model)?;
        quality.arg("--model").arg(model);
    }
    for (switch, _) in switches.iter().filter(|(_, is_on)| *is_on) {
        quality.arg(switch);
    }
    if options.write {
        quality.arg("--docs").arg(shell::root().join("docs"));
    }
    shell::run(&mut quality)
}

/// Fails if the default ranking is below the gate on a file; files that do not
/// exist are skipped. Uses the profile and features of the tests, which share
/// their compiled dependencies.
pub(crate) fn check() -> Result<(), TaskError> {
    let present = GATES
        .iter()
        .filter_map(|gate| Some((gate, find(gate.file)?)));
    let present: Vec<(&Gate, PathBuf)> = present.collect();
    if present.is_empty() {
        println!("skipped: there are no conversations in {FOLDER}");
        return Ok(());
    }
    let mut quality = command(&["--features", shell::FEATURES])?;
    quality.arg("--default-only");
    for (gate, file) in present {
        quality.arg("--data").arg(file);
        quality.arg("--at-least").arg(gate.limits());
    }
    shell::run(&mut quality)
}

impl Gate {
    /// The lowest allowed recall@10 and MRR.
    fn limits(&self) -> String {
        let (recall, mrr) = MARGIN;
        format!("{:.1},{:.3}", self.recall_at_10 - recall, self.mrr - mrr)
    }
}

/// The measurement, built as `build` says.
fn command(build: &[&str]) -> Result<std::process::Command, TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let mut quality = shell::cargo();
    quality
        .args(["run", "--quiet", "--example", "quality"])
        .args(build)
        .args(["--", "--vectors"])
        .arg(shell::target_dir().join("quality"))
        .env(CACHE_ENV, cache);
    Ok(quality)
}

/// A file of conversations, if it exists.
fn find(file: &str) -> Option<PathBuf> {
    let path = shell::root().join(Path::new(FOLDER)).join(file);
    path.exists().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_is_two_points_below_what_is_reached() {
        let gate = Gate {
            file: "",
            recall_at_10: 80.5,
            mrr: 0.615,
        };
        assert_eq!(gate.limits(), "78.5,0.595");
    }
}
