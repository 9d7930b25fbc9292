//! The comparison of embedders, and what tasks on conversations share.

use std::path::{Path, PathBuf, absolute};

use clap::Args;

use crate::error::TaskError;
use crate::{libtorch, shell};

/// Conversations next to a checkout; their license does not allow including
/// them.
const CONVERSATIONS: &str = "../shared/data/locomo-dev.json";

#[derive(Args)]
pub(crate) struct EmbeddingOptions {
    /// Conversations in the LoCoMo format
    #[arg(long)]
    data: PathBuf,
    /// Passed on to the benchmark
    #[arg(last = true)]
    extra: Vec<String>,
}

/// `cargo xtask embedding`: the bench `embedding` with every engine.
pub(crate) fn embedding(options: &EmbeddingOptions) -> Result<(), TaskError> {
    let cargo = libtorch::cargo_with_libtorch()?;
    let mut bench = cargo();
    bench
        .args([
            "bench",
            "--package",
            "memory-benches",
            "--bench",
            "embedding",
        ])
        .args(["--features", "bert,fastembed", "--", "--data"])
        .arg(absolute_path(&options.data))
        .args(&options.extra);
    shell::run(&mut bench)
}

/// The conversations next to this checkout, if they exist.
pub(crate) fn conversations() -> Option<PathBuf> {
    Some(shell::root().join(CONVERSATIONS)).filter(|data| data.exists())
}

/// Paths are relative to the caller's folder, but cargo runs at the workspace
/// root.
pub(crate) fn absolute_path(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
}
