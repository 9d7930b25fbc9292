//! `cargo xtask inspector`, also a CI step: uses the server's page in a headless
//! Chromium, as `crates/memory-cli/tests/cli/inspector.rs` says.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{debian, setup, shell};

/// The limit for the test, compiling included.
const LIMIT: Duration = Duration::from_secs(900);

/// The variable with the path of the browser.
const CHROMIUM_ENV: &str = "MEMORY_TEST_CHROMIUM";

/// The pictures that the test takes.
const PICTURES: [&str; 3] = [
    "inspector-light.png",
    "inspector-dark.png",
    "inspector-phone.png",
];

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Replace the pictures of docs/ by those of this run
    #[arg(long)]
    pictures: bool,
}

/// The CI step.
pub(crate) fn check() -> Result<(), TaskError> {
    run(&Options::default())
}

pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let browser = debian::chromium()?;
    let cache = setup::run(setup::Options::default())?;
    let taken = shell::target_dir().join("tmp");
    for name in PICTURES {
        let path = taken.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(TaskError::Write { path, source });
            }
            _ => {}
        }
    }
    let mut tests = shell::cargo();
    tests
        .args(["test", "--quiet", "--workspace", "--features"])
        .args([shell::FEATURES, "--test", "cli", "inspector::"])
        .args(["--", "--ignored"])
        .env(CACHE_ENV, cache)
        .env(CHROMIUM_ENV, browser);
    shell::run_with_limit(&mut tests, LIMIT)?;
    for name in PICTURES {
        // Without them the test did not run: a filter that matches nothing passes.
        let path = taken.join(name);
        let picture = fs::read(&path).map_err(|source| TaskError::Read { path, source })?;
        if options.pictures {
            let path: PathBuf = shell::root().join("docs").join(name);
            fs::write(&path, picture).map_err(|source| TaskError::Write { path, source })?;
        }
    }
    Ok(())
}
