//! A location that may contain the ONNX Runtime library.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::version::{Version, is_library_name};

/// A location, and the libraries in it.
pub(super) struct Candidate {
    /// The name for display.
    pub(super) name: &'static str,
    /// Its file or directories.
    pub(super) paths: Vec<PathBuf>,
    /// The libraries to try, the best first.
    pub(super) libraries: Vec<PathBuf>,
    /// Why there is no library, if so.
    pub(super) empty_because: Option<String>,
}

impl Candidate {
    /// A location that does not exist on this machine.
    pub(super) fn unavailable(name: &'static str, why: &str) -> Self {
        Self {
            name,
            paths: Vec::new(),
            libraries: Vec::new(),
            empty_because: Some(why.to_owned()),
        }
    }

    /// A single file of any name.
    pub(super) fn file(name: &'static str, file: PathBuf) -> Self {
        let is_there = file.is_file();
        Self {
            name,
            paths: vec![file.clone()],
            libraries: if is_there { vec![file] } else { Vec::new() },
            empty_because: (!is_there).then(|| "no such file".to_owned()),
        }
    }

    /// Directories, in which the library is recognized by its name.
    pub(super) fn folders(name: &'static str, folders: Vec<PathBuf>) -> Self {
        let libraries: Vec<_> = folders.iter().flat_map(|path| libraries_in(path)).collect();
        let why = || "no ONNX Runtime library in it".to_owned();
        Self {
            name,
            empty_because: libraries.is_empty().then(why),
            paths: folders,
            libraries,
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        let mut paths = self.paths.iter();
        paths.try_for_each(|path| write!(f, ", {}", path.display()))
    }
}

/// The libraries in a directory, the newest first; links to the same file count
/// once.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let is_library = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str());
        name.is_some_and(is_library_name) && file.is_file()
    };
    let mut libraries: Vec<_> = list(folder)
        .into_iter()
        .filter(is_library)
        .map(|file| (Version::of_library(&file), file))
        .collect();
    libraries.sort_by(|(a, file_a), (b, file_b)| b.cmp(a).then_with(|| file_a.cmp(file_b)));
    libraries.dedup_by_key(|(_, file)| file.canonicalize().ok());
    libraries.into_iter().map(|(_, file)| file).collect()
}

/// The entries of a directory, sorted by name; empty if it cannot be listed.
pub(super) fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    files
}
