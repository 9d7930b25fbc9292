//! `cargo xtask test` and `cargo xtask demo`: set up what is missing, then run.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{libtorch, pg, setup, shell};

/// The limit for all tests where nextest, which limits each test, is not
/// installed.
const LIMIT: Duration = Duration::from_secs(3_600);

#[derive(Args)]
pub(crate) struct Options {
    /// Also test memory-bert, which needs libtorch (an 800 MB download, once)
    #[arg(long)]
    all: bool,
    /// Arguments of `cargo test`, which then runs instead of nextest
    #[arg(last = true)]
    extra: Vec<String>,
}

/// Runs every test, with a database server that stops with them: with nextest
/// if it is installed, which stops a hanging test and names it.
pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    setup::for_tests(&cache, None)?;
    if options.extra.is_empty() && has_nextest() {
        let mut tests = workspace_command(&["nextest", "run"], &cache);
        pg::with_server(&mut tests)?;
        let mut doctests = workspace_command(&["test", "--doc"], &cache);
        pg::with_server(&mut doctests)?;
    } else {
        let mut tests = workspace_command(&["test"], &cache);
        pg::with_server_and_limit(tests.args(&options.extra), LIMIT)?;
    }
    if options.all {
        libtorch::test(&options.extra)?;
    }
    Ok(())
}

/// The CI step `hub`: the tests of fetching models from a hub.
pub(crate) fn check_hub() -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let mut tests = shell::cargo();
    tests
        .args(["test", "--package", "memory-onnx", "--features", "hub"])
        .args(["--test", "embedder", "hub::"])
        .env(CACHE_ENV, cache);
    shell::run_with_limit(&mut tests, LIMIT)
}

fn has_nextest() -> bool {
    let mut version = shell::cargo();
    version.args(["nextest", "--version"]);
    version.stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Tests run in the folder of their crate: the path of `cache` is absolute.
fn workspace_command(task: &[&str], cache: &Path) -> Command {
    let mut command = shell::cargo();
    command
        .args(task)
        .args(["--workspace", "--features", shell::FEATURES])
        .env(CACHE_ENV, cache);
    command
}

/// Runs the demo in the profile of the tests, which share its compiled
/// dependencies: the features are resolved for the whole workspace.
pub(crate) fn demo() -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let mut demo = shell::cargo();
    demo.args(["run", "--example", "demo"])
        .env(CACHE_ENV, cache);
    shell::run(&mut demo)
}
