//! `cargo xtask demo`: sets up what is missing, then runs the demo.

use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{setup, shell};

pub(crate) fn run() -> Result<(), TaskError> {
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
