//! `cargo xtask test`: sets up what is missing, then runs every test, with a
//! database server that ends with them.

use clap::Args;
use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{libtorch, pg, setup, shell};

#[derive(Args)]
pub(crate) struct Options {
    /// Also test memory-bert, which needs libtorch (800 MB to download, once)
    #[arg(long)]
    all: bool,
    /// Passed on to `cargo test`
    #[arg(last = true)]
    extra: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    setup::exported_graph(&cache, None)?;
    let mut tests = shell::cargo();
    // Tests run in the folder of their crate: the path has to be absolute.
    tests
        .arg("test")
        .args(shell::BARE)
        .args(["--features", shell::FEATURES])
        .args(&options.extra)
        .env(CACHE_ENV, cache);
    pg::with_server(&mut tests)?;
    if options.all {
        libtorch::test(&options.extra)?;
    }
    Ok(())
}
