//! `cargo xtask python`, also a CI step: the tests of the Python package, its types, and its
//! wheel.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{setup, shell, venv};

/// The crate.
const CRATE: &str = "crates/memory-python";

/// The native module as Python finds it, for every version from 3.9 on.
const MODULE: &str = "_native.abi3.so";

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Build the wheel in release mode, into target/wheels, and test what it installs
    #[arg(long)]
    wheel: bool,
}

/// The CI step: the package as the other steps have compiled it.
pub(crate) fn check() -> Result<(), TaskError> {
    run(&Options::default())
}

pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let tests = shell::root().join(CRATE).join("tests/python");
    let python = venv::install(&cache, "python-package", &tests.join("requirements.txt"))?;
    let installed = match options.wheel {
        true => install_wheel(&python)?,
        false => assemble()?,
    };
    let with_package = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command
            .args(arguments)
            .current_dir(shell::root().join(CRATE))
            .env("PYTHONPATH", &installed)
            .env("MYPYPATH", &installed)
            // Nothing is written into the sources.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("MYPY_CACHE_DIR", shell::target_dir().join("mypy"))
            .env(CACHE_ENV, &cache);
        command
    };
    shell::run(&mut with_package(&[
        "-m",
        "pytest",
        "--quiet",
        "-p",
        "no:cacheprovider",
    ]))?;
    // The package and its tests agree with the types, and those with the native module.
    shell::run(&mut with_package(&["-m", "mypy", "--package", "memory"]))?;
    shell::run(&mut with_package(&["-m", "mypy", "tests/python"]))?;
    shell::run(&mut with_package(&[
        "-m",
        "mypy.stubtest",
        "memory",
        "--allowlist",
        "tests/python/stubtest-allowlist.txt",
    ]))
}

/// Puts the package together from its sources and the debug build of the workspace, and
/// returns the folder that contains it.
fn assemble() -> Result<PathBuf, TaskError> {
    let mut build = shell::cargo();
    // As the tests are built, so that after them nothing is compiled again.
    build
        .args(["test", "--quiet", "--no-run", "--workspace", "--features"])
        .args([shell::FEATURES, "--test", "facade_parity"]);
    shell::run(&mut build)?;
    let folder = empty_folder("python-package")?;
    let package = folder.join("memory");
    create(&package)?;
    let sources = shell::root().join(CRATE).join("python/memory");
    let read_failed = |source| TaskError::Read {
        path: sources.clone(),
        source,
    };
    for entry in fs::read_dir(&sources).map_err(read_failed)? {
        let path = entry.map_err(read_failed)?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            copy(&path, &package.join(name))?;
        }
    }
    let library = format!("{DLL_PREFIX}memory_python{DLL_SUFFIX}");
    copy(
        &shell::target_dir().join("debug/deps").join(library),
        &package.join(MODULE),
    )?;
    Ok(folder)
}

/// Builds the wheel, installs it into a folder of its own, and returns that.
fn install_wheel(python: &Path) -> Result<PathBuf, TaskError> {
    let wheels = empty_folder("wheels")?;
    let mut maturin = Command::new(python);
    maturin
        .args(["-m", "maturin", "build", "--release", "--locked"])
        .arg("--manifest-path")
        .arg(shell::root().join(CRATE).join("Cargo.toml"))
        .arg("--out")
        .arg(&wheels);
    shell::run(&mut maturin)?;
    let folder = empty_folder("python-wheel")?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--no-deps", "--no-index"])
        .arg("--find-links")
        .arg(&wheels)
        .arg("--target")
        .arg(&folder)
        .arg("agent-memory-system");
    shell::run(&mut pip)?;
    println!("the wheel is in {}", wheels.display());
    Ok(folder)
}

/// An empty folder of this name in the target directory.
fn empty_folder(name: &str) -> Result<PathBuf, TaskError> {
    let folder = shell::target_dir().join(name);
    match fs::remove_dir_all(&folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(TaskError::Write {
                path: folder,
                source,
            });
        }
        _ => {}
    }
    create(&folder)?;
    Ok(folder)
}

fn create(folder: &Path) -> Result<(), TaskError> {
    fs::create_dir_all(folder).map_err(|source| TaskError::Write {
        path: folder.to_owned(),
        source,
    })
}

fn copy(from: &Path, to: &Path) -> Result<(), TaskError> {
    fs::copy(from, to)
        .map(drop)
        .map_err(|source| TaskError::Read {
            path: from.to_owned(),
            source,
        })
}
