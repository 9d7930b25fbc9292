//! The search path of the ONNX Runtime library. No program is executed to determine
//! it; directories are only listed.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::candidate::Candidate;
use super::python;

/// The variable with the library's path, which other programs on `ort` also read.
const LIBRARY_ENV: &str = "ORT_DYLIB_PATH";

/// Returns an environment variable; an empty one counts as unset.
pub(super) type Variables = Box<dyn Fn(&str) -> Option<OsString>>;

/// What the search path depends on; tests create their own.
pub(super) struct Environment {
    pub(super) explicit: Option<PathBuf>,
    pub(super) cache: Result<PathBuf, String>,
    pub(super) executable: Option<PathBuf>,
    pub(super) variable: Variables,
    pub(super) system: Vec<PathBuf>,
}

impl Environment {
    /// The environment of this process.
    pub(super) fn of_process(explicit: Option<&Path>, cache: Option<&Path>) -> Self {
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

    /// All candidates, the preferred first. A library that the caller names is the
    /// only candidate.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        if let Some(file) = &self.explicit {
            return vec![Candidate::file("the given path", file.clone())];
        }
        vec![
            self.named(LIBRARY_ENV, Candidate::file),
            self.cache_folder(),
            self.executable_folder(),
            self.named("VIRTUAL_ENV", |name, prefix| {
                python::installation(name, &prefix)
            }),
            self.named("CONDA_PREFIX", |name, prefix| {
                python::installation(name, &prefix)
            }),
            python::on_path(&(self.variable)("PATH").unwrap_or_default()),
            Candidate::folders("the system's library folders", self.system_folders()),
        ]
    }

    /// The candidate in an environment variable.
    fn named(
        &self,
        variable: &'static str,
        candidate: impl FnOnce(&'static str, PathBuf) -> Candidate,
    ) -> Candidate {
        match (self.variable)(variable) {
            Some(path) => candidate(variable, path.into()),
            None => Candidate::unavailable(variable, "not set"),
        }
    }

    fn cache_folder(&self) -> Candidate {
        const NAME: &str = "the cache folder";
        match &self.cache {
            Ok(cache) => Candidate::folders(NAME, vec![memory_assets::runtime_dir(cache)]),
            Err(why) => Candidate::unavailable(NAME, why),
        }
    }

    fn executable_folder(&self) -> Candidate {
        const NAME: &str = "the executable's folder";
        match self.executable.as_deref().and_then(Path::parent) {
            Some(folder) => Candidate::folders(NAME, vec![folder.to_path_buf()]),
            None => Candidate::unavailable(NAME, "its path is unknown"),
        }
    }

    /// The directories of the dynamic loader's variable, then its default ones.
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

/// The usual library directories of the platform.
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
        // Debian and its derivatives.
        let triple = format!("/usr/lib/{}-linux-gnu", env::consts::ARCH);
        folders.insert(1, triple.into());
    }
    folders
}
