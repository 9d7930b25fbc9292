//! Where the ONNX Runtime library may lie, in the order in which it is looked
//! for. Nothing is run to find out: folders are listed, no more.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::place::Place;
use super::python;

/// The variable that names the library, as other programs on `ort` read it.
const LIBRARY_ENV: &str = "ORT_DYLIB_PATH";

/// The environment's variables, by name; an empty one counts as unset.
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
        vec![
            self.named(LIBRARY_ENV, Place::file),
            self.cache_folder(),
            self.beside_the_executable(),
            self.named("VIRTUAL_ENV", |name, prefix| {
                python::installation(name, &prefix)
            }),
            self.named("CONDA_PREFIX", |name, prefix| {
                python::installation(name, &prefix)
            }),
            python::on_path(&(self.variable)("PATH").unwrap_or_default()),
            Place::folders("the system's library folders", self.system_folders()),
        ]
    }

    /// A place that a variable names.
    fn named(
        &self,
        variable: &'static str,
        place: impl FnOnce(&'static str, PathBuf) -> Place,
    ) -> Place {
        match (self.variable)(variable) {
            Some(path) => place(variable, path.into()),
            None => Place::nowhere(variable, "not set"),
        }
    }

    fn cache_folder(&self) -> Place {
        const NAME: &str = "the cache folder";
        match &self.cache {
            Ok(cache) => Place::folders(NAME, vec![memory_assets::runtime_dir(cache)]),
            Err(why) => Place::nowhere(NAME, why),
        }
    }

    fn beside_the_executable(&self) -> Place {
        const NAME: &str = "beside the executable";
        match self.executable.as_deref().and_then(Path::parent) {
            Some(folder) => Place::folders(NAME, vec![folder.to_path_buf()]),
            None => Place::nowhere(NAME, "it is unknown where that is"),
        }
    }

    /// The folders that the dynamic loader is told of, then its own.
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
}

/// Where package managers and administrators put libraries.
fn system_folders() -> Vec<PathBuf> {
    let folders: &[&str] = if cfg!(windows) {
        &[]
    } else if cfg!(target_vendor = "apple") {
        &["/usr/local/lib", "/opt/homebrew/lib", "/usr/lib"]
    } else {
        &["/usr/local/lib", "/usr/lib64", "/usr/lib", "/lib64", "/lib"]
    };
    let mut folders: Vec<_> = folders.iter().map(PathBuf::from).collect();
    if cfg!(target_os = "linux") {
        // Debian and its kin.
        let triple = format!("/usr/lib/{}-linux-gnu", env::consts::ARCH);
        folders.insert(1, triple.into());
    }
    folders
}
