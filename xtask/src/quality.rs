//! `cargo xtask quality`: how well recall finds what answers a question, on a
//! file of real conversations.

use std::path::{PathBuf, absolute};

use clap::Args;
use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{setup, shell};

/// Conversations that may lie beside a checkout; their license keeps them out
/// of it.
const BESIDE: &str = "../shared/data/locomo-dev.json";

/// What the default ranking must find on them, as a share of the evidence
/// among the first ten.
const AT_LEAST: &str = "0.72";

#[derive(Args)]
pub(crate) struct Options {
    /// Conversations in the LoCoMo format
    #[arg(long)]
    data: PathBuf,
    /// Embed with weights in 8 bits
    #[arg(long)]
    int8: bool,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Fail below this recall@10, 0 to 1
    #[arg(long)]
    at_least: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    // The path is the caller's, and cargo runs at the root of the workspace.
    let data = absolute(&options.data).unwrap_or_else(|_| options.data.clone());
    let mut quality = shell::cargo();
    quality.args(["run", "--quiet", "--release", "--package", "memory-benches"]);
    quality.args(["--bin", "quality", "--", "--data"]).arg(data);
    if options.int8 {
        quality.arg("--int8");
    }
    if options.json {
        quality.arg("--json");
    }
    if let Some(share) = &options.at_least {
        quality.args(["--at-least", share]);
    }
    quality.env(CACHE_ENV, cache);
    shell::run(&mut quality)
}

/// The conversations beside this checkout, if there are any.
pub(crate) fn beside() -> Option<PathBuf> {
    Some(shell::root().join(BESIDE)).filter(|data| data.exists())
}

/// Holds the default ranking to its least, where the conversations are there.
pub(crate) fn check() -> Result<(), TaskError> {
    let Some(data) = beside() else {
        println!("no conversations lie beside this checkout: nothing to measure with");
        return Ok(());
    };
    run(&Options {
        data,
        int8: false,
        json: false,
        at_least: Some(AT_LEAST.to_owned()),
    })
}
