//! `cargo xtask test` and `cargo xtask demo`: set up what is missing, then run.

use clap::Args;
use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{libtorch, pg, setup, shell};

#[derive(Args)]
pub(crate) struct Options {
    /// Also test memory-bert, which needs libtorch (an 800 MB download, once)
    #[arg(long)]
    all: bool,
    /// Passed on to `cargo test`
    #[arg(last = true)]
    extra: Vec<String>,
}

/// Runs every test, with a database server that stops with them.
pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    setup::exported_graph(&cache, None)?;
    let mut tests = shell::cargo();
    // Tests run in the folder of their crate: the path has to be absolute.
    tests
        .arg("test")
        .args(shell::WITHOUT_LIBTORCH)
        .args(["--features", shell::FEATURES])
        .args(&options.extra)
        .env(CACHE_ENV, cache);
    pg::with_server(&mut tests)?;
    if options.all {
        libtorch::test(&options.extra)?;
    }
    Ok(())
}

pub(crate) fn demo() -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let mut demo = shell::cargo();
    demo.args([
        "run",
        "--release",
        "--package",
        "memory",
        "--example",
        "demo",
    ])
    .env(CACHE_ENV, cache);
    shell::run(&mut demo)
}
