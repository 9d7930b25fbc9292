//! Where the ONNX Runtime library may lie, in the order in which it is looked
//! for. Nothing is run to find out: folders are listed, no more.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::version::{Version, is_library_name};

/// The variable that names the library, as other programs on `ort` read it.
const LIBRARY_ENV: &str = "ORT_DYLIB_PATH";

/// The environment's variables, by name.
pub(super) type Variables = Box<dyn Fn(&str) -> Option<OsString>>;

/// What the places depend on; a test makes its own.
pub(super) struct Surroundings {
    pub(super) explicit: Option<PathBuf>,
    pub(super) cache: Result<PathBuf, String>,
    pub(super) executable: Option<PathBuf>,
    pub(super) variable: Variables,
    pub(super) system: Vec<PathBuf>,
}

impl Surroundings {
    /// This process's own.
    pub(super) fn real(explicit: Option<&Path>, cache: Option<&Path>) -> Self {
        Self {
            explicit: explicit.map(Path::to_path_buf),
            cache: cache.map_or_else(
                || memory_assets::cache_dir().map_err(|error| error.to_string()),
                |folder| Ok(folder.to_path_buf()),
            ),
            executable: env::current_exe().ok(),
            variable: Box::new(|name| env::var_os(name).filter(|value| !value.is_empty())),
            system: system_folders(),
        }
    }

    /// Every place, the preferred first. A library that the caller names is
    /// the only place: to load another one instead would be a surprise.
    pub(super) fn places(&self) -> Vec<Place> {
        if let Some(file) = &self.explicit {
            return vec![Place::file("the path that was given", file.clone())];
        }
        let mut places = vec![
            match self.path(LIBRARY_ENV) {
                Some(file) => Place::file(LIBRARY_ENV, file),
                None => Place::nowhere(LIBRARY_ENV, "not set"),
            },
            match &self.cache {
                Ok(cache) => Place::folder("the cache folder", memory_assets::runtime_dir(cache)),
                Err(why) => Place::nowhere("the cache folder", why),
            },
            match self.executable.as_deref().and_then(Path::parent) {
                Some(folder) => Place::folder("beside the executable", folder.to_path_buf()),
                None => Place::nowhere("beside the executable", "unknown where that is"),
            },
        ];
        places.extend(
            ["VIRTUAL_ENV", "CONDA_PREFIX"].map(|name| match self.path(name) {
                Some(prefix) => Place::folders(name, python_folders(&prefix)),
                None => Place::nowhere(name, "not set"),
            }),
        );
        places.push(self.python_on_path());
        places.push(Place::folders(
            "the system's library folders",
            self.system_folders(),
        ));
        places
    }

    /// The packages of the first `python3` on the PATH.
    fn python_on_path(&self) -> Place {
        const NAME: &str = "python3 on the PATH";
        let program = if cfg!(windows) {
            "python.exe"
        } else {
            "python3"
        };
        let path = (self.variable)("PATH").unwrap_or_default();
        let Some(python) = env::split_paths(&path)
            .map(|folder| folder.join(program))
            .find(|file| file.is_file())
        else {
            return Place::nowhere(NAME, "there is none");
        };
        // A virtual environment's python3 links to the one it was made from:
        // first its own packages, then the other's.
        let real = python.canonicalize().unwrap_or_else(|_| python.clone());
        let mut prefixes: Vec<_> = [&python, &real]
            .into_iter()
            .filter_map(|python| prefix_of(python))
            .collect();
        prefixes.dedup();
        let folders = prefixes.into_iter().flat_map(python_folders).collect();
        Place::folders(NAME, folders)
    }

    fn system_folders(&self) -> Vec<PathBuf> {
        let variable = if cfg!(windows) {
            "PATH"
        } else if cfg!(target_vendor = "apple") {
            "DYLD_LIBRARY_PATH"
        } else {
            "LD_LIBRARY_PATH"
        };
        let listed = (self.variable)(variable).unwrap_or_default();
        env::split_paths(&listed)
            .chain(self.system.iter().cloned())
            .filter(|folder| folder.is_absolute())
            .collect()
    }

