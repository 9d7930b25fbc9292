//! The ONNX Runtime library in the `onnxruntime` package of Python installations.
//! Python is not executed: the directories have known names.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::candidate::{Candidate, list};

const NO_PACKAGE: &str = "no onnxruntime package in it";

/// The installation or virtual environment under `prefix`, which must be absolute,
/// so that no code is loaded from the current directory.
pub(super) fn installation(name: &'static str, prefix: &Path) -> Candidate {
    if prefix.is_relative() {
        return Candidate::unavailable(name, "ignored, because it is a relative path");
    }
    candidate(name, folders(prefix))
}

/// The installation of the first `python3` on a PATH. Relative entries are ignored,
/// so that no code is loaded from the current directory.
pub(super) fn on_path(path: &OsStr) -> Candidate {
    const NAME: &str = "python3 on the PATH";
    let program = if cfg!(windows) {
        "python.exe"
    } else {
        "python3"
    };
    let candidates = env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program));
    let Some(python) = candidates.into_iter().find(|file| file.is_file()) else {
        return Candidate::unavailable(NAME, "not found");
    };
    // The python3 of a virtual environment is a link to its base installation.
    // The environment's packages come first.
    let real = python.canonicalize().unwrap_or_else(|_| python.clone());
    let prefixes = [&python, &real]
        .into_iter()
        .filter_map(|file| prefix_of(file));
    candidate(NAME, without_duplicates(prefixes.flat_map(folders)))
}

fn candidate(name: &'static str, folders: Vec<PathBuf>) -> Candidate {
    if folders.is_empty() {
        Candidate::unavailable(name, NO_PACKAGE)
    } else {
        Candidate::folders(name, folders)
    }
}

/// The directories with the library under a prefix, if the package is installed.
fn folders(prefix: &Path) -> Vec<PathBuf> {
    let is_python3 = |folder: &PathBuf| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("python3"))
    };
    // Debian has packages for all versions in lib/python3/dist-packages.
    let roots = ["lib", "lib64", "local/lib"].map(|root| prefix.join(root));
    let pythons = roots.iter().flat_map(|root| list(root)).filter(is_python3);
    let packages = pythons
        .flat_map(|python| [python.join("site-packages"), python.join("dist-packages")])
        .chain([prefix.join("Lib").join("site-packages")]);
    let capi = packages.map(|packages| packages.join("onnxruntime").join("capi"));
    without_duplicates(capi.filter(|folder| folder.is_dir()))
}

/// Removes directories that are links to earlier ones, as lib64 often is.
fn without_duplicates(folders: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = Vec::new();
    let is_new = |folder: &PathBuf| {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let is_new = !seen.contains(&real);
        seen.push(real);
        is_new
    };
    folders.filter(is_new).collect()
}

/// The prefix of the installation that an interpreter belongs to.
fn prefix_of(python: &Path) -> Option<&Path> {
    let folder = python.parent()?;
    if cfg!(windows) {
        Some(folder)
    } else {
        folder.parent()
    }
}
