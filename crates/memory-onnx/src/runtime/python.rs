//! Where Python installations keep the library of their `onnxruntime` package.
//! Python is not run: its folders are known by their names.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::place::{Place, list};

/// Why a Python installation is no place to find the library.
const NO_PACKAGE: &str = "no onnxruntime package there";

/// The installation (or environment) under `prefix`.
pub(super) fn installation(name: &'static str, prefix: &Path) -> Place {
    place(name, folders(prefix))
}

/// The installation of the first `python3` on a PATH.
pub(super) fn on_path(path: &OsStr) -> Place {
    const NAME: &str = "python3 on the PATH";
    let program = if cfg!(windows) {
        "python.exe"
    } else {
        "python3"
    };
    // A relative entry would make the current directory a source of code.
    let candidates = env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program));
    let Some(python) = candidates.into_iter().find(|file| file.is_file()) else {
        return Place::nowhere(NAME, "there is none");
    };
    // A virtual environment's python3 links to the one it was made from: first
    // its own packages, then the other's.
    let real = python.canonicalize().unwrap_or_else(|_| python.clone());
    let prefixes = [&python, &real]
        .into_iter()
        .filter_map(|file| prefix_of(file));
    place(NAME, once_each(prefixes.flat_map(folders)))
}

fn place(name: &'static str, folders: Vec<PathBuf>) -> Place {
    if folders.is_empty() {
        Place::nowhere(name, NO_PACKAGE)
    } else {
        Place::folders(name, folders)
    }
}

/// The folders under a prefix that hold the library, if the package is there.
fn folders(prefix: &Path) -> Vec<PathBuf> {
    let is_python3 = |folder: &PathBuf| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("python3"))
    };
    // Debian keeps packages for all of its Pythons in lib/python3/dist-packages.
    let roots = ["lib", "lib64", "local/lib"].map(|root| prefix.join(root));
    let pythons = roots.iter().flat_map(|root| list(root)).filter(is_python3);
    let packages = pythons
        .flat_map(|python| [python.join("site-packages"), python.join("dist-packages")])
        .chain([prefix.join("Lib").join("site-packages")]);
    let capi = packages.map(|packages| packages.join("onnxruntime").join("capi"));
    once_each(capi.filter(|folder| folder.is_dir()))
}

/// Leaves out folders that are links to earlier ones, as lib64 often is.
fn once_each(folders: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
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
