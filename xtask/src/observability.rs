//! The CI step `observability`: checks the alert rules with promtool, and runs
//! `examples/observability`, whose tests compare dashboard and rules with what it
//! serves.

use std::process::Command;
use std::time::Duration;

use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{debian, setup, shell};

/// The limit for the example's tests, compiling included.
const LIMIT: Duration = Duration::from_secs(900);

/// Debian's package that contains `promtool` and `prometheus`.
const PACKAGE: &str = "prometheus";

pub(crate) fn check() -> Result<(), TaskError> {
    let docs = shell::root().join("docs").join("observability");
    let promtool = debian::program(PACKAGE, "promtool")?;
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ] {
        let mut command = Command::new(&promtool);
        shell::run(command.current_dir(&docs).args(arguments))?;
    }
    let cache = setup::run(setup::Options::default())?;
    let mut cargo = shell::cargo();
    cargo
        .current_dir(shell::root().join("examples").join("observability"))
        .args(["test", "--quiet"])
        // Its profile is that of the repository: dependencies are shared.
        .env("CARGO_TARGET_DIR", shell::target_dir())
        .env(CACHE_ENV, cache);
    shell::run_with_limit(&mut cargo, LIMIT)
}

/// Prints the path of Prometheus, for the script that draws the dashboard.
pub(crate) fn print_prometheus() -> Result<(), TaskError> {
    println!("{}", debian::program(PACKAGE, "prometheus")?.display());
    Ok(())
}
