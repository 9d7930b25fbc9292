//! Virtual environments of Python with pinned packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::TaskError;
use crate::shell;

/// A virtual environment in the cache folder with exactly the packages of a requirements
/// file, pinned by version and SHA-256: its Python. It is made again when the pins change.
pub(crate) fn install(cache: &Path, name: &str, requirements: &Path) -> Result<PathBuf, TaskError> {
    let folder = cache.join(name);
    let python = folder.join("bin").join("python");
    let installed = folder.join("requirements.txt");
    let pins = shell::read_text(requirements)?;
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == pins) {
        return Ok(python);
    }
    println!("installing the Python packages of {name}");
    let mut environment = Command::new("python3");
    environment.args(["-m", "venv", "--clear"]).arg(&folder);
    shell::run(&mut environment)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--no-deps"])
        .args([
            "--only-binary",
            ":all:",
            "--require-hashes",
            "--requirement",
        ])
        .arg(requirements);
    shell::run(&mut pip)?;
    // Last, so that an interrupted installation is not taken for a complete one.
    fs::write(&installed, pins).map_err(|source| TaskError::Write {
        path: installed,
        source,
    })?;
    Ok(python)
}
