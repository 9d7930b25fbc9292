//! The cache directory and the paths inside it.
//!
//! ```text
//! <cache>/onnxruntime/1.32.0/libonnxruntime.so.1.32.0
//! <cache>/models/all-MiniLM-L6-v2/model.safetensors, tokenizer.json, …
//! <cache>/models/multilingual-e5-small/…
//! ```
//!
//! Versions and model names are part of the path, so a new version never
//! overwrites one that a running process uses.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{self, Path, PathBuf};

use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};

/// The environment variable with the path of the cache directory. A relative path
/// is resolved against the current directory; an empty value counts as unset.
pub const CACHE_ENV: &str = "MEMORY_CACHE_DIR";

/// The model that is used by default.
pub const DEFAULT_MODEL: &str = "all-MiniLM-L6-v2";

/// The pinned version of ONNX Runtime.
pub const RUNTIME_VERSION: &str = "1.32.0";

/// The command that repairs missing or damaged assets, for error messages.
pub const SETUP_COMMAND: &str = "memory setup (or, inside the workspace, cargo xtask setup)";

/// This system's folder inside the platform's cache directory.
const FOLDER: &str = "memory";

/// Why the cache directory cannot be determined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheDirError {
    /// There is no home directory for the platform's cache directory.
    #[error("there is no home directory for the cache; set {CACHE_ENV} to a directory")]
    NoHome(#[source] etcetera::HomeDirError),
    /// The path in [`CACHE_ENV`] is relative and the current directory is unknown.
    #[error(
        "{CACHE_ENV} is a relative path and the current directory cannot be determined; set it \
         to an absolute path"
    )]
    NoCurrentDir(#[source] io::Error),
}

/// The absolute path of the cache directory: [`CACHE_ENV`] if set and not empty,
/// else `memory` inside the platform's cache directory. It may not exist.
///
/// # Errors
///
/// [`CacheDirError`] if the variable is unset and there is no home directory, or
/// if it is relative and there is no current directory.
pub fn cache_dir() -> Result<PathBuf, CacheDirError> {
    resolve(env::var_os(CACHE_ENV))
}

fn resolve(chosen: Option<OsString>) -> Result<PathBuf, CacheDirError> {
    match chosen.filter(|value| !value.is_empty()) {
        Some(value) => path::absolute(value).map_err(CacheDirError::NoCurrentDir),
        None => choose_native_strategy()
            .map(|platform| platform.cache_dir().join(FOLDER))
            .map_err(CacheDirError::NoHome),
    }
}

/// The folder of the pinned ONNX Runtime inside the cache directory.
#[must_use]
pub fn runtime_dir(cache: &Path) -> PathBuf {
    cache.join("onnxruntime").join(RUNTIME_VERSION)
}

/// The file name of the pinned ONNX Runtime library on this platform.
#[must_use]
pub const fn runtime_library_name() -> &'static str {
    if cfg!(windows) {
        "onnxruntime.dll"
    } else if cfg!(target_vendor = "apple") {
        "libonnxruntime.1.32.0.dylib"
    } else {
        "libonnxruntime.so.1.32.0"
    }
}

/// The path of the pinned ONNX Runtime library inside the cache directory.
#[must_use]
pub fn runtime_library(cache: &Path) -> PathBuf {
    runtime_dir(cache).join(runtime_library_name())
}

/// The folder of the model `name` inside the cache directory. `name` is a plain
/// name such as [`DEFAULT_MODEL`], and is not validated.
#[must_use]
pub fn model_dir(cache: &Path, name: &str) -> PathBuf {
    cache.join("models").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_takes_precedence_and_is_made_absolute() {
        let here = env::current_dir().unwrap();
        let chosen = resolve(Some("some/cache".into())).unwrap();
        assert_eq!(chosen, here.join("some/cache"));
    }

    #[test]
    fn unset_and_empty_both_mean_the_platform_directory() {
        let unset = resolve(None).unwrap();
        assert!(unset.is_absolute());
        assert!(unset.ends_with(FOLDER));
        assert_eq!(unset, resolve(Some(OsString::new())).unwrap());
    }

    #[test]
    fn the_library_name_contains_the_pinned_version() {
        let library = runtime_library(Path::new("cache"));
        assert!(library.starts_with(Path::new("cache/onnxruntime").join(RUNTIME_VERSION)));
        assert!(cfg!(windows) || runtime_library_name().contains(RUNTIME_VERSION));
    }
}
