//! The CI step `observability`: checks the alert rules with promtool, and runs
//! `examples/observability`, whose tests compare dashboard and rules with what it
//! serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use memory_assets::{CACHE_ENV, cache_dir};

use crate::error::TaskError;
use crate::{setup, shell};

/// The limit for the example's tests, compiling included.
const LIMIT: Duration = Duration::from_secs(900);

/// Debian's package that contains `promtool` and `prometheus`.
const PACKAGE: &str = "prometheus";

pub(crate) fn check() -> Result<(), TaskError> {
    let docs = shell::root().join("docs").join("observability");
    let promtool = program("promtool")?;
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
    println!("{}", program("prometheus")?.display());
    Ok(())
}

/// A program of Debian's package: the installed one, or else one that is unpacked
/// into the cache folder, which needs no privileges.
fn program(name: &'static str) -> Result<PathBuf, TaskError> {
    let mut version = Command::new(name);
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        return Ok(PathBuf::from(name));
    }
    let folder = cache_dir()?.join(PACKAGE);
    let path = folder.join("usr").join("bin").join(name);
    if !path.is_file() {
        unpack(&folder).map_err(|error| TaskError::NoPrometheus {
            source: Box::new(error),
        })?;
    }
    Ok(path)
}

/// Downloads the package and unpacks it to a folder, which appears complete or not
/// at all. apt verifies the archive's signature.
fn unpack(folder: &Path) -> Result<(), TaskError> {
    let staging = folder.with_extension(format!("staging-{}", std::process::id()));
    let failed = |source| TaskError::Write {
        path: staging.clone(),
        source,
    };
    fs::create_dir_all(&staging).map_err(failed)?;
    let outcome = download(&staging).and_then(|archive| {
        let content = staging.join("content");
        let mut unpack = Command::new("dpkg-deb");
        shell::run(unpack.arg("--extract").arg(archive).arg(&content))?;
        match fs::rename(&content, folder) {
            // Another process was first.
            Err(_) if folder.is_dir() => Ok(()),
            renamed => renamed.map_err(failed),
        }
    });
    fs::remove_dir_all(&staging).map_err(failed)?;
    outcome
}

fn download(folder: &Path) -> Result<PathBuf, TaskError> {
    let mut download = Command::new("apt-get");
    download.current_dir(folder).arg("download");
    // As root it warns otherwise that its account cannot write here.
    download.args(["--quiet", "--option", "APT::Sandbox::User=root", PACKAGE]);
    shell::run(&mut download)?;
    let entries = fs::read_dir(folder).map_err(|source| TaskError::Read {
        path: folder.to_owned(),
        source,
    })?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let archive = paths.find(|path| path.extension().is_some_and(|end| end == "deb"));
    archive.ok_or(TaskError::Findings {
        count: 0,
        what: "packages downloaded",
    })
}