    fn path(&self, variable: &str) -> Option<PathBuf> {
        (self.variable)(variable).map(PathBuf::from)
    }
}

/// A place, and the libraries that lie there.
pub(super) struct Place {
    /// What people call it, with its path where there is one.
    pub(super) name: String,
    /// What to try there, the best first.
    pub(super) libraries: Vec<PathBuf>,
    /// Why there is nothing to try, if so.
    pub(super) empty_because: Option<String>,
}

impl Place {
    fn nowhere(name: &str, why: &str) -> Self {
        Self {
            name: name.to_owned(),
            libraries: Vec::new(),
            empty_because: Some(why.to_owned()),
        }
    }

    fn file(name: &str, file: PathBuf) -> Self {
        Self {
            name: format!("{name}, {}", file.display()),
            empty_because: (!file.is_file()).then(|| "no such file".to_owned()),
            libraries: if file.is_file() {
                vec![file]
            } else {
                Vec::new()
            },
        }
    }

    fn folder(name: &str, folder: PathBuf) -> Self {
        Self::folders(name, vec![folder])
    }

    fn folders(name: &str, folders: Vec<PathBuf>) -> Self {
        if folders.is_empty() {
            return Self::nowhere(name, "no onnxruntime package there");
        }
        let listed: Vec<_> = folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        let libraries: Vec<_> = folders
            .iter()
            .flat_map(|folder| libraries_in(folder))
            .collect();
        Self {
            name: format!("{name}, {}", listed.join(", ")),
            empty_because: libraries
                .is_empty()
                .then(|| "no ONNX Runtime library there".to_owned()),
            libraries,
        }
    }
}

/// The libraries in a folder, the newest first; one file under several names
/// counts once.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let mut libraries: Vec<_> = list(folder)
        .into_iter()
        .filter(|file| {
            file.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(is_library_name)
        })
        .filter(|file| file.is_file())
        .map(|file| (Version::of_library(&file), file))
        .collect();
    libraries.sort_by(|(a, file_a), (b, file_b)| b.cmp(a).then_with(|| file_a.cmp(file_b)));
    libraries.dedup_by_key(|(_, file)| file.canonicalize().ok());
    libraries.into_iter().map(|(_, file)| file).collect()
}

/// Where the `onnxruntime` package of a Python installation keeps its library.
fn python_folders(prefix: &Path) -> Vec<PathBuf> {
    let is_python3 = |folder: &PathBuf| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("python3"))
    };
    // Debian keeps packages for all of its Pythons in lib/python3/dist-packages.
    let roots = ["lib", "lib64", "local/lib"].into_iter();
    let pythons = roots
        .flat_map(|root| list(&prefix.join(root)))
        .filter(is_python3);
    pythons
        .flat_map(|python| [python.join("site-packages"), python.join("dist-packages")])
        .chain([prefix.join("Lib").join("site-packages")])
        .map(|packages| packages.join("onnxruntime").join("capi"))
        .filter(|folder| folder.is_dir())
        .collect()
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

/// What is in a folder, in the order of its names; nothing if it cannot be
/// listed.
fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    files
}

/// Where package managers and administrators put libraries.
fn system_folders() -> Vec<PathBuf> {
    let triple = format!("{}-linux-gnu", env::consts::ARCH);
    let folders: &[&str] = if cfg!(windows) {
        &[]
    } else if cfg!(target_vendor = "apple") {
        &["/usr/local/lib", "/opt/homebrew/lib", "/usr/lib"]
    } else {
        &["/usr/local/lib", "/usr/lib64", "/usr/lib", "/lib64", "/lib"]
    };
    let mut folders: Vec<_> = folders.iter().map(PathBuf::from).collect();
    if cfg!(target_os = "linux") {
        folders.insert(1, Path::new("/usr/lib").join(triple));
    }
    folders
}
