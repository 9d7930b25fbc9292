//! Finding and loading the ONNX Runtime library.
//!
//! The library is not linked but searched at run time. If it is missing, the error
//! lists the searched paths and the fix. A process has one runtime and one
//! environment for its whole lifetime, which all embedders share.

mod candidate;
mod elf_check;
mod python;
mod search_path;
mod select;
mod version;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use ort::environment::Environment;

use crate::error::{self, OPEN};
use crate::options::OnnxOptions;
use search_path::Environment as SearchEnvironment;
use select::Selection;

/// The ONNX Runtime library that this process has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// The library's file.
    pub library: PathBuf,
    /// Its version, if the file's name contains it.
    pub version: Option<String>,
    /// Where it was found, for display: `the cache folder`.
    pub source: &'static str,
}

/// Finds and loads the ONNX Runtime library, as opening an embedder does.
///
/// If [`OnnxOptions::runtime_library`] is set, only that file is tried. Otherwise
/// the first of these that is complete, new enough and loadable is used, and
/// skipped ones are logged as warnings:
///
/// 1. the file in `ORT_DYLIB_PATH`;
/// 2. the cache directory;
/// 3. the directory of the executable;
/// 4. the `onnxruntime` package of the active Python environment
///    (`VIRTUAL_ENV`, `CONDA_PREFIX`, the first `python3` on the PATH);
/// 5. the system's library directories (`LD_LIBRARY_PATH` or its equivalent on the
///    platform first).
///
/// Relative paths in these variables are ignored, except in `ORT_DYLIB_PATH`.
/// Blocks while the library is loaded (about 30 ms). If the process has loaded one
/// already, that one is returned.
///
/// # Errors
/// [`ErrorKind::Missing`] with all searched paths, why each was skipped, and the
/// command that fixes it; [`ErrorKind::Configuration`] if another library than the
/// loaded one is requested.
pub fn load_runtime(options: &OnnxOptions) -> MemoryResult<RuntimeInfo> {
    environment(options).map(|(info, _)| info)
}

/// The loaded library. It stays loaded even if the environment could not be
/// created, because `ort` cannot unload it.
struct Loaded {
    info: RuntimeInfo,
    environment: Option<Environment>,
}

/// `ort` allows only one environment per process, so it is never dropped.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

/// The process's environment, created at the first call.
pub(crate) fn environment(options: &OnnxOptions) -> MemoryResult<(RuntimeInfo, Environment)> {
    let explicit = options.runtime_library.as_deref();
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = match &mut *loaded {
        Some(loaded) => loaded,
        empty => empty.insert(load(explicit, options.folder.cache_dir.as_deref())?),
    };
    check_same(&loaded.info, explicit)?;
    let environment = match &loaded.environment {
        Some(environment) => environment.clone(),
        None => loaded.environment.insert(build(&loaded.info)?).clone(),
    };
    Ok((loaded.info.clone(), environment))
}

/// Loads the first usable library.
fn load(explicit: Option<&Path>, cache: Option<&Path>) -> MemoryResult<Loaded> {
    let candidates = SearchEnvironment::of_process(explicit, cache).candidates();
    // Only `init_from` returns an error for a missing library; any other function
    // of `ort` would load one lazily and panic.
    let load = |library: &Path| ort::init_from(library).map(drop);
    let Selection {
        library,
        version,
        source,
    } = select::select(candidates, load).map_err(error::missing)?;
    tracing::debug!(library = %library.display(), source, "loaded ONNX Runtime");
    Ok(Loaded {
        info: RuntimeInfo {
            library,
            version: version.map(|version| version.to_string()),
            source,
        },
        environment: None,
    })
}

/// Creates the environment, with the telemetry of some builds disabled.
fn build(info: &RuntimeInfo) -> MemoryResult<Environment> {
    let foreign = "another library has already created the ONNX Runtime environment of this \
                   process, which can have only one; open an embedder before that";
    let builder = ort::init_from(&info.library)
        .map_err(|error| MemoryError::embedder(ErrorKind::Other, OPEN, error.to_string()))?;
    let environment = builder.with_name("memory").with_telemetry(false).build();
    environment.map_err(|error| MemoryError::configuration(format!("{foreign} ({error})")))
}

/// Rejects a library other than the loaded one.
fn check_same(loaded: &RuntimeInfo, explicit: Option<&Path>) -> MemoryResult<()> {
    let Some(asked) = explicit else {
        return Ok(());
    };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    if real(asked) == real(&loaded.library) {
        return Ok(());
    }
    Err(MemoryError::configuration(format!(
        "this process has loaded ONNX Runtime from {} and can have only one, so {} cannot be \
         loaded",
        loaded.library.display(),
        asked.display()
    )))
}
