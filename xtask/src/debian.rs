//! Programs of Debian's packages: the installed ones, or else unpacked into the cache
//! folder, which needs no privileges. apt verifies the archives' signatures.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use memory_assets::cache_dir;

use crate::error::TaskError;
use crate::shell;

/// The package of a Chromium without windows, and its programs' names.
const CHROMIUM: &str = "chromium-headless-shell";
const CHROMIUM_PROGRAMS: [&str; 2] = [CHROMIUM, "chromium"];

/// The package of a generator of HTTP requests, and its program's name.
const WRK: &str = "wrk";

/// Starts an unpacked program, which follows, with the libraries that were unpacked with it.
const START: &str = r#"#!/bin/sh
here=$(dirname "$0")
for folder in "$here"/usr/lib/*-linux-gnu* "$here"/usr/lib/*-linux-gnu*/pulseaudio; do
  LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
done
export LD_LIBRARY_PATH
exec "$here"/"#;

/// A program of a package that needs no library of another one.
pub(crate) fn program(package: &'static str, name: &str) -> Result<PathBuf, TaskError> {
    if is_installed(name) {
        return Ok(PathBuf::from(name));
    }
    let folder = cache_dir()?.join(package);
    let path = folder.join("usr").join("bin").join(name);
    if !path.is_file() {
        install(package, &folder, download_alone)?;
    }
    Ok(path)
}

/// A Chromium, and what it needs.
pub(crate) fn chromium() -> Result<PathBuf, TaskError> {
    if let Some(name) = CHROMIUM_PROGRAMS.iter().find(|name| is_installed(name)) {
        return Ok(PathBuf::from(name));
    }
    with_libraries(CHROMIUM, "usr/lib/chromium/chromium-headless-shell")
}

/// wrk, and what it needs.
pub(crate) fn wrk() -> Result<PathBuf, TaskError> {
    // Its exit code is that of an error, whatever it is asked.
    let mut version = Command::new(WRK);
    version.arg("--version").stdout(Stdio::null());
    if version.stderr(Stdio::null()).status().is_ok() {
        return Ok(PathBuf::from(WRK));
    }
    with_libraries(WRK, "usr/bin/wrk")
}

/// The script that starts a program of a package that needs libraries of other ones.
fn with_libraries(package: &'static str, program: &str) -> Result<PathBuf, TaskError> {
    let folder = cache_dir()?.join(package);
    let path = folder.join("start");
    if !path.is_file() {
        install(package, &folder, download_with_dependencies)?;
        let failed = |source| TaskError::Write {
            path: path.clone(),
            source,
        };
        fs::write(&path, format!("{START}{program} \"$@\"\n")).map_err(failed)?;
        let mut mode = Command::new("chmod");
        shell::run(mode.arg("+x").arg(&path))?;
    }
    Ok(path)
}

fn is_installed(name: &str) -> bool {
    let mut version = Command::new(name);
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Downloads and unpacks to a folder, which appears complete or not at all.
fn install(
    package: &'static str,
    folder: &Path,
    download: fn(&str, &Path) -> Result<(), TaskError>,
) -> Result<(), TaskError> {
    let staging = folder.with_extension(format!("staging-{}", std::process::id()));
    let failed = |source| TaskError::Write {
        path: staging.clone(),
        source,
    };
    // apt expects the second folder.
    fs::create_dir_all(staging.join("partial")).map_err(failed)?;
    let content = staging.join("content");
    let unpacked = download(package, &staging).and_then(|()| unpack(&staging, &content));
    let outcome = unpacked.map_err(|error| TaskError::NoPackage {
        package,
        source: Box::new(error),
    });
    let outcome = outcome.and_then(|()| match fs::rename(&content, folder) {
        // Another process was first.
        Err(_) if folder.is_dir() => Ok(()),
        renamed => renamed.map_err(failed),
    });
    fs::remove_dir_all(&staging).map_err(failed)?;
    outcome
}

/// As root apt warns otherwise that its account cannot write here.
const AS_ROOT: [&str; 2] = ["--option", "APT::Sandbox::User=root"];

fn download_alone(package: &str, folder: &Path) -> Result<(), TaskError> {
    let mut apt = Command::new("apt-get");
    apt.current_dir(folder).args(["--quiet", "download"]);
    shell::run(apt.args(AS_ROOT).arg(package))
}

/// Downloads a package and all that it needs and that is not installed.
fn download_with_dependencies(package: &str, folder: &Path) -> Result<(), TaskError> {
    let mut archives = OsStr::new("Dir::Cache::archives=").to_owned();
    archives.push(folder);
    let mut apt = Command::new("apt-get");
    apt.args(["--quiet", "--quiet", "--yes", "--download-only"])
        .args(["--no-install-recommends", "install", package])
        // It installs nothing, so it needs no lock.
        .args(["--option", "Debug::NoLocking=1"])
        .args(AS_ROOT)
        .arg("--option")
        .arg(archives);
    shell::run(&mut apt)
}

/// Unpacks every package in a folder.
fn unpack(archives: &Path, content: &Path) -> Result<(), TaskError> {
    let entries = fs::read_dir(archives).map_err(|source| TaskError::Read {
        path: archives.to_owned(),
        source,
    })?;
    let paths = entries.flatten().map(|entry| entry.path());
    let packages = paths.filter(|path| path.extension() == Some(OsStr::new("deb")));
    let mut count = 0;
    for package in packages {
        let mut unpack = Command::new("dpkg-deb");
        shell::run(unpack.arg("--extract").arg(package).arg(content))?;
        count += 1;
    }
    match count {
        0 => Err(TaskError::Findings {
            count: 0,
            what: "packages downloaded",
        }),
        _ => Ok(()),
    }
}
