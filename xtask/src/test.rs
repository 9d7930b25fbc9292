//! `cargo xtask test`: sets up what is missing, then runs every test, with a
//! database server that ends with them.

use clap::Args;
use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{pg, setup, shell};

#[derive(Args)]
pub(crate) struct Options {
    /// Passed on to `cargo test --workspace`
    #[arg(last = true)]
    extra: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let mut tests = shell::cargo();
    // Tests run in the folder of their crate: the path has to be absolute.
    tests
        .args(["test", "--workspace", "--features", shell::FEATURES])
        .args(&options.extra)
        .env(CACHE_ENV, cache);
    pg::with_server(&mut tests)
}
